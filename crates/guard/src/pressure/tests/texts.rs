//! Kernels' texts, as they are found on machines, in containers of either version, and broken.

use super::super::parse;
use super::super::{Memory, Reading, Source};
use std::collections::HashMap;
use std::time::Duration;

const STAT: &str =
    "22094 (tide (gate) x) R 22089 22089 18662 0 -1 4194304 98 0 0 0 250 150 0 0 20 0 1 0 249 31 382";
const MACHINE: &str = "cpu  200 10 30 240 5 0 9 1 7 0\ncpu0 100 5 15 120 2 0 4 0 0 0\ncpu1 100 5 15 120 3 0 5 1 0 0\nintr 5 0\n";
const STATUS: &str = "Name:\ttidegate\nVmRSS:\t   20480 kB\nCpus_allowed:\tf\nCpus_allowed_list:\t0-2,7\n";
const MEMINFO: &str = "MemTotal:       1000 kB\nMemFree:        100 kB\nMemAvailable:   600 kB\n";

#[test]
fn processor_time_is_user_and_kernel() {
    assert_eq!(parse::process_cpu(STAT), Some(Duration::from_secs(4)));
    assert_eq!(parse::machine_cpu(MACHINE), Some((Duration::from_millis(2500), 2)));
    for broken in ["", "1 (x)", "1 (x) R 1 2 3", "no brackets at all", "1 (x) R 1 1 1 1 1 1 1 1 1 1 a b c"] {
        assert_eq!(parse::process_cpu(broken), None, "{broken:?}");
    }
    assert_eq!(parse::machine_cpu("cpu  1 2 x 4\n"), None);
    assert_eq!(parse::machine_cpu("intr 5 0\n"), None);
}

#[test]
fn processors_are_counted_by_ranges() {
    let count = |list: &str| parse::cpus_allowed(&format!("Cpus_allowed_list:\t{list}\n"));
    assert_eq!(parse::cpus_allowed(STATUS), Some(4));
    assert_eq!([count("0"), count("0-63"), count("1,3,5-6")], [Some(1), Some(64), Some(4)]);
    assert_eq!([count("3-1"), count("x"), count("")], [None, None, None]);
}

#[test]
fn quotas_are_in_cores_and_may_be_missing() {
    assert_eq!(parse::cpu_max("150000 100000\n"), Some(1.5));
    assert_eq!([parse::cpu_max("max 100000\n"), parse::cpu_max(""), parse::cpu_max("1 0")], [None; 3]);
    assert_eq!(parse::cpu_quota("50000\n", "100000\n"), Some(0.5));
    assert_eq!([parse::cpu_quota("-1\n", "100000\n"), parse::cpu_quota("50000", "")], [None; 2]);
}

#[test]
fn numbers_know_when_they_mean_no_limit() {
    assert_eq!(parse::bytes("1048576\n"), Some(1 << 20));
    assert_eq!([parse::bytes("max\n"), parse::bytes("9223372036854771712\n"), parse::bytes("")], [None; 3]);
    assert_eq!(parse::kib(MEMINFO, "MemAvailable"), Some(600 * 1024));
    assert_eq!([parse::kib(MEMINFO, "Mem"), parse::kib("MemTotal: x kB", "MemTotal")], [None; 2]);
    let stat = "anon 5\ninactive_file 77\ntotal_inactive_file 99\n";
    assert_eq!(parse::keyed(stat, "inactive_file"), Some(77));
    assert_eq!(parse::keyed(stat, "inactive"), None);
}

#[test]
fn a_group_is_found_by_its_controller() {
    let v1 = "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/cd\n1:name=systemd:/x\n0::/unified\n";
    let found = ["cpu", "memory", "pids", ""].map(|controller| parse::group(v1, controller));
    assert_eq!(found, [Some("/docker/ab"), Some("/docker/cd"), None, Some("/unified")]);
}

