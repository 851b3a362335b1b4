//! The rows of the input, one after another, within constant memory however long the file. A row of either form comes
//! as a JSON object; one that is none comes with its fault.

mod csv;

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use wire::json;

use super::super::lines::{Line, Reader};
use super::extent::Extent;
use super::row::{Fault, Row};

/// Longest row, line ends and CSV's quotes included: as long as the longest body that a gateway takes by default.
pub(super) const ROW_BYTES_MAX: usize = 10 << 20;
/// Read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A form that rows are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values under a head of names, as RFC 4180 has it.
    Csv,
}

impl Format {
    /// As the file's name says.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match &*ending {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// As a flag spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// The rows of a file from some place on.
pub(super) struct Source {
    records: Records,
    at: Extent,
}

enum Records {
    Jsonl(Reader<BufReader<File>>),
    Csv(Box<csv::Reader<BufReader<File>>>),
}

/// A row before it has a number: its first line, its text or its fault, and where it ends.
struct Record {
    line: u64,
    text: Result<Bytes, (Fault, Bytes)>,
    bytes: u64,
    lines: u64,
}

impl Source {
    /// Opens a file behind `from`, which is an earlier source's word.
    ///
    /// # Errors
    /// Where it cannot be read, or is a CSV whose head is none.
    pub(super) fn open(path: &Path, format: Format, from: Extent) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut source = BufReader::with_capacity(BUFFER_BYTES, file);
        let records = match format {
            Format::Jsonl => {
                source.seek(SeekFrom::Start(from.bytes))?;
                Records::Jsonl(Reader::behind(from.lines, from.bytes, source, ROW_BYTES_MAX))
            }
            Format::Csv => {
                let mut reader = csv::Reader::open(source)?;
                if from.rows > 0 {
                    reader.seek(from.bytes, from.lines)?;
                }
                Records::Csv(Box::new(reader))
            }
        };
        Ok(Self { records, at: from })
    }

    /// The names of a CSV's columns; none of JSONL, whose rows name their own.
    pub(super) fn columns(&self) -> Option<&[String]> {
        match &self.records {
            Records::Jsonl(_) => None,
            Records::Csv(reader) => Some(reader.names()),
        }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// The file's own.
    pub(super) fn next(&mut self) -> io::Result<Option<(Row, Option<Fault>)>> {
        let record = match &mut self.records {
            Records::Jsonl(reader) => reader.next()?.map(record_of),
            Records::Csv(reader) => reader.next()?,
        };
        let Some(record) = record else { return Ok(None) };
        let (text, fault) = match record.text {
            Ok(text) => (text, None),
            Err((fault, text)) => (text, Some(fault)),
        };
        let number = self.at.rows;
        let bytes = record.bytes - self.at.bytes;
        self.at = Extent { rows: number + 1, bytes: record.bytes, lines: record.lines };
        Ok(Some((Row { number, line: record.line, bytes, after: self.at, text }, fault)))
    }
}

fn record_of(line: Line) -> Record {
    let text = match line.text {
        None => Err((too_long(), Bytes::new())),
        Some(text) => match json::object(&text) {
            Ok(_) => Ok(text.into()),
            Err(fault) => Err((Fault::of_json(&fault), text.into())),
        },
    };
    Record { line: line.number, text, bytes: line.end, lines: line.number }
}

fn too_long() -> Fault {
    Fault::new("too_long", format!("the row is longer than {} MiB", ROW_BYTES_MAX >> 20))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    type Told = (u64, u64, Result<String, String>);

    /// Number, line and text or fault of each row, and where each ends.
    fn rows(text: &str, format: Format, from: Extent) -> Vec<(Told, Extent)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut source = Source::open(file.path(), format, from).unwrap();
        std::iter::from_fn(|| source.next().unwrap())
            .map(|(row, fault)| {
                let text = String::from_utf8(row.text.to_vec()).unwrap();
                ((row.number, row.line, fault.map_or(Ok(text), |fault| Err(fault.code))), row.after)
            })
            .collect()
    }

    fn check(format: Format, text: &str, expected: &[(u64, u64, Result<&str, &str>)]) {
        let found = rows(text, format, Extent::default());
        let told: Vec<_> = found
            .iter()
            .map(|((number, line, text), _)| {
                (*number, *line, text.as_ref().map(String::as_str).map_err(String::as_str))
            })
            .collect();
        assert_eq!(told, expected, "{text:?}");
        // Whoever goes on behind any row finds the rows that follow it.
        for (at, (_, after)) in found.iter().enumerate() {
            assert_eq!(rows(text, format, *after), found[at + 1..], "{text:?} behind {after:?}");
        }
    }

    #[test]
    fn lines_of_json_are_rows_and_others_are_faults() {
        check(Format::Jsonl, "", &[]);
        check(
            Format::Jsonl,
            "\u{feff}{\"a\":1}\n\n {\"a\": 2} \r\n[1]\n{\"a\":\n{\"a\":3,\"a\":4}\n{}",
            &[
                (0, 1, Ok("{\"a\":1}")),
                (1, 3, Ok(" {\"a\": 2} \r")),
                (2, 4, Err("not_json")),
                (3, 5, Err("not_json")),
                (4, 6, Err("not_json")),
                (5, 7, Ok("{}")),
            ],
        );
    }

    #[test]
    fn records_of_csv_are_objects_under_the_names_of_the_head() {
        check(Format::Csv, "a,b\n", &[]);
        check(
            Format::Csv,
            "\u{feff}id,text,\"first name\"\n1,\"a, \"\"b\"\"\nc\",x\n\n2,5\" pipe,y\n3,z\n4,\"é\",\n",
            &[
                (0, 2, Ok(r#"{"id":"1","text":"a, \"b\"\nc","first name":"x"}"#)),
                (1, 5, Ok(r#"{"id":"2","text":"5\" pipe","first name":"y"}"#)),
                (2, 6, Err("not_csv")),
                (3, 7, Ok(r#"{"id":"4","text":"é","first name":""}"#)),
            ],
        );
        check(Format::Csv, "a\r\n1\r\n\r\n2", &[(0, 2, Ok(r#"{"a":"1"}"#)), (1, 4, Ok(r#"{"a":"2"}"#))]);
    }

    #[test]
    fn a_form_is_known_by_the_files_name() {
        for (name, format) in [
            ("a.jsonl", Some(Format::Jsonl)),
            ("a.NDJSON", Some(Format::Jsonl)),
            ("a.csv", Some(Format::Csv)),
            ("a.txt", None),
            ("jsonl", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
