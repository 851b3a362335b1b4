//! The names of batches, and of the files that they end in. An output file's name tells its batch, so that nobody
//! keeps a list of both.

use std::iter;

/// What stands before a batch's own letters and digits.
const BATCH: &str = "batch_";
const OUTPUT: &str = "file-output-";
const ERRORS: &str = "file-errors-";
/// Letters and digits of a name.
const OWN_LEN: usize = 24;

/// What kind of file a name is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// One that a caller has brought.
    Brought,
    /// The lines of this batch that ended well or badly.
    Lines {
        /// Which batch.
        batch: String,
        /// Well, or badly.
        good: bool,
    },
}

/// What kind of file has this name.
#[must_use]
pub fn file_kind(id: &str) -> FileKind {
    let lines = |own: &str, good| FileKind::Lines { batch: format!("{BATCH}{own}"), good };
    match (id.strip_prefix(OUTPUT), id.strip_prefix(ERRORS)) {
        (Some(own), _) => lines(own, true),
        (_, Some(own)) => lines(own, false),
        _ => FileKind::Brought,
    }
}

/// The name of the file with the lines of a batch that ended well or badly.
pub(super) fn file_of(batch: &str, good: bool) -> String {
    format!("{}{}", if good { OUTPUT } else { ERRORS }, own(batch))
}

/// The name of a line: the same at each attempt.
pub(super) fn line_id(batch: &str, line: u64) -> String {
    format!("batch_req_{}{line:05x}", own(batch))
}

pub(super) fn new_batch_id() -> String {
    iter::once(BATCH.to_owned()).chain((0..OWN_LEN).map(|_| fastrand::alphanumeric().to_string())).collect()
}

fn own(batch: &str) -> &str {
    batch.strip_prefix(BATCH).unwrap_or(batch)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{FileKind, file_kind, file_of, line_id, new_batch_id};

    #[test]
    fn an_output_tells_its_batch() {
        let batch = new_batch_id();
        assert_eq!(batch.len(), "batch_".len() + 24);
        for good in [true, false] {
            let kind = FileKind::Lines { batch: batch.clone(), good };
            assert_eq!(file_kind(&file_of(&batch, good)), kind);
        }
        assert_eq!(file_kind("file-0123456789"), FileKind::Brought);
    }

    #[test]
    fn no_two_lines_have_one_name() {
        assert_eq!(line_id("batch_x", 17), "batch_req_x00011");
        assert_ne!(line_id("batch_x", 1), line_id("batch_x", 16));
    }
}
