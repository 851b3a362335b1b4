//! Programs that a test starts: where they are, as whom they run, and how they end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program with this name: in the path, or where Debian keeps those that are not for everybody.
pub fn find(name: &str, install: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "a test looks for its servers as a shell would")]
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    folders.extend(["/usr/sbin".into(), "/sbin".into()]);
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort_by_key(|path| {
        path.file_name().and_then(OsStr::to_str).and_then(|version| version.parse::<u32>().ok())
    });
    folders.extend(versions.into_iter().rev().map(|path| path.join("bin")));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no {name}: {install}"))
}

/// As whom servers run where the test is root, which they refuse: `postgres`, or `nobody`.
pub fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let all = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        all.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)
    };
    let fields = find("postgres").or_else(|| find("nobody")).expect("no user postgres, and no nobody");
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    // A folder that whoever it runs as may be in.
    command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
    if let Some((uid, gid)) = user() {
        command.uid(uid).gid(gid);
    }
    command
}

/// Runs a program to its good end; what it writes.
pub fn output(program: &Path, arguments: &[&str]) -> String {
    let output = command(program).args(arguments).output().unwrap();
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {fault}", program.display());
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The same, with a path at the end.
pub fn run<const N: usize>(program: &Path, arguments: [&str; N], path: &Path) {
    output(program, &[&arguments[..], &[path.to_str().unwrap()]].concat());
}

/// Whether a program says yes.
pub fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    command(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// A server under a shell that ends it.
pub struct Guard {
    shell: Child,
}

impl Guard {
    /// Starts a server that logs into `folder`; `signal` ends it. The folder goes with it.
    pub fn start(program: &Path, arguments: &[&Path], signal: &str, folder: &Path) -> Self {
        const SCRIPT: &str = "
            signal=$1 folder=$2; shift 2
            \"$@\" </dev/null & server=$!
            read -r keep
            kill -s \"$signal\" $server; kill -s CONT $server; wait $server
            [ -n \"$keep\" ] || rm -rf \"$folder\"";
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let shell = command("/bin/sh".as_ref())
            .args(["-c", SCRIPT, "sh", signal])
            .arg(folder)
            .arg(program)
            .args(arguments)
            // Whoever interrupts the test does not interrupt this.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { shell }
    }

    /// Ends the server, and leaves its folder.
    pub fn end(mut self) {
        self.shell.stdin.as_ref().unwrap().write_all(b"keep\n").unwrap();
        self.shell.wait().unwrap();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The end of its input is its sign.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// The processes that this one has started.
pub fn children(of: i32) -> Vec<i32> {
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may hold anything but ends with the last bracket.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid) == Some(of)).collect()
}

/// A port that is free, below the range that the system takes ports from.
pub fn free_port() -> u16 {
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..1000).map(|_| fastrand::u16(22_000..32_000)).find(|port| is_free(*port)).expect("a free port")
}

/// A moment's rest between two looks.
pub fn nap() {
    #[expect(clippy::disallowed_methods, reason = "in a test's thread, before anything runs on it")]
    std::thread::sleep(Duration::from_millis(20));
}
