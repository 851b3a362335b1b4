//! `tidegate bench run`: flags for the load generator, and what follows from its report. The load
//! itself, and what is measured, is `rig::load`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use rig::load::{self, Arrivals, Bar, Mode, Options, Progress, Prompt, Report, Silent, Threshold, Url};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::config::print;
use super::signals::Signals;

#[cfg(test)]
mod tests;

/// A run whose threshold was missed.
const MISSED: u8 = 99;
const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Load an OpenAI-compatible URL and report how long the answers take.
    // Boxed: it has many more flags than its siblings will.
    Run(Box<RunArgs>),
}

/// What load, where to, and what to make of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidegate bench run
  tidegate bench run --concurrency 64 --stream
  tidegate bench run --rate 500 --poisson --duration 1m
  tidegate bench run --against http://127.0.0.1:4010/v1 --against-model fast
  tidegate bench run --threshold 'total_p99<500ms' --threshold 'error_rate<=0.1%'
  tidegate bench run --quiet --json | jq .target.total_us.p99

With --concurrency a request is sent when another is answered: what can the server do?
With --rate requests are sent when they are due and timed from then: what would users feel?

A threshold bounds total, ttft, gap or lag with _p50, _p90, _p95, _p99, _p99.9, _max or _mean; or rps, fps, tps, \
requests, errors or error_rate. With --against also against.total_p99, added.total_p99, ratio.rps and so on.

Exit codes: 0 done, 1 failed or nothing answered, 2 wrong usage, 99 a threshold was missed.")]
pub(super) struct RunArgs {
    /// Base URL of the server; `/chat/completions` is appended.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000/v1")]
    url: Url,
    /// Load this base URL too, in turn with the first, and report ratios and added time.
    #[arg(long, value_name = "URL")]
    against: Option<Url>,
    /// Model to ask for.
    #[arg(long, value_name = "MODEL", default_value = "sim/fast")]
    model: String,
    /// Model to ask for at --against. Without it: the same.
    #[arg(long, value_name = "MODEL", requires = "against")]
    against_model: Option<String>,

    /// Requests under way at once.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 16, help_heading = "Load")]
    concurrency: usize,
    /// Send this many requests a second instead, whether or not earlier ones are answered.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "concurrency", help_heading = "Load")]
    rate: Option<f64>,
    /// With --rate: space requests at random, as independent users would, and not evenly.
    #[arg(long, requires = "rate", help_heading = "Load")]
    poisson: bool,
    /// With --rate: the most requests under way; more are counted as client_overflow.
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "rate", help_heading = "Load")]
    max_in_flight: usize,
    /// How long each side is measured, such as 500ms, 10s or 1m30s. Without it: 10s, or as long as
    /// --requests take.
    #[arg(long, short = 'd', value_name = "TIME", value_parser = load::units::parse_duration, help_heading = "Load")]
    duration: Option<Duration>,
    /// How many requests each side is sent at most.
    #[arg(long, short = 'n', value_name = "N", help_heading = "Load")]
    requests: Option<u64>,
    /// Load before the measurement, which is not counted.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = load::units::parse_duration, help_heading = "Load")]
    warmup: Duration,
    /// With --against: slices in which the two sides take turns.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "against", help_heading = "Load")]
    rounds: u32,
    /// The longest that one request may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = load::units::parse_duration, help_heading = "Load")]
    timeout: Duration,
    /// Threads that send. One is enough for most servers on the same machine.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Load")]
    threads: usize,

    /// Ask for streams, and measure the first token and the time between tokens.
    #[arg(long, help_heading = "Request")]
    stream: bool,
    /// What to ask. Without it: a short question.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_bytes", help_heading = "Request")]
    prompt: Option<String>,
    /// Ask with words drawn at random, this many bytes of them.
    #[arg(long, value_name = "BYTES", help_heading = "Request")]
    prompt_bytes: Option<usize>,
    /// Give each request a prompt of its own, so that no cache answers it.
    #[arg(long, help_heading = "Request")]
    unique_prompts: bool,
    /// The most tokens that an answer may have.
    #[arg(long, value_name = "N", help_heading = "Request")]
    max_tokens: Option<u32>,
    /// Do not ask streams for their usage, for servers that refuse `stream_options`.
    #[arg(long, help_heading = "Request")]
    no_usage: bool,
    /// Key sent to --url as a bearer token.
    #[arg(
        long,
        value_name = "KEY",
        env = "TIDEGATE_API_KEY",
        hide_env_values = true,
        help_heading = "Request"
    )]
    api_key: Option<String>,
    /// Key sent to --against; --api-key is not sent there.
    #[arg(
        long,
        value_name = "KEY",
        env = "TIDEGATE_AGAINST_API_KEY",
        hide_env_values = true,
        help_heading = "Request"
    )]
    against_api_key: Option<String>,
    /// Further header, `NAME: VALUE`, sent to both sides. May be given again.
    #[arg(long = "header", short = 'H', value_name = "HEADER", value_parser = header, help_heading = "Request")]
    headers: Vec<(String, String)>,
    /// PEM file of certificates to trust besides the system's.
    #[arg(long, value_name = "FILE", help_heading = "Request")]
    ca_file: Option<PathBuf>,
    /// What random draws come from: the same seed sends the same prompts at the same times.
    /// Without it: another each run.
    #[arg(long, value_name = "N", help_heading = "Request")]
    seed: Option<u64>,

    /// Write the report as JSON to a file, or to stdout without one; the table then goes to stderr.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", help_heading = "Report")]
    json: Option<PathBuf>,
    /// Exit with 99 unless this holds, such as 'ttft_p95<500ms' or 'ratio.total_p99<=1.5'. May be given again.
    #[arg(long = "threshold", value_name = "BOUND", help_heading = "Report")]
    thresholds: Vec<Threshold>,
    /// Show no progress and no table.
    #[arg(long, short = 'q', help_heading = "Report")]
    quiet: bool,
}

