//! The semantic tier on the labelled pairs: how many paraphrases it finds and how many near-misses it takes
//! for one, by acceptor and by category, with Wilson's intervals. Run by `scripts/semantic-eval`.
//!
//! Arguments: `--data FOLDER`, `--half dev|test|all|attacks`, `--model FOLDER` (needs the feature `minilm`), and
//! `--errors` to list the pairs that were decided wrongly.
//!
//! The halves were drawn before anything was tuned, by the hash of each pair. Word lists and rules were only
//! ever changed by what `dev` showed.

use cache::key::Key;
use cache::semantic::embed::{Embedder, Lexical};
use cache::semantic::{Fingerprint, Options, Outcome, Question, Semantic, wilson};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

struct Pair {
    a: String,
    b: String,
    same: bool,
    category: String,
}

#[derive(Default)]
struct Arguments {
    data: PathBuf,
    half: String,
    model: Option<PathBuf>,
    errors: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("semantic_eval: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments = arguments()?;
    let pairs = pairs(&arguments.data, &arguments.half)?;
    let same = pairs.iter().filter(|pair| pair.same).count();
    println!("half {}: {} paraphrases, {} near-misses", arguments.half, same, pairs.len() - same);
    evaluate("lexical", &Lexical, &pairs, arguments.errors)?;
    match &arguments.model {
        Some(folder) => with_model(folder, &pairs, arguments.errors),
        None => Ok(()),
    }
}

#[cfg(feature = "minilm")]
fn with_model(folder: &Path, pairs: &[Pair], errors: bool) -> Result<(), Failure> {
    evaluate("minilm", &cache::semantic::embed::MiniLm::open(folder)?, pairs, errors)
}

#[cfg(not(feature = "minilm"))]
fn with_model(_: &Path, _: &[Pair], _: bool) -> Result<(), Failure> {
    Err("a model needs the feature minilm: cargo run --features minilm …".into())
}

/// Cosine alone at the least threshold, and the tier as it is served with `accept = "local"`.
fn evaluate(name: &str, embedder: &dyn Embedder, pairs: &[Pair], errors: bool) -> Result<(), Failure> {
    let (mut alone, mut local) = (Table::default(), Table::default());
    for pair in pairs {
        let a = embedder.embed_blocking(&pair.a)?;
        let b = embedder.embed_blocking(&pair.b)?;
        let cosine = a.cosine(&b);
        alone.add(pair, cosine >= cache::semantic::COSINE_MIN);
        let hit = served(pair, &a, &b);
        local.add(pair, hit);
        if errors && hit != pair.same {
            println!(
                "  {} {cosine:.3} {}: {} / {}",
                if hit { "FALSE HIT" } else { "missed" },
                pair.category,
                pair.a,
                pair.b
            );
        }
    }
    alone.print(&format!("{name}, cosine alone ≥ {}", cache::semantic::COSINE_MIN));
    local.print(&format!("{name} + local"));
    Ok(())
}

/// Whether the tier answers `b` by what is stored for `a`.
fn served(pair: &Pair, a: &cache::semantic::Vector, b: &cache::semantic::Vector) -> bool {
    let (Ok(stored), Ok(asked)) = (Question::read(&pair.a), Question::read(&pair.b)) else { return false };
    let semantic = Semantic::new(Options::default());
    let partition = Fingerprint::from_bytes([0; 32]);
    semantic.insert(&partition, &stored, a, Key::from_bytes([1; 32]));
    matches!(semantic.lookup(&partition, &asked, b), Outcome::Hit(_))
}

/// Hits of paraphrases and of near-misses, in all and by category.
#[derive(Default)]
struct Table {
    rows: BTreeMap<(bool, String), (u64, u64)>,
}

impl Table {
    fn add(&mut self, pair: &Pair, hit: bool) {
        for category in [String::new(), pair.category.clone()] {
            let row = self.rows.entry((!pair.same, category)).or_default();
            *row = (row.0 + u64::from(hit), row.1 + 1);
        }
    }

    fn print(&self, title: &str) {
        println!("\n{title}");
        for ((different, category), (hits, all)) in &self.rows {
            let what = if *different { "false hits" } else { "recall" };
            let name = if category.is_empty() { format!("{what}, all") } else { format!("  {category}") };
            if let Some(interval) = wilson(*hits, *all) {
                let (rate, low, high) = (interval.rate * 100.0, interval.low * 100.0, interval.high * 100.0);
                println!("{name:<18} {hits:>4} of {all:<4} {rate:>5.1} %   [{low:.1}, {high:.1}]");
            }
        }
    }
}

fn pairs(folder: &Path, half: &str) -> Result<Vec<Pair>, Failure> {
    let mut pairs = Vec::new();
    // The attacks were written against the verifier's own rules once it was there, so that they are no
    // measure of it and stand apart.
    let files: &[&str] =
        if half == "attacks" { &["attacks.jsonl"] } else { &["paraphrases.jsonl", "near_misses.jsonl"] };
    for file in files {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line)?;
            let field = |name: &str| value[name].as_str().map(str::to_owned).ok_or("a pair lacks a field");
            let pair = Pair {
                a: field("a")?,
                b: field("b")?,
                same: value["same"].as_bool().ok_or("a pair lacks its label")?,
                category: field("category")?,
            };
            if matches!(half, "all" | "attacks") || half_of(&pair) == half {
                pairs.push(pair);
            }
        }
    }
    Ok(pairs)
}

/// The half that a pair is in, by its hash.
fn half_of(pair: &Pair) -> &'static str {
    let digest = blake3::hash(format!("{}\n{}", pair.a, pair.b).as_bytes());
    if digest.as_bytes()[0] & 1 == 0 { "dev" } else { "test" }
}

fn arguments() -> Result<Arguments, Failure> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/semantic");
    let mut arguments = Arguments { data: here, half: "dev".to_owned(), ..Arguments::default() };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let mut value = || given.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--data" => arguments.data = value()?.into(),
            "--half" => arguments.half = value()?,
            "--model" => arguments.model = Some(value()?.into()),
            "--errors" => arguments.errors = true,
            _ => return Err(format!("{flag} is not known").into()),
        }
    }
    if !["dev", "test", "all", "attacks"].contains(&arguments.half.as_str()) {
        return Err("--half is dev, test, all or attacks".into());
    }
    Ok(arguments)
}
