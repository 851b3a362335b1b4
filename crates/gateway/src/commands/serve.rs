//! `tidegate serve`.

use super::check::refused;
use crate::app::{self, Listening};
use crate::config::{Config, LogFormat, Override, Sources};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Run the gateway. With no file and no keys it starts anyway, on the built-in simulated provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate serve
  OPENAI_API_KEY=sk-… tidegate serve
  tidegate serve --config tidegate.toml --listen 127.0.0.1:8080")]
pub(super) struct Args {
    /// The configuration file: TOML, YAML or JSON. Without it the first that is there of ./tidegate.toml,
    /// ./tidegate.yaml, ./tidegate.yml and ./tidegate.json.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where callers come in, over `server.listen`. Default 127.0.0.1:4000.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Where the admin plane listens, over `admin.listen`. Default 127.0.0.1:4001.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    admin_listen: Option<SocketAddr>,
}

/// Serves until told to stop.
pub(super) fn run(args: &Args) -> ExitCode {
    let sources = sources(args);
    let loaded = match Config::load(&sources) {
        Ok(loaded) => loaded.with_data_folder_tried(),
        Err(faults) => return refused(&faults),
    };
    start_log(&loaded.config);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    raise_descriptor_limit();
    match app::run(&loaded, &sources, announce) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                app::Error::Tls(_) | app::Error::Provider { .. } => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// An address to listen at, in the words of the configuration's own.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.rsplit_once(':') {
        Some(("localhost" | "", port)) if port.parse::<u16>().is_ok() => {
            format!("not an address with a port; write 127.0.0.1:{port}")
        }
        _ => "not an address with a port; write an address and a port: 127.0.0.1:4000, [::1]:4000".to_owned(),
    })
}

fn sources(args: &Args) -> Sources {
    let mut overrides = Vec::new();
    if let Some(listen) = args.listen {
        overrides.push(Override::new("--listen", "server.listen", listen.to_string()));
    }
    if let Some(listen) = args.admin_listen {
        overrides.push(Override::new("--admin-listen", "admin.listen", listen.to_string()));
    }
    Sources { overrides, ..Sources::of_process(args.config.clone()) }
}

fn start_log(config: &Config) {
    let terminal = std::io::stderr().is_terminal();
    let json = match config.log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let filter = EnvFilter::try_new(&config.log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written is lost. To say so on the same stderr would panic in whatever was to be logged:
    // a full disk would take requests and jobs with it.
    let log = log.log_internal_errors(false);
    if json { log.json().init() } else { log.with_ansi(terminal).with_target(false).init() }
}

/// A stream is two descriptors. The soft limit of most systems is 1,024, the hard one far above.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// Tells where we listen and what a newcomer can do next, on stdout: the log goes to stderr.
fn announce(config: &Config, listening: Listening) {
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    let data = format!("{}://{}", scheme(config.server.tls.is_some()), listening.data);
    let admin = format!("{}://{}", scheme(config.admin.tls.is_some()), listening.admin);
    println!("tidegate {} listens on {data}, admin plane on {admin}", env!("CARGO_PKG_VERSION"));
    let real: Vec<&str> =
        config.providers.values().filter(|p| p.base_url.is_some()).map(|p| p.name.as_str()).collect();
    if real.is_empty() {
        println!(
            "no provider is configured: the built-in simulated one answers as sim/instant, sim/fast, sim/slow, sim/flaky and sim/embed"
        );
        println!("set OPENAI_API_KEY, or another provider's key, and start again for real answers");
    } else {
        println!("providers: {}", real.join(", "));
    }
    let model = config.models.keys().next().map_or("sim/fast", String::as_str);
    let key = if listening.needs_key { " -H 'authorization: Bearer tg-…'" } else { "" };
    println!(
        "try: curl {data}/v1/chat/completions{key} -H 'content-type: application/json' -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'"
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::address;

    #[test]
    fn an_address_that_is_none_is_told_with_its_mend() {
        for good in ["127.0.0.1:4000", "[::1]:0"] {
            assert_eq!(address(good).unwrap().to_string(), good);
        }
        for (bad, mend) in [
            ("foo", "[::1]:4000"),
            ("127.0.0.1", "[::1]:4000"),
            (":80", "127.0.0.1:80"),
            ("localhost:80", "127.0.0.1:80"),
        ] {
            let told = address(bad).unwrap_err();
            assert!(
                told.starts_with("not an address with a port; ") && told.ends_with(mend),
                "{bad}: {told}"
            );
        }
    }
}
