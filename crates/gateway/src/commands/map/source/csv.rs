//! Records of comma-separated values, read by `csv-core`, which leaves it to its caller how much memory a record may
//! take: a quote that nobody closes must not read the rest of the file into one.

use std::io::{self, BufRead, Seek, SeekFrom};

use bytes::Bytes;
use csv_core::ReadRecordResult;
use wire::splice::push_json_string;

use super::super::row::Fault;
use super::{ROW_BYTES_MAX, Record, too_long};

/// Most columns.
const COLUMNS_MAX: usize = 16_384;

/// Reads records of names and values.
pub(super) struct Reader<R> {
    source: R,
    core: csv_core::Reader,
    names: Vec<String>,
    fields: Vec<u8>,
    ends: Vec<usize>,
    bytes: u64,
    lines: u64,
}

/// What stood in one record.
enum Found {
    /// So many fields; they are in `fields`, up to `ends`.
    Fields(usize),
    TooLong,
    End,
}

impl<R: BufRead> Reader<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// Where there is none, or one that names two columns alike.
    pub(super) fn open(source: R) -> io::Result<Self> {
        let mut reader = Self {
            source,
            core: csv_core::Reader::new(),
            names: Vec::new(),
            fields: vec![0; 4096],
            ends: vec![0; 64],
            bytes: 0,
            lines: 0,
        };
        let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        let count = match reader.record()? {
            Found::Fields(count) => count,
            Found::TooLong => {
                return refuse("its first line, the names of its columns, is too long".to_owned());
            }
            Found::End => return refuse("it is empty: its first line must name its columns".to_owned()),
        };
        for at in 0..count {
            let Ok(name) = std::str::from_utf8(reader.field(at)) else {
                return refuse(format!("the name of column {} is not UTF-8", at + 1));
            };
            if reader.names.iter().any(|known| known == name) {
                return refuse(format!("two of its columns are named {name:?}"));
            }
            reader.names.push(name.to_owned());
        }
        Ok(reader)
    }

    /// The columns' names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        self.skip_line_ends()?;
        let line = self.lines + 1;
        let text = match self.record()? {
            Found::End => return Ok(None),
            Found::TooLong => Err((too_long(), Bytes::new())),
            Found::Fields(count) => self.object(count),
        };
        // A record that ends with the file has one line more than line ends.
        Ok(Some(Record { line, text, bytes: self.bytes, lines: self.lines }))
    }

    /// A record as the text of a JSON object.
    fn object(&self, count: usize) -> Result<Bytes, (Fault, Bytes)> {
        let length = count.checked_sub(1).map_or(0, |last| self.ends[last]);
        let mut out = Vec::with_capacity(length + 32 * count);
        out.push(b'{');
        for (at, name) in self.names.iter().enumerate().take(count) {
            if at > 0 {
                out.push(b',');
            }
            push_json_string(&mut out, name);
            out.push(b':');
            push_json_string(&mut out, &String::from_utf8_lossy(self.field(at)));
        }
        out.push(b'}');
        let out = Bytes::from(out);
        let whole = self.fields.get(..length).unwrap_or_default();
        if count != self.names.len() {
            let why = format!("it has {count} fields, and the head names {}", self.names.len());
            Err((Fault::new("not_csv", why), out))
        } else if std::str::from_utf8(whole).is_err() {
            Err((Fault::new("not_csv", "it is not UTF-8"), out))
        } else {
            Ok(out)
        }
    }

    fn field(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.fields.get(start..self.ends[at]).unwrap_or_default()
    }

    /// Reads to the end of a record.
    fn record(&mut self) -> io::Result<Found> {
        let (mut filled, mut count) = (0, 0);
        let mut too_long = false;
        loop {
            let input = self.source.fill_buf()?;
            let read = self.core.read_record(input, &mut self.fields[filled..], &mut self.ends[count..]);
            let (result, consumed, output, ends) = read;
            self.lines += memchr::memchr_iter(b'\n', &input[..consumed]).count() as u64;
            self.bytes += consumed as u64;
            self.source.consume(consumed);
            filled += output;
            count += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.fields.len() >= ROW_BYTES_MAX => {
                    too_long = true;
                    filled = 0;
                }
                ReadRecordResult::OutputFull => {
                    self.fields.resize((self.fields.len() * 2).min(ROW_BYTES_MAX), 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() >= COLUMNS_MAX => {
                    too_long = true;
                    count = 0;
                }
                ReadRecordResult::OutputEndsFull => {
                    self.ends.resize((self.ends.len() * 2).min(COLUMNS_MAX), 0);
                }
                ReadRecordResult::Record if too_long => return Ok(Found::TooLong),
                ReadRecordResult::Record => return Ok(Found::Fields(count)),
                ReadRecordResult::End => return Ok(Found::End),
            }
        }
    }

    /// Blank lines, and the second half of the line end before.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let input = self.source.fill_buf()?;
            let count = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if count == 0 {
                return Ok(());
            }
            self.lines += memchr::memchr_iter(b'\n', &input[..count]).count() as u64;
            self.bytes += count as u64;
            self.source.consume(count);
        }
    }
}

impl<R: BufRead + Seek> Reader<R> {
    /// Goes on at a byte behind a record, so many lines into the file.
    ///
    /// # Errors
    /// The source's own.
    pub(super) fn seek(&mut self, bytes: u64, lines: u64) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(bytes))?;
        self.core = csv_core::Reader::new();
        (self.bytes, self.lines) = (bytes, lines);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_head_that_names_no_columns_is_refused() {
        for (text, why) in [
            (&b""[..], "empty"),
            (b"\n\r\n", "empty"),
            (b"a,b,a\n1,2,3\n", "\"a\""),
            (b"a,\xff\n", "column 2"),
        ] {
            let told = Reader::open(text).err().unwrap().to_string();
            assert!(told.contains(why), "{text:?}: {told}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_one_row_too_long_within_constant_memory() {
        let mut text = b"a\n1\n\"".to_vec();
        text.resize(ROW_BYTES_MAX * 2, b'x');
        let mut reader = Reader::open(&text[..]).unwrap();
        assert!(reader.next().unwrap().unwrap().text.is_ok());
        let long = reader.next().unwrap().unwrap();
        assert_eq!((long.line, long.text.unwrap_err().0.code.as_str()), (3, "too_long"));
        assert!(reader.next().unwrap().is_none());
        assert!(reader.fields.len() <= ROW_BYTES_MAX);
    }

    #[test]
    fn a_record_of_too_many_columns_is_one_row() {
        let text = format!("a\n{}\n2\n", ",".repeat(COLUMNS_MAX + 5));
        let mut reader = Reader::open(text.as_bytes()).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().text.unwrap_err().0.code, "too_long");
        assert_eq!(reader.next().unwrap().unwrap().text.unwrap(), &br#"{"a":"2"}"#[..]);
    }
}
