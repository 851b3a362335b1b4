//! How long a look-up takes at 1,000, 10,000, 50,000 and 100,000 questions, and how long each of its parts:
//! the exact scan up to 50,000 rows, the approximate one beyond, reading a question, embedding it.
//!
//! `cargo run --release -p tidegate-cache --example semantic_lookup [-- --model FOLDER]`

use cache::key::Key;
use cache::semantic::embed::{Embedder, Lexical};
use cache::semantic::{Bounds, Fingerprint, Options, Question, Semantic, Vector, compare};
use std::hint::black_box;
use std::time::{Duration, Instant};

const DIMENSIONS: usize = 384;
const ROUNDS: usize = 50;
const TEXT: &str = "How do I change the billing address of my account in the mobile app?";
const OTHER: &str = "In the mobile app, how can I modify my account's billing address?";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (a, b) = (Question::read(TEXT)?, Question::read(OTHER)?);
    show("read a question", || drop(black_box(Question::read(TEXT))));
    show("compare two: vetoes and verifier", || {
        let _ = black_box(compare(&a, &b));
    });
    embedding("embed, lexical", &Lexical);
    with_model()?;

    let mut random = fastrand::Rng::with_seed(1);
    for rows in [1_000, 10_000, 50_000, 100_000] {
        let bounds = Bounds { partition_questions: rows, questions: rows, ..Bounds::default() };
        let semantic = Semantic::new(Options { bounds, ..Options::default() });
        let partition = Fingerprint::from_bytes([0; 32]);
        let began = Instant::now();
        for row in 0..rows {
            let question = Question::read(&format!("question number {row}"))?;
            let key = Key::from_bytes(*blake3::hash(&row.to_le_bytes()).as_bytes());
            semantic.insert(&partition, &question, &vector(&mut random), key);
        }
        let insert = began.elapsed() / rows as u32;
        let scan = if rows > cache::semantic::EXACT_MAX { "approximate" } else { "exact" };
        let asked = vector(&mut random);
        show(&format!("look up in {rows}, {scan} (insert {insert:.1?})"), || {
            drop(black_box(semantic.lookup(&partition, &a, &asked)));
        });
    }
    Ok(())
}

fn embedding(name: &str, embedder: &dyn Embedder) {
    show(name, || drop(black_box(embedder.embed_blocking(TEXT))));
}

#[cfg(feature = "minilm")]
fn with_model() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().skip_while(|argument| argument != "--model").nth(1);
    if let Some(folder) = folder {
        let model = cache::semantic::embed::MiniLm::open(std::path::Path::new(&folder))?;
        embedding("embed, minilm", &model);
    }
    Ok(())
}

#[cfg(not(feature = "minilm"))]
fn with_model() -> Result<(), Box<dyn std::error::Error>> {
    Ok(())
}

fn vector(random: &mut fastrand::Rng) -> Vector {
    loop {
        if let Some(vector) = Vector::new((0..DIMENSIONS).map(|_| random.f32() - 0.5).collect()) {
            return vector;
        }
    }
}

/// Prints the median and the slowest of some rounds.
fn show(name: &str, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let (median, slowest) = (times.get(ROUNDS / 2), times.last());
    if let (Some(median), Some(slowest)) = (median, slowest) {
        println!("{name:<58} median {median:>9.1?}   slowest {slowest:>9.1?}");
    }
}
