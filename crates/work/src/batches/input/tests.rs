#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Cut, Input};
use proptest::prelude::*;
use std::sync::Arc;
use store::files::{File, Files};
use store::{Answer, Time};

/// A file in memory, in pieces.
struct Pieces(Vec<Vec<u8>>);

impl Files for Pieces {
    fn read(&self, _: &str, piece: u32) -> Answer<'_, Option<Vec<u8>>> {
        let piece = self.0.get(piece as usize).cloned();
        Box::pin(async move { Ok(piece) })
    }

    fn write(&self, _: &str, _: u32, _: Vec<u8>, _: Time) -> Answer<'_, ()> {
        unreachable!()
    }

    fn close(&self, _: File) -> Answer<'_, ()> {
        unreachable!()
    }

    fn file(&self, _: &str, _: Option<&str>) -> Answer<'_, Option<File>> {
        unreachable!()
    }

    fn list(&self, _: &str, _: Option<&str>, _: Option<&str>, _: u32) -> Answer<'_, Vec<File>> {
        unreachable!()
    }

    fn remove(&self, _: &str, _: Option<&str>) -> Answer<'_, bool> {
        unreachable!()
    }

    fn sweep(&self, _: Time, _: Time, _: u32) -> Answer<'_, u64> {
        unreachable!()
    }
}

/// All lines of a file that lies in pieces of this size, each with the byte after it; `-` for one too long.
fn lines(text: &[u8], piece: usize, line_max: usize) -> Vec<(String, u64)> {
    let pieces = Pieces(text.chunks(piece).map(<[u8]>::to_vec).collect());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut input = Input::new(Arc::new(pieces), "file-1", line_max);
        let mut lines = Vec::new();
        while let Some(Cut { text, number, end }) = input.line().await.unwrap() {
            lines.push((String::from_utf8(text.unwrap_or(b"-").to_vec()).unwrap(), end));
            assert_eq!(number, lines.len() as u64);
        }
        assert_eq!(input.line().await.unwrap(), None, "the end stays the end");
        assert_eq!(input.byte(), text.len() as u64);
        lines
    })
}

#[test]
fn lines_are_cut_wherever_pieces_end() {
    let check = |text: &str, expected: &[(&str, u64)]| {
        let expected: Vec<_> = expected.iter().map(|(text, end)| ((*text).to_owned(), *end)).collect();
        for piece in 1..=text.len().max(1) {
            assert_eq!(lines(text.as_bytes(), piece, 5), expected, "{text:?} in pieces of {piece}");
        }
    };
    check("", &[]);
    check("a", &[("a", 1)]);
    check("a\n", &[("a", 2)]);
    check("a\n\nbc\n", &[("a", 2), ("", 3), ("bc", 6)]);
    check("\n", &[("", 1)]);
    check("abcde\nabcdef\nx", &[("abcde", 6), ("-", 13), ("x", 14)]);
    check("abcdefghijkl", &[("-", 12)]);
    check("a\r\nb", &[("a\r", 3), ("b", 4)]);
}

proptest! {
    #[test]
    fn nothing_is_lost_between_pieces(text in "[ab\n]{0,60}", piece in 1_usize..20) {
        let found = lines(text.as_bytes(), piece, 100);
        let mut expected: Vec<&str> = text.split('\n').collect();
        if expected.last() == Some(&"") {
            expected.pop();
        }
        let texts: Vec<&str> = found.iter().map(|(text, _)| text.as_str()).collect();
        prop_assert_eq!(texts, expected);
        prop_assert_eq!(found.last().map_or(0, |(_, end)| *end), text.len() as u64);
    }
}
