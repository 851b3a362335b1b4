//! Commands that speak to a running gateway over TLS. What they do there is tried under `tests/e2e`.

use crate::gateway::Gateway;
use crate::provider::Certificates;
use std::path::Path;
use std::process::{Command, Output};

fn tidegate(arguments: &[&str], ca_file: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).env_clear();
    if let Some(path) = ca_file {
        command.arg("--ca-file").arg(path);
    }
    command.output().unwrap()
}

#[tokio::test]
async fn a_gateway_behind_tls_is_asked_where_its_authority_is_trusted() {
    let certificates = Certificates::make();
    let tls = format!("tls = {{ cert = {:?}, key = {:?} }}\n", certificates.cert(), certificates.key());
    let gateway = Gateway::start(&format!("[server]\n{tls}[admin]\n{tls}"));
    let prompts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(prompts.path(), "\"one\"\n\"two\"\n\"one\"\n").unwrap();
    let (data, admin) = (gateway.data.port(), gateway.admin.port());
    let (data, admin) = (format!("https://localhost:{data}"), format!("https://localhost:{admin}"));
    let file = prompts.path().to_str().unwrap();
    let warm = ["cache", "warm", file, "--model", "sim/instant", "--url", &data];
    let stats = ["cache", "stats", "--admin", &admin];

    for (command, expected) in [(&warm[..], "3 prompts"), (&stats[..], "misses       2\n")] {
        let output = tidegate(command, Some(&certificates.ca()));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(expected), "{output:?}");
        let output = tidegate(command, None);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("certificate"), "{output:?}");
    }
}
