//! `tidegate mock`: the simulated provider as a server of its own.

use super::serve::address;
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
    after_help = "Models: instant (no delay), fast (20 ms, 2 ms), slow (800 ms, 20 ms), flaky (fails by rate), \
embed; any other name takes the delays given here.

A prompt may carry directives, as in [[sim: status=503 retry_after=2]]. A script says the same as JSON, an object for \
each of the next requests: --script reads one, and POST /sim/script takes one. DELETE /sim/script forgets it; GET \
/sim/log tells what came in.

Directives:
  status=503                  an error with this status, 300 to 599
  retry_after=2               its header
  retry_after_ms=1500         its header in milliseconds
  location=URL                its header, for a redirect
  hang                        no answer ever comes
  hang_after=3                silence after three frames
  reset                       the connection is reset before the head
  reset_after=100             the same after 100 bytes of the body
  garbage                     bytes that are neither JSON nor UTF-8
  garbage_after=2             the same after two frames
  error_frame_after=2         an error object as a frame, then the end
  cut_after=2                 the body ends after two frames as if whole
  no_done                     a stream without [DONE]
  drip=5ms                    one byte at a time, this far apart
  tokens=5                    how long the text is
  bytes=1024                  the same in bytes
  first_token=100ms           the time to the first token, whatever the model
  between_tokens=1ms          the time between tokens, whatever the model

Batches run as at OpenAI: /v1/files, /v1/batches. Each line follows the directives in its own prompt, and the batch \
is done when its last line is; the script speaks of the calls alone.

Examples:
  tidegate mock
  tidegate mock --listen 127.0.0.1:4010 --first-token-ms 200 --errors 0.05
  curl 127.0.0.1:4010/sim/script -d '[{\"status\": 503, \"retry_after\": 2}, {\"hang\": true}]'"
)]
pub(super) struct Args {
    /// Where it listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4010", value_parser = address)]
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
    /// A script for the first requests, as for POST /sim/script.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Args;
    use clap::Args as _;
    use rig::sim::{Settings, Sim};

    #[test]
    fn the_help_tells_of_every_directive() {
        let help = Args::augment_args(clap::Command::new("mock")).render_help().to_string();
        let refused =
            Sim::new(Settings::default()).load_script(r#"[{"no such": 1}]"#).unwrap_err().to_string();
        let (_, known) = refused.rsplit_once("there are ").unwrap();
        // A line each, with an example of its value.
        let told: Vec<_> =
            help.lines().filter_map(|line| line.trim_start().split([' ', '=']).next()).collect();
        let missing: Vec<&str> = known.split(", ").filter(|word| !told.contains(word)).collect();
        assert!(missing.is_empty() && known.contains("hang_after"), "{missing:?} of {refused}");
        assert!(help.contains(r#"'[{"status": 503, "retry_after": 2}"#), "{help}");
    }
}
