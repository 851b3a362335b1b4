//! PostgreSQL and PgBouncer of a test's own: real processes on free ports of this machine, in a temporary folder.
//!
//! Neither runs as root. Each is started by a shell that waits for its own input to end: when the test lets go of
//! it, or is gone in whatever way, the shell ends its server by its process id and removes the folder.

#![allow(dead_code, reason = "each suite uses a part of it")]

pub mod bouncer;
pub mod program;

use program::{Guard, find, free_port, user};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for a server to start or stop.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Who may do everything, and needs no password.
pub const USER: &str = "tidegate";
/// Who needs one.
pub const GUEST: &str = "guest";
const INSTALL: &str = "install Debian package postgresql";

/// A PostgreSQL.
pub struct Server {
    guard: Option<Guard>,
    /// Holds the data and the socket; removed at the end.
    folder: TempDir,
    pub port: u16,
    databases: AtomicU32,
}

impl Server {
    /// Starts one with these further settings.
    pub fn start(settings: &str) -> Self {
        let folder = TempDir::with_prefix("tidegate-postgres-").unwrap();
        if let Some((uid, gid)) = user() {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let data = folder.path().join("data");
        program::run(
            &find("initdb", INSTALL),
            ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "--pgdata"],
            &data,
        );
        let port = free_port();
        let mut server = Self { guard: None, folder, port, databases: AtomicU32::new(0) };
        server.write("postgresql.auto.conf", &format!("{}{settings}", server.settings()));
        let rules = format!("host all {GUEST} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
        server.write("pg_hba.conf", &format!("{rules}local all all trust\n"));
        server.certify();
        server.launch();
        server
    }

    fn settings(&self) -> String {
        format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nmax_connections = 200\n\
             shared_buffers = '32MB'\nssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n\
             logging_collector = off\nlog_min_messages = warning\n",
            self.port,
            self.folder.path().display()
        )
    }

    /// A certificate for `localhost`, signed by itself.
    fn certify(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write("server.crt", &made.cert.pem());
        self.write("server.key", &made.signing_key.serialize_pem());
    }

    /// The certificate that shows who the server is.
    pub fn certificate(&self) -> PathBuf {
        self.data().join("server.crt")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = user() {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn launch(&mut self) {
        let postgres = find("postgres", INSTALL);
        let data = self.data();
        self.guard = Some(Guard::start(&postgres, &["-D".as_ref(), &data], "INT", self.folder.path()));
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        let begun = Instant::now();
        while !program::succeeds(
            &find("pg_isready", INSTALL),
            &["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()],
        ) {
            assert!(begun.elapsed() < PATIENCE, "a PostgreSQL that does not answer: {}", self.log());
            program::nap();
        }
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// An empty database; its name.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.tell("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// The address of a database here.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Does something as psql would; what comes of it, a row a line.
    pub fn tell(&self, database: &str, sql: &str) -> String {
        let port = self.port.to_string();
        let words = ["-h", "127.0.0.1", "-p", &port, "-U", USER, "-d", database, "-XAtqc", sql];
        program::output(&find("psql", "install Debian package postgresql-client"), &words)
    }

    /// Ends it as a loss of power would, but for what the system has in memory.
    pub fn crash(&mut self) {
        self.control(&["stop", "-m", "immediate"]);
        if let Some(guard) = self.guard.take() {
            guard.end();
        }
    }

    /// Starts it again with what it had on disk.
    pub fn restart(&mut self) {
        self.launch();
    }

    fn control(&self, words: &[&str]) {
        let data = self.data().display().to_string();
        let words: Vec<&str> = [words, &["-D", &data, "-t", "60", "-s"]].concat();
        program::output(&find("pg_ctl", INSTALL), &words);
    }

    /// Stops it and everything that it has started, as a machine that hangs.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let postmaster = self.postmaster();
        let mut all = vec![postmaster];
        all.extend(program::children(postmaster));
        for pid in all {
            // A child may have ended in between.
            let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
        }
    }

    fn postmaster(&self) -> i32 {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// Whether somebody listens.
    pub fn listens(&self) -> bool {
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).is_ok()
    }
}

impl Drop for Server {
    /// Wakes it up if it is frozen, as it would not hear that it is to end.
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.thaw();
        }
    }
}
