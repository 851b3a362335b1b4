//! One look at the process and what surrounds it: which files say what, and which of several limits is
//! the one that counts.

use super::parse;
use std::time::Duration;

/// Where the control groups are mounted, as every distribution has it.
const GROUPS: &str = "/sys/fs/cgroup";

/// Groups above one another that are looked at, at most.
const DEPTH_MAX: usize = 16;

/// What one look showed. What is missing could not be found out, and is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Processor time this process has used since it began.
    pub process_cpu: Option<Duration>,
    /// Processor time its group has used, where that is limited.
    pub group_cpu: Option<Duration>,
    /// Processor time used on the whole machine, and the machine's processors. For showing only: how
    /// busy others are is not this process's to judge.
    pub machine_cpu: Option<(Duration, usize)>,
    /// Processors' worth of time this process may use: what it is bound to or its groups' quota,
    /// whichever is less.
    pub cores: Option<f64>,
    /// The fullest of the memories it lives in.
    pub memory: Option<Memory>,
    /// Bytes of memory this process itself has resident.
    pub resident: Option<u64>,
    /// Those of them that are its own: not pages of its program and of files, which the system takes back at will.
    pub anonymous: Option<u64>,
}

/// A memory with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Whose it is.
    pub source: Source,
    /// Bytes used that cannot simply be taken back.
    pub used: u64,
    /// Bytes there are.
    pub limit: u64,
}

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A control group's, this process's own or one above it.
    Group,
    /// The machine's.
    Machine,
}

impl Memory {
    /// Used share, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.limit == 0 { 1.0 } else { self.used as f64 / self.limit as f64 }
    }
}

/// Gives a file's text by its path, if there is such a file.
type Files<'a> = dyn FnMut(&str) -> Option<String> + 'a;

impl Reading {
    /// Takes a look by way of `file`, which gives a file's text by its absolute path.
    pub fn take(mut file: impl FnMut(&str) -> Option<String>) -> Self {
        let file: &mut Files<'_> = &mut file;
        let status = file("/proc/self/status").unwrap_or_default();
        let machine_cpu = file("/proc/stat").as_deref().and_then(parse::machine_cpu);
        let bound_to = parse::cpus_allowed(&status).or(machine_cpu.map(|(_, cores)| cores));
        let groups = file("/proc/self/cgroup").unwrap_or_default();
        let (quota, group_cpu) =
            group_cpu(&groups, file).map_or((None, None), |(quota, used)| (Some(quota), used));
        let cores = [bound_to.map(|count| count as f64), quota].into_iter().flatten().reduce(f64::min);
        let memories = group_memories(&groups, file).into_iter().chain(machine_memory(file));
        Self {
            process_cpu: file("/proc/self/stat").as_deref().and_then(parse::process_cpu),
            group_cpu,
            machine_cpu,
            cores,
            memory: memories.max_by(|one, other| one.share().total_cmp(&other.share())),
            resident: parse::kib(&status, "VmRSS"),
            // Since Linux 4.5.
            anonymous: parse::kib(&status, "RssAnon").or_else(|| parse::kib(&status, "VmRSS")),
        }
    }
}

/// A group and those above it, as folders under `mount`, the innermost first. Inside a container the
/// group's path may be the host's and lead nowhere; the mount's own root is the container's group then.
fn folders(mount: &str, group: Option<&str>) -> Vec<String> {
    let group = group.unwrap_or("").trim_matches('/');
    let mut folders: Vec<String> =
        group.match_indices('/').map(|(at, _)| format!("{mount}/{}", &group[..at])).collect();
    if !group.is_empty() {
        folders.push(format!("{mount}/{group}"));
    }
    folders.reverse();
    folders.truncate(DEPTH_MAX);
    folders.push(mount.to_owned());
    folders
}

/// The tightest quota of the groups, in cores, and the time used in the group that has it.
fn group_cpu(groups: &str, file: &mut Files<'_>) -> Option<(f64, Option<Duration>)> {
    let mut tightest: Option<(f64, Option<Duration>)> = None;
    let mut note = |quota: Option<f64>, used: &mut dyn FnMut() -> Option<Duration>| {
        if let Some(quota) = quota.filter(|quota| tightest.is_none_or(|(least, _)| *quota < least)) {
            tightest = Some((quota, used()));
        }
    };
    for folder in folders(GROUPS, parse::group(groups, "")) {
        let quota = file(&format!("{folder}/cpu.max")).as_deref().and_then(parse::cpu_max);
        note(quota, &mut || {
            let used = parse::keyed(&file(&format!("{folder}/cpu.stat"))?, "usage_usec")?;
            Some(Duration::from_micros(used))
        });
    }
    let mount = format!("{GROUPS}/cpu");
    for folder in folders(&mount, parse::group(groups, "cpu")) {
        let period = file(&format!("{folder}/cpu.cfs_period_us")).unwrap_or_default();
        let quota =
            file(&format!("{folder}/cpu.cfs_quota_us")).and_then(|quota| parse::cpu_quota(&quota, &period));
        note(quota, &mut || {
            // Counted by a controller of its own, which is nearly always mounted together with this one.
            let counted = folder.replacen("/cpu", "/cpuacct", 1);
            let used = parse::bytes(&file(&format!("{counted}/cpuacct.usage"))?)?;
            Some(Duration::from_nanos(used))
        });
    }
    tightest
}

/// The limited memories of the groups. What the kernel can take back at once, files' pages that were not
/// used of late, does not count as used (as for Kubernetes' working set).
fn group_memories(groups: &str, file: &mut Files<'_>) -> Vec<Memory> {
    let v1 = format!("{GROUPS}/memory");
    let versions = [
        (GROUPS, "", ["memory.max", "memory.current", "inactive_file"]),
        (&v1, "memory", ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"]),
    ];
    let mut memories = Vec::new();
    for (mount, controller, [limit, used, inactive]) in versions {
        for folder in folders(mount, parse::group(groups, controller)) {
            let mut number = |name: &str| file(&format!("{folder}/{name}")).as_deref().and_then(parse::bytes);
            let (Some(limit), Some(used)) = (number(limit), number(used)) else { continue };
            let stat = file(&format!("{folder}/memory.stat")).unwrap_or_default();
            let inactive = parse::keyed(&stat, inactive).unwrap_or(0);
            memories.push(Memory { source: Source::Group, used: used.saturating_sub(inactive), limit });
        }
    }
    memories
}

fn machine_memory(file: &mut Files<'_>) -> Option<Memory> {
    let text = file("/proc/meminfo")?;
    let limit = parse::kib(&text, "MemTotal")?;
    let used = limit.saturating_sub(parse::kib(&text, "MemAvailable")?);
    Some(Memory { source: Source::Machine, used, limit })
}
