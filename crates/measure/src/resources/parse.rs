//! The texts of `/proc` as figures, where [`guard::pressure::parse`] has none yet. Nothing is read here: each function
//! takes a file's text and answers `None` for what it does not find or understand. Formats: `proc(5)`.

use super::Traffic;
use std::time::Duration;

/// Clock ticks a second in what `/proc` shows, on every processor that matters here.
const TICKS_PER_SECOND: u64 = 100;

/// When the process began, since the machine did, from `/proc/self/stat`.
pub fn started_after_boot(stat: &str) -> Option<Duration> {
    // The second field is the program's name in brackets, which may itself hold spaces and brackets.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: u64 = after_name.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks.checked_mul(1000 / TICKS_PER_SECOND)?))
}

/// When the machine began, since 1970, from `/proc/stat`.
pub fn booted(stat: &str) -> Option<Duration> {
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}

/// A plain number of `/proc/self/status`, as of `Threads`.
pub fn number(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim().parse().ok()
}

/// Bytes that went to and came from storage, from `/proc/self/io`.
pub fn storage(io: &str) -> Option<Traffic> {
    Some(Traffic { in_bytes: number(io, "read_bytes")?, out_bytes: number(io, "write_bytes")? })
}

/// Bytes received and sent by IP, from `/proc/self/net/netstat`: a line of names, then a line of numbers.
pub fn network(netstat: &str) -> Option<Traffic> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let mut pairs = names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace());
        pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
    };
    Some(Traffic { in_bytes: value("InOctets")?, out_bytes: value("OutOctets")? })
}
