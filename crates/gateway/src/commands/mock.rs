//! `tidegate mock`: the simulated provider as a server of its own.

use rig::sim::{Settings, Sim};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Run the simulated provider as a server of its own.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Models: instant (no delay), fast (20 ms, 2 ms), slow (800 ms, 20 ms), flaky (fails by rate), embed;
any other name takes the delays given here.

A prompt may carry directives: [[sim: status=503 retry_after=2]], [[sim: hang]], [[sim: reset_after=100]],
[[sim: garbage]], [[sim: drip=5ms]], [[sim: no_done]], [[sim: tokens=5]]. POST /sim/script takes a list of them
for the next requests, GET /sim/log tells what came in.

Batches run as at OpenAI: /v1/files, /v1/batches. Each line follows the directives in its own prompt, and the batch
is done when its last line is; the script speaks of the calls alone.

Examples:
  tidegate mock
  tidegate mock --listen 127.0.0.1:4010 --first-token-ms 200 --errors 0.05"
)]
pub(super) struct Args {
    /// Where it listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4010")]
    listen: SocketAddr,
    /// Milliseconds to the first token.
    #[arg(long, value_name = "MS", default_value_t = 20)]
    first_token_ms: u64,
    /// Milliseconds between tokens.
    #[arg(long, value_name = "MS", default_value_t = 2)]
    between_tokens_ms: u64,
    /// Tokens in an answer that nothing else bounds.
    #[arg(long, value_name = "N", default_value_t = 64)]
    tokens: u32,
    /// Share of requests that fail, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    errors: f64,
    /// Share of each delay that varies, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    jitter: f64,
    /// What the answers are drawn from: the same seed and prompt give the same answer.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// A JSON list of faults for the first requests, in order.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Serves until interrupted.
pub(super) fn run(args: &Args) -> ExitCode {
    match prepare(args).and_then(|sim| serve(args.listen, sim)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("error: {message}");
            ExitCode::from(code)
        }
    }
}

fn prepare(args: &Args) -> Result<Sim, (u8, String)> {
    for (flag, share) in [("--errors", args.errors), ("--jitter", args.jitter)] {
        if !(0.0..=1.0).contains(&share) {
            return Err((2, format!("{flag} must lie between 0 and 1, not {share}")));
        }
    }
    let sim = Sim::new(Settings {
        first_token: Duration::from_millis(args.first_token_ms),
        between_tokens: Duration::from_millis(args.between_tokens_ms),
        tokens: args.tokens,
        errors: args.errors,
        jitter: args.jitter,
        seed: args.seed,
    });
    if let Some(path) = &args.script {
        let fault = |what: String| (2, format!("--script {}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        sim.load_script(&text).map_err(|error| fault(error.to_string()))?;
    }
    Ok(sim)
}

fn serve(listen: SocketAddr, sim: Sim) -> Result<(), (u8, String)> {
    let failed = |error: std::io::Error| (1, error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            (1, format!("cannot listen on {listen}: {error}; choose another address with --listen"))
        })?;
        let address = listener.local_addr().map_err(failed)?;
        println!("the simulated provider listens on http://{address}/v1");
        let drain = CancellationToken::new();
        let stop = drain.clone();
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            result = rig::mock::serve(listener, sim, drain) => result.map_err(failed),
            _ = tokio::signal::ctrl_c() => { stop.cancel(); Ok(()) }
            _ = terminate.recv() => { stop.cancel(); Ok(()) }
        }
    })
}
