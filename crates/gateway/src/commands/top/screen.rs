//! A terminal's other screen, drawn over and over. What was there before is there again at the end, however that
//! comes.

use std::io::{self, Write as _};

use rustix::termios::tcgetwinsize;

/// Where nobody says how large it is.
const SIZE: (usize, usize) = (24, 80);

/// The screen, until it is dropped.
pub(super) struct Screen;

impl Screen {
    /// Begins, without a cursor.
    pub(super) fn begin() -> io::Result<Self> {
        write("\x1b[?1049h\x1b[?25l\x1b[2J")?;
        Ok(Self)
    }

    /// Shows these lines, as many and as much of each as there is room for.
    pub(super) fn show(&self, lines: &[String]) -> io::Result<()> {
        write(&drawn(lines, size()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to be put right.
        let _ = write("\x1b[?25h\x1b[?1049l");
    }
}

/// The lines at the top left, with what was there before wiped out behind and below them.
fn drawn(lines: &[String], (rows, columns): (usize, usize)) -> String {
    let shown = lines.iter().take(rows).map(|line| {
        let line: String = line.chars().take(columns).collect();
        format!("{line}\x1b[K")
    });
    format!("\x1b[H{}\x1b[J", shown.collect::<Vec<_>>().join("\r\n"))
}

/// Rows and columns.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => SIZE,
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::drawn;

    #[test]
    fn what_has_no_room_is_left_out() {
        let lines = ["one".to_owned(), "äöü–long".to_owned(), "three".to_owned()];
        assert_eq!(drawn(&lines, (2, 4)), "\x1b[Hone\x1b[K\r\näöü–\x1b[K\x1b[J");
    }
}
