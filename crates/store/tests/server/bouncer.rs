//! A PgBouncer in transaction mode.

use super::program::{Guard, find, free_port, nap, user};
use super::{PATIENCE, Server, USER};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::time::Instant;
use tempfile::TempDir;

/// A PgBouncer before a PostgreSQL.
pub struct Bouncer {
    _guard: Guard,
    _folder: TempDir,
    port: u16,
}

impl Bouncer {
    /// Starts one with a few connections to the server, fewer than it has callers.
    pub fn start(server: &Server) -> Self {
        let folder = TempDir::with_prefix("tidegate-pgbouncer-").unwrap();
        let port = free_port();
        let path = |name: &str| folder.path().join(name);
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 5\n\
             max_client_conn = 1000\nserver_round_robin = 1\nunix_socket_dir =\nlog_connections = 0\n\
             log_disconnections = 0\nserver_login_retry = 1\nquery_wait_timeout = 5\n",
            server.port,
            path("users").display(),
        );
        fs::write(path("settings.ini"), settings).unwrap();
        fs::write(path("users"), format!("\"{USER}\" \"\"\n")).unwrap();
        if let Some((uid, gid)) = user() {
            for path in [folder.path().to_owned(), path("settings.ini"), path("users")] {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        let program = find("pgbouncer", "install Debian package pgbouncer");
        let guard = Guard::start(&program, &[&path("settings.ini")], "INT", folder.path());
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{}", fs::read_to_string(path("log")).unwrap_or_default());
            nap();
        }
        Self { _guard: guard, _folder: folder, port }
    }

    /// The address of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }
}
