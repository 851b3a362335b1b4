//! The texts of `/proc` and of the control groups' files, as figures. Nothing is read here: each function
//! takes a file's text and answers `None` for what it does not find or understand. Formats: `proc(5)`, and
//! the kernel's `admin-guide/cgroup-v1`, `admin-guide/cgroup-v2`.

use std::time::Duration;

/// Clock ticks a second in what `/proc` shows. The kernel's own rate may be another; this one has been
/// part of its interface on every processor that matters here.
const TICKS_PER_SECOND: u64 = 100;

/// Version 1 says "no limit" by a number near the largest there is.
const LIMIT_MAX: u64 = 1 << 60;

/// The time a number of clock ticks stands for.
fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * (1000 / TICKS_PER_SECOND))
}

/// Processor time a process has used, in user and kernel mode, from `/proc/self/stat`.
pub fn process_cpu(stat: &str) -> Option<Duration> {
    // The second field is the program's name in brackets, which may itself hold spaces and brackets.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(ticks(user + kernel))
}

/// The machine's busy time over all processors and how many those are, from `/proc/stat`.
pub fn machine_cpu(stat: &str) -> Option<(Duration, usize)> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; what follows is counted in user already.
    let counts: Option<Vec<u64>> =
        all.split_ascii_whitespace().take(8).map(|field| field.parse().ok()).collect();
    let counts = counts?;
    let idle = counts.get(3)? + counts.get(4).unwrap_or(&0);
    let busy = counts.iter().sum::<u64>() - idle;
    let is_one = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    Some((ticks(busy), stat.lines().filter(is_one).count().max(1)))
}

/// How many processors the process may run on, from `/proc/self/status`.
pub fn cpus_allowed(status: &str) -> Option<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first).map(|more| more + 1)
    };
    list.trim().split(',').map(count).sum()
}

/// A field in KiB, in bytes: `MemAvailable` of `/proc/meminfo`, `VmRSS` of `/proc/self/status`.
pub fn kib(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// A group's path from `/proc/self/cgroup`: of version 1's `controller`, or of version 2 for "".
pub fn group<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// Processors' worth of time the group may use, from version 2's `cpu.max`; `None` for no limit.
pub fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota.parse().ok()?, period.parse().ok()?)
}

/// The same from version 1's `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
pub fn cpu_quota(quota: &str, period: &str) -> Option<f64> {
    // -1 is no limit, and no number here.
    cores(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

fn cores(quota: u64, period: u64) -> Option<f64> {
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// Bytes from a file that holds one number; `None` for "max" and for version 1's "no limit".
pub fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < LIMIT_MAX)
}

/// One number of a file of names and numbers: `usage_usec` of `cpu.stat`, `inactive_file` of `memory.stat`.
pub fn keyed(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}
