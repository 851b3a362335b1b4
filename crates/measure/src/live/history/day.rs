//! The files of days: their names, and which of them must go.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::path::Path;

const SUFFIX: &str = ".history";

/// The file of this day since 1970. Names sort as days do.
pub(super) fn file_name(day: u32) -> String {
    let (year, month, day) = date(day);
    format!("{year:04}-{month:02}-{day:02}{SUFFIX}")
}

/// The files of these days that there are, the oldest first.
pub(super) fn between(folder: &Path, days: RangeInclusive<u32>) -> io::Result<Vec<String>> {
    let (first, last) = (file_name(*days.start()), file_name(*days.end()));
    let mut names: Vec<String> = files(folder)?.into_iter().map(|(name, _)| name).collect();
    names.retain(|name| (&first..=&last).contains(&name));
    Ok(names)
}

/// Removes the oldest files until there are at most `files_max` and, beside today's, `bytes_max` bytes. Today's
/// stays.
pub(super) fn remove_oldest(folder: &Path, today: &str, files_max: u16, bytes_max: u64) -> io::Result<()> {
    let mut others = files(folder)?;
    others.retain(|(name, _)| name != today);
    let mut bytes: u64 = others.iter().map(|(_, bytes)| bytes).sum();
    let mut left = others.len();
    for (name, length) in others {
        if left < usize::from(files_max) && bytes <= bytes_max {
            return Ok(());
        }
        std::fs::remove_file(folder.join(name))?;
        left -= 1;
        bytes -= length;
    }
    Ok(())
}

/// All files of days with their lengths, the oldest first. What else there is in the folder is not ours.
fn files(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(name) = ours(entry.file_name()) {
            files.push((name, entry.metadata()?.len()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The name where it is one of ours: `0000-00-00.history`.
fn ours(name: OsString) -> Option<String> {
    let name = name.into_string().ok()?;
    let date = name.strip_suffix(SUFFIX)?.as_bytes();
    let fits = |(index, byte): (usize, &u8)| match index {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    (date.len() == 10 && date.iter().enumerate().all(fits)).then_some(name)
}

/// Year, month and day of a day since 1970: `civil_from_days` of Howard Hinnant's *chrono-Compatible Low-Level
/// Date Algorithms*, for days after 1970. Years begin in March there, so that the leap day is the last.
fn date(day: u32) -> (u32, u32, u32) {
    /// Days from 1 March of the year 0 to 1970, of 400 years, of 100, of 4 less a day.
    const EPOCH: u32 = 719_468;
    const ERA: u32 = 146_097;
    let days = day.saturating_add(EPOCH);
    let of_era = days % ERA;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + days / ERA * 400 + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{date, file_name, ours};

    #[test]
    fn days_have_their_dates() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_088, (2024, 12, 31)),
            (20_089, (2025, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(day), expected, "day {day}");
        }
        assert_eq!(file_name(20_089), "2025-01-01.history");
    }

    #[test]
    fn only_our_own_names_are_ours() {
        for (name, is_ours) in [
            ("2025-01-01.history", true),
            ("2025-01-01.history~", false),
            ("2025-01-01", false),
            ("2025-1-01.history", false),
            ("notes.history", false),
            ("2025/01/01.history", false),
        ] {
            assert_eq!(ours(name.into()).is_some(), is_ours, "{name}");
        }
    }
}
