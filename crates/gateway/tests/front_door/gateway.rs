//! A gateway of a test's own: the binary with a configuration file, ended when dropped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Gateway {
    child: Child,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
    folder: TempDir,
}

impl Gateway {
    /// Starts on free ports with `config` as the rest of its file, and waits until it listens.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tidegate.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .env_clear()
            .env("TIDEGATE__LOG__LEVEL", "error")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("it says where it listens").unwrap();
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut addresses = first.split("://").skip(1).map(|rest| rest.split(',').next().unwrap());
        let mut address = || addresses.next().unwrap().parse().unwrap();
        Self { child, data: address(), admin: address(), folder }
    }

    /// Puts another file in its place; it is read within a second or two.
    pub(crate) fn rewrite(&self, config: &str) {
        std::fs::write(self.folder.path().join("tidegate.toml"), config).unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