pub(super) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("a header is written NAME: VALUE".to_owned()),
    }
}

/// Why a run came to no report, and the exit code that says so.
type Refusal = (u8, String);

/// Does what was asked for.
pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Run(args) = command;
    measure(args).unwrap_or_else(|(code, message)| {
        eprintln!("error: {message}");
        ExitCode::from(code)
    })
}

fn measure(args: &RunArgs) -> Result<ExitCode, Refusal> {
    let options = options(args);
    options.validate().map_err(|error| refusal(&error))?;
    if args.against.is_none()
        && let Some(threshold) = args.thresholds.iter().find(|threshold| threshold.compares())
    {
        return Err((
            USAGE,
            format!("--threshold '{threshold}' compares two sides; give the other with --against"),
        ));
    }
    let mut json = Json::open(args)?;
    raise_descriptor_limit(options.in_flight_max());
    let report = load_until_stopped(&options, args.quiet)?;
    json.write(&report)?;
    if !args.quiet {
        show(args, &report);
    }
    Ok(verdict(args, &report))
}

fn options(args: &RunArgs) -> Options {
    let mode = match args.rate {
        None => Mode::Closed { concurrency: args.concurrency },
        Some(rate) => Mode::Open {
            rate,
            arrivals: if args.poisson { Arrivals::Poisson } else { Arrivals::Constant },
            max_in_flight: args.max_in_flight,
        },
    };
    let prompt = match (&args.prompt, args.prompt_bytes) {
        (Some(text), _) => Prompt::Text(text.clone()),
        (None, Some(bytes)) => Prompt::Synthetic { bytes },
        (None, None) => Prompt::default(),
    };
    Options {
        against: args.against.clone(),
        against_model: args.against_model.clone(),
        mode,
        duration: args.duration.or(args.requests.is_none().then_some(Duration::from_secs(10))),
        requests: args.requests,
        warmup: args.warmup,
        rounds: args.rounds,
        stream: args.stream,
        ask_usage: !args.no_usage,
        prompt,
        unique_prompts: args.unique_prompts,
        max_tokens: args.max_tokens,
        api_key: args.api_key.clone(),
        against_api_key: args.against_api_key.clone(),
        headers: args.headers.clone(),
        timeout: args.timeout,
        threads: args.threads,
        seed: args.seed.unwrap_or_else(seed_of_now),
        ca_file: args.ca_file.clone(),
        ..Options::new(args.url.clone(), args.model.clone())
    }
}

