//! Flags become options, and a run becomes an exit code, against the simulated provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::Parser;
use rig::sim::{Settings, Sim};
use tokio::net::TcpListener;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn args(flags: &[&str]) -> Result<RunArgs, clap::Error> {
    let line = Line::try_parse_from(["bench", "run"].iter().chain(flags))?;
    let Command::Run(args) = line.command;
    Ok(*args)
}

#[test]
fn without_flags_the_built_in_model_is_loaded_for_ten_seconds() {
    let options = options(&args(&[]).unwrap());
    assert_eq!(options.url.to_string(), "http://127.0.0.1:4000/v1");
    assert_eq!(options.model, "sim/fast");
    assert_eq!(options.mode, Mode::Closed { concurrency: 16 });
    assert_eq!(options.duration, Some(Duration::from_secs(10)));
    assert!(options.validate().is_ok());
}

#[test]
fn flags_become_options() {
    let flags = [
        "--rate=500",
        "--poisson",
        "--max-in-flight=7",
        "-n",
        "100",
        "--stream",
        "--prompt-bytes=1024",
        "-H",
        "x-team: search",
        "--seed=5",
        "--against=http://127.0.0.1:1/v1",
        "--against-model=m",
    ];
    let options = options(&args(&flags).unwrap());
    let mode = Mode::Open { rate: 500.0, arrivals: Arrivals::Poisson, max_in_flight: 7 };
    assert_eq!(options.mode, mode);
    assert_eq!((options.requests, options.duration), (Some(100), None));
    assert_eq!(options.prompt, Prompt::Synthetic { bytes: 1024 });
    assert_eq!(options.headers, [("x-team".to_owned(), "search".to_owned())]);
    assert_eq!((options.stream, options.seed), (true, 5));
    assert_eq!(options.against_model.as_deref(), Some("m"));
}

#[test]
fn wrong_usage_is_refused_by_the_flag() {
    for flags in [
        ["--url=ftp://h"].as_slice(),
        &["--url=127.0.0.1:4000"],
        &["--duration=10"],
        &["--rate=5", "--concurrency=2"],
        &["--poisson"],
        &["--rounds=2"],
        &["--against-model=m"],
        &["--prompt=a", "--prompt-bytes=2"],
        &["--header=nothing"],
        &["--threshold=p99<5"],
    ] {
        assert!(args(flags).is_err(), "{flags:?}");
    }
}

/// The exit code of a run against a simulated provider, unless the flags name another server.
fn exit(flags: &[&str]) -> Result<ExitCode, Refusal> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("--url=http://{}/v1", listener.local_addr().unwrap());
    let mut line = vec!["--model=sim/instant", "-n20", "-c2", "--warmup=0s", "--quiet"];
    if !flags.iter().any(|flag| flag.starts_with("--url")) {
        line.push(&url);
    }
    line.extend(flags);
    let drain = CancellationToken::new();
    let stop = drain.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                rig::mock::serve(listener, Sim::new(Settings::default()), stop).await.unwrap();
            });
        });
        let _drain = drain.drop_guard();
        measure(&args(&line).unwrap())
    })
}

#[test]
fn the_exit_code_tells_what_the_run_came_to() {
    assert_eq!(exit(&[]).unwrap(), ExitCode::SUCCESS);
    assert_eq!(exit(&["--stream", "--threshold=errors<=0"]).unwrap(), ExitCode::SUCCESS);
    let missed = exit(&["--threshold=total_p50<1h", "--threshold=total_p50<0s"]);
    assert_eq!(missed.unwrap(), ExitCode::from(MISSED));
    // Not a stream, so no first token: a threshold on it is not kept.
    assert_eq!(exit(&["--threshold=ttft_p50<1h"]).unwrap(), ExitCode::from(MISSED));
    assert_eq!(exit(&["--url=http://127.0.0.1:1/v1"]).unwrap_err().0, FAILED);
    assert_eq!(exit(&["--prompt=[[sim: status=503]]"]).unwrap(), ExitCode::from(FAILED));
    assert_eq!(exit(&["--threads=0"]).unwrap_err().0, USAGE);
    assert_eq!(exit(&["--threshold=ratio.rps>1"]).unwrap_err().0, USAGE);
    assert_eq!(exit(&["--ca-file=/nowhere", "--url=https://127.0.0.1:1/v1"]).unwrap_err().0, USAGE);
    assert_eq!(exit(&["--json=/nowhere/report.json"]).unwrap_err().0, USAGE);
}

#[test]
fn the_json_report_replaces_an_older_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x".repeat(100_000)).unwrap();
    let flag = format!("--json={}", file.path().display());
    exit(&[&flag, "--api-key=tg-secret-of-mine"]).unwrap();
    let json = std::fs::read_to_string(file.path()).unwrap();
    let report: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(report.target.succeeded, 20);
    assert!(!json.contains("tg-secret-of-mine"));
}
