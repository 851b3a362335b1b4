//! As much of Protocol Buffers' encoding as [`metrics`](crate::metrics) and OTLP's traces need: numbers, text and
//! messages within messages, written; and fields read one after the other. No schema: who writes a field knows its
//! number and its type.
//!
//! A crate would bring a derive, a runtime and generated types for some twenty messages.

/// Writes one message. As in proto3, what is empty or 0 is left out.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;
/// 64 bits in sevens.
const VARINT_BYTES_MAX: usize = 10;

impl Writer {
    /// With room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    #[inline]
    fn tag(&mut self, field: u32, kind: u8) {
        self.varint(u64::from(field) << 3 | u64::from(kind));
    }

    #[inline]
    fn varint(&mut self, number: u64) {
        if number < 0x80 {
            self.bytes.push(number as u8);
        } else {
            self.long_varint(number);
        }
    }

    /// Few are.
    #[cold]
    fn long_varint(&mut self, number: u64) {
        let (bytes, width) = varint(number);
        self.bytes.extend_from_slice(&bytes[..width]);
    }

    /// `uint32`, `uint64`, `enum`.
    pub fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.tag(field, VARINT);
            self.varint(number);
        }
    }

    /// `int64` of a `oneof`, which is there even where it is 0. Negative numbers are ten bytes long.
    pub fn signed(&mut self, field: u32, number: i64) {
        self.tag(field, VARINT);
        self.varint(number as u64);
    }

    /// `sint32`.
    pub fn zigzag(&mut self, field: u32, number: i32) {
        self.number(field, zigzag(number.into()));
    }

    /// Packed `sint64`s.
    pub fn zigzags(&mut self, field: u32, numbers: &[i64]) {
        if !numbers.is_empty() {
            self.message(field, |inner| numbers.iter().for_each(|number| inner.varint(zigzag(*number))));
        }
    }

    /// `bool` of a `oneof`.
    pub fn flag(&mut self, field: u32, flag: bool) {
        self.tag(field, VARINT);
        self.varint(flag.into());
    }

    /// `double`, which is there even where it is 0.
    pub fn double(&mut self, field: u32, number: f64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// `fixed64`.
    pub fn fixed64(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.tag(field, FIXED64);
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// `fixed32`.
    pub fn fixed32(&mut self, field: u32, number: u32) {
        if number != 0 {
            self.tag(field, FIXED32);
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// `bytes` and `string`.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.tag(field, LENGTH);
            self.varint(bytes.len() as u64);
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// `string` of a `oneof`.
    pub fn text(&mut self, field: u32, text: &str) {
        self.tag(field, LENGTH);
        self.varint(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Fields as another writer has written them.
    pub fn encoded(&mut self, fields: &[u8]) {
        self.bytes.extend_from_slice(fields);
    }

    /// A message within this one, there even where it is empty.
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.tag(field, LENGTH);
        self.delimited(write);
    }

    /// The same, which has about so many bytes: where its length takes as many as that one's would, nothing of it is
    /// moved.
    pub fn message_about(&mut self, field: u32, bytes: usize, write: impl FnOnce(&mut Self)) {
        self.tag(field, LENGTH);
        let (_, room) = varint(bytes as u64);
        self.delimited_by(room, write);
    }

    /// A message with its length before it and no number, as streams of messages have them.
    pub fn delimited(&mut self, write: impl FnOnce(&mut Self)) {
        // Most lengths are of one byte.
        self.delimited_by(1, write);
    }

    /// The length is known only afterwards: there is room for one of so many bytes.
    fn delimited_by(&mut self, room: usize, write: impl FnOnce(&mut Self)) {
        let place = self.bytes.len();
        let start = place + room;
        self.bytes.resize(start, 0);
        write(self);
        let end = self.bytes.len();
        let length = end - start;
        if room == 1 && length < 0x80 {
            self.bytes[place] = length as u8;
            return;
        }
        let (length, width) = varint(length as u64);
        if width != room {
            self.bytes.resize(end.max(end - room + width), 0);
            self.bytes.copy_within(start..end, place + width);
            self.bytes.truncate(end - room + width);
        }
        self.bytes[place..place + width].copy_from_slice(&length[..width]);
    }
}

/// A number in seven bits a byte, the lowest first, and how many bytes those are.
fn varint(mut number: u64) -> ([u8; VARINT_BYTES_MAX], usize) {
    let (mut bytes, mut width) = ([0; VARINT_BYTES_MAX], 1);
    while number >= 0x80 {
        bytes[width - 1] = number as u8 | 0x80;
        number >>= 7;
        width += 1;
    }
    bytes[width - 1] = number as u8;
    (bytes, width)
}

/// Small numbers of either sign as small ones without.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A number, however it was written.
    Number(u64),
    /// Bytes, text or a message.
    Bytes(&'a [u8]),
}

/// Reads a message's fields; ends early where it is broken.
#[derive(Clone, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The last field of that number, which is the one that counts.
    pub fn last(self, number: u32) -> Option<Field<'a>> {
        self.filter(|(each, _)| *each == number).last().map(|(_, field)| field)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let field = match (tag & 7) as u8 {
            VARINT => Field::Number(self.varint()?),
            FIXED64 => Field::Number(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            FIXED32 => Field::Number(u32::from_le_bytes(*self.take(4)?.first_chunk()?).into()),
            _ => return None,
        };
        Some((u32::try_from(tag >> 3).ok()?, field))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_written_as_the_encoding_guide_shows() {
        let check = |write: &dyn Fn(&mut Writer), expected: &[u8]| {
            let mut writer = Writer::default();
            write(&mut writer);
            assert_eq!(writer.finish(), expected);
        };
        // From "Encoding" of the Protocol Buffers documentation.
        check(&|writer| writer.number(1, 150), &[0x08, 0x96, 0x01]);
        check(&|writer| writer.text(2, "testing"), b"\x12\x07testing");
        check(&|writer| writer.message(3, |inner| inner.number(1, 150)), &[0x1a, 0x03, 0x08, 0x96, 0x01]);
        check(&|writer| writer.delimited(|inner| inner.number(1, 150)), &[0x03, 0x08, 0x96, 0x01]);
        check(&|writer| writer.signed(1, -2), b"\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        check(&|writer| writer.fixed32(16, 1), &[0x85, 0x01, 1, 0, 0, 0]);
        check(&|writer| writer.fixed64(7, 2), &[0x39, 2, 0, 0, 0, 0, 0, 0, 0]);
        check(&|writer| writer.double(4, 1.0), &[0x21, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        check(&|writer| writer.flag(2, true), &[0x10, 1]);
        check(&|writer| writer.zigzag(1, -2), &[0x08, 3]);
        check(&|writer| writer.zigzag(1, i32::MIN), &[0x08, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        check(&|writer| writer.zigzags(4, &[0, -1, 1, 150]), &[0x22, 5, 0, 1, 2, 0xac, 0x02]);
        check(&|writer| writer.zigzags(4, &[]), &[]);
        check(&|writer| writer.number(1, 0), &[]);
        check(&|writer| writer.bytes(2, b""), &[]);
        check(&|writer| writer.fixed64(3, 0), &[]);
    }

    #[test]
    fn a_long_message_has_a_long_length_before_it() {
        let mut writer = Writer::default();
        writer.message(1, |outer| outer.message(2, |inner| inner.bytes(3, &[7; 300])));
        let bytes = writer.finish();
        let Some(Field::Bytes(outer)) = Fields(&bytes).last(1) else { panic!("{bytes:?}") };
        let Some(Field::Bytes(inner)) = Fields(outer).last(2) else { panic!("{outer:?}") };
        assert_eq!(Fields(inner).last(3), Some(Field::Bytes(&[7; 300])));
        assert_eq!(bytes.len(), 300 + 3 + 3 + 3);
    }

    #[test]
    fn however_long_a_message_was_thought_to_be_its_length_is_written_in_short() {
        for long in [0, 1, 127, 128, 300, 20_000] {
            for about in [0, 127, 128, 20_000, 3 << 20] {
                let (mut plain, mut about_so_long) = (Writer::default(), Writer::default());
                let write = |inner: &mut Writer| inner.bytes(3, &vec![7; long]);
                plain.message(1, write);
                about_so_long.message_about(1, about, write);
                assert_eq!(about_so_long.finish(), plain.finish(), "{long} and about {about}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_written_is_read(number in 1_u64.., fixed in 1_u32.., text in "\\PC{1,40}") {
            let mut writer = Writer::default();
            writer.number(1, number);
            writer.fixed32(2, fixed);
            writer.text(300, &text);
            let bytes = writer.finish();
            prop_assert_eq!(Fields(&bytes).last(1), Some(Field::Number(number)));
            prop_assert_eq!(Fields(&bytes).last(2), Some(Field::Number(fixed.into())));
            prop_assert_eq!(Fields(&bytes).last(300), Some(Field::Bytes(text.as_bytes())));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Fields(&bytes).count() <= bytes.len());
        }
    }
}