/// Another seed each run, or a second run's "unique" prompts would find the first one's in a cache.
/// Below 2⁵³, so that JSON readers of every language keep it.
fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default() & ((1 << 53) - 1)
}

/// Runs the load on a thread of its own and waits for its end; an interrupt stops it early, and
/// what was measured until then is reported all the same.
fn load_until_stopped(options: &Options, quiet: bool) -> Result<Report, Refusal> {
    let failed = |error: std::io::Error| (FAILED, error.to_string());
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::catch().map_err(failed)?
    };
    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let _over = over.clone().drop_guard();
            let progress: Box<dyn Progress> = if quiet { Box::new(Silent) } else { Box::new(Bar::new()) };
            load::run(options, &*progress, &stop)
        });
        runtime.block_on(async {
            tokio::select! {
                () = over.cancelled() => {}
                () = signals.any() => stop.cancel(),
            }
        });
        let loaded = load.join().map_err(|_| (FAILED, "the load generator died".to_owned()))?;
        loaded.map_err(|error| refusal(&error))
    })
}

fn refusal(error: &load::Error) -> Refusal {
    let code = match error {
        load::Error::Option(_) | load::Error::CaFile { .. } => USAGE,
        _ => FAILED,
    };
    (code, error.to_string())
}

/// A request is a connection. The soft limit of most systems is 1,024, the hard one far above.
fn raise_descriptor_limit(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= connections as u64 + 64);
    if enough(limit.current) {
        return;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if raised.is_err() || !enough(limit.maximum) {
        eprintln!(
            "warning: the system allows fewer open files than {connections} connections need; see ulimit -n"
        );
    }
}

/// Where the JSON report goes. Opened before the load, so that a path that cannot be written is told
/// at once and not after the last minute; an older report stays until there is a new one.
enum Json {
    Nowhere,
    Stdout,
    File(PathBuf, File),
}

impl Json {
    fn open(args: &RunArgs) -> Result<Self, Refusal> {
        match &args.json {
            None => Ok(Self::Nowhere),
            Some(path) if path.as_os_str() == "-" => Ok(Self::Stdout),
            Some(path) => match OpenOptions::new().create(true).write(true).truncate(false).open(path) {
                Ok(file) => Ok(Self::File(path.clone(), file)),
                Err(error) => Err((USAGE, format!("--json {}: {error}", path.display()))),
            },
        }
    }

    fn write(&mut self, report: &Report) -> Result<(), Refusal> {
        let json = serde_json::to_string_pretty(report).map_err(|error| (FAILED, error.to_string()))? + "\n";
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => {
                print(&json);
                Ok(())
            }
            Self::File(path, file) => file
                .set_len(0)
                .and_then(|()| file.write_all(json.as_bytes()))
                .map_err(|error| (FAILED, format!("--json {}: {error}", path.display()))),
        }
    }
}

fn show(args: &RunArgs, report: &Report) {
    let stdout_is_json = args.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if stdout_is_json {
        eprint!("{}", report.table());
    } else {
        print(&report.table());
    }
}

/// Tells the thresholds, and what the run comes to.
fn verdict(args: &RunArgs, report: &Report) -> ExitCode {
    let verdicts: Vec<_> = args.thresholds.iter().map(|threshold| threshold.judge(report)).collect();
    for verdict in verdicts.iter().filter(|verdict| !args.quiet || !verdict.met) {
        eprintln!("threshold {verdict}");
    }
    if report.target.succeeded == 0 {
        eprintln!("error: no request was answered well");
        return ExitCode::from(FAILED);
    }
    if verdicts.iter().any(|verdict| !verdict.met) { ExitCode::from(MISSED) } else { ExitCode::SUCCESS }
}