/// A reading of a process that has these files besides the usual ones.
fn reading(files: &[(&str, &str)]) -> Reading {
    let usual = [
        ("/proc/self/stat", STAT),
        ("/proc/stat", MACHINE),
        ("/proc/self/status", STATUS),
        ("/proc/meminfo", MEMINFO),
    ];
    let files: HashMap<&str, &str> = usual.into_iter().chain(files.iter().copied()).collect();
    Reading::take(|path| files.get(path).map(|text| (*text).to_owned()))
}

#[test]
fn without_groups_the_machine_is_the_limit() {
    let reading = reading(&[]);
    assert_eq!(reading.process_cpu, Some(Duration::from_secs(4)));
    assert_eq!(reading.cores, Some(4.0));
    assert_eq!(reading.resident, Some(20 << 20));
    let memory = Memory { source: Source::Machine, used: 400 * 1024, limit: 1000 * 1024 };
    assert_eq!((reading.memory, reading.group_cpu), (Some(memory), None));
}

#[test]
fn version_2_limits_count_also_from_above() {
    let reading = reading(&[
        ("/proc/self/cgroup", "0::/pod/app\n"),
        ("/sys/fs/cgroup/pod/app/cpu.max", "300000 100000\n"),
        ("/sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 1\n"),
        ("/sys/fs/cgroup/pod/cpu.max", "150000 100000\n"),
        ("/sys/fs/cgroup/pod/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
        ("/sys/fs/cgroup/pod/app/memory.max", "max\n"),
        ("/sys/fs/cgroup/pod/app/memory.current", "500\n"),
        ("/sys/fs/cgroup/pod/memory.max", "1000\n"),
        ("/sys/fs/cgroup/pod/memory.current", "900\n"),
        ("/sys/fs/cgroup/pod/memory.stat", "anon 1\ninactive_file 200\n"),
    ]);
    assert_eq!(reading.cores, Some(1.5));
    assert_eq!(reading.group_cpu, Some(Duration::from_millis(2500)));
    assert_eq!(reading.memory, Some(Memory { source: Source::Group, used: 700, limit: 1000 }));
}

#[test]
fn in_a_container_the_mounts_root_is_the_group() {
    let reading = reading(&[
        ("/proc/self/cgroup", "0::/host/path/that/is/not/mounted/here\n"),
        ("/sys/fs/cgroup/cpu.max", "50000 100000\n"),
        ("/sys/fs/cgroup/memory.max", "100\n"),
        ("/sys/fs/cgroup/memory.current", "99\n"),
    ]);
    assert_eq!(reading.cores, Some(0.5));
    assert_eq!(reading.memory.map(|memory| memory.used), Some(99));
}

#[test]
fn version_1_limits_count_too() {
    let reading = reading(&[
        ("/proc/self/cgroup", "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n"),
        ("/sys/fs/cgroup/cpu/docker/ab/cpu.cfs_quota_us", "200000\n"),
        ("/sys/fs/cgroup/cpu/docker/ab/cpu.cfs_period_us", "100000\n"),
        ("/sys/fs/cgroup/cpuacct/docker/ab/cpuacct.usage", "7000000000\n"),
        ("/sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "1000\n"),
        ("/sys/fs/cgroup/memory/docker/ab/memory.usage_in_bytes", "800\n"),
        ("/sys/fs/cgroup/memory/docker/ab/memory.stat", "inactive_file 5\ntotal_inactive_file 300\n"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ]);
    assert_eq!(reading.cores, Some(2.0));
    assert_eq!(reading.group_cpu, Some(Duration::from_secs(7)));
    assert_eq!(reading.memory, Some(Memory { source: Source::Group, used: 500, limit: 1000 }));
}

#[test]
fn the_fullest_memory_is_the_one_that_counts() {
    let reading =
        reading(&[("/sys/fs/cgroup/memory.max", "1000\n"), ("/sys/fs/cgroup/memory.current", "100\n")]);
    assert_eq!(reading.memory.map(|memory| memory.source), Some(Source::Machine));
}

#[test]
fn where_nothing_can_be_read_nothing_is_said() {
    assert_eq!(Reading::take(|_| None), Reading::default());
    assert_eq!(Reading::take(|_| Some("nonsense".to_owned())), Reading::default());
}
