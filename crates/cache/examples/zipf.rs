//! Hit rates on a repeating load: requests by Zipf's law with exponent 0.9 over 10,000 prompts, and memory
//! for 5 % and 10 % of them.
//!
//! `cargo run --release -p tidegate-cache --example zipf`
//!
//! Our memory stands beside an ideal LRU and LFU (each with exact bookkeeping that no real cache affords),
//! the algorithm of S3-FIFO (Yang et al., SOSP 2023), what anyone could reach who knew each prompt's
//! probability, and Belady's optimum, which knows the future.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use bytes::Bytes;
use cache::clock::Millis;
use cache::entry::{Entry, Lifetime};
use cache::epochs::Stamp;
use cache::key::Key;
use cache::memory::{Memory, Options};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const PROMPTS: usize = 10_000;
const EXPONENT: f64 = 0.9;
const REQUESTS: usize = 1_000_000;
/// Requests before hits are counted.
const WARM_UP: usize = 200_000;

/// What is measured: whether a prompt is held; it is held from then on, if the policy lets it.
type Policy<'a> = Box<dyn FnMut(usize) -> bool + 'a>;

/// What the literature reports for this load at 5 %, in per cent.
const REPORTED: [(&str, f64); 3] = [("LRU", 45.1), ("LFU", 55.5), ("S3-FIFO", 56.5)];

fn main() {
    let weights: Vec<f64> = (1..=PROMPTS).map(|rank| (rank as f64).powf(-EXPONENT)).collect();
    let requests = requests(&weights);
    println!("Zipf {EXPONENT} over {PROMPTS} prompts, {REQUESTS} requests, hits in per cent\n");
    println!("| policy | {:>8} | {:>8} | reported at 5 % |", "5 %", "10 %");
    println!("| --- | ---: | ---: | ---: |");
    let sizes = [PROMPTS / 20, PROMPTS / 10];
    let rates =
        |policy: &dyn Fn(usize) -> Vec<f64>| -> Vec<f64> { sizes.into_iter().flat_map(policy).collect() };
    let rows: [(&str, Vec<f64>); 6] = [
        ("LRU", rates(&|size| vec![hit_rate(&requests, lru(size))])),
        ("LFU", rates(&|size| vec![hit_rate(&requests, lfu(size))])),
        ("S3-FIFO", rates(&|size| vec![hit_rate(&requests, s3_fifo(size))])),
        ("Tidegate's memory", rates(&|size| vec![hit_rate(&requests, memory(size))])),
        ("known probabilities", rates(&|size| vec![share(&weights, size)])),
        ("Belady's optimum", rates(&|size| vec![hit_rate(&requests, belady(size, &requests))])),
    ];
    for (name, rates) in rows {
        let reported = REPORTED.iter().find(|(policy, _)| *policy == name);
        let reported = reported.map_or_else(String::new, |(_, rate)| rate.to_string());
        let rates: Vec<String> = rates.iter().map(|rate| format!("{:>8.1}", rate * 100.0)).collect();
        println!("| {name} | {} | {reported} |", rates.join(" | "));
    }
}

/// Prompts in the order in which they are asked for.
fn requests(weights: &[f64]) -> Vec<usize> {
    let mut sums = Vec::with_capacity(PROMPTS);
    let total = weights.iter().fold(0.0, |sum, weight| {
        sums.push(sum + weight);
        sum + weight
    });
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut draw = || {
        let point = random.f64() * total;
        sums.partition_point(|sum| *sum <= point).min(PROMPTS - 1)
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

fn hit_rate(requests: &[usize], mut is_held: Policy<'_>) -> f64 {
    let hits = requests.iter().enumerate().filter(|(at, prompt)| is_held(**prompt) && *at >= WARM_UP).count();
    hits as f64 / (requests.len() - WARM_UP) as f64
}

/// The share of requests that the `size` most probable prompts get.
fn share(weights: &[f64], size: usize) -> f64 {
    weights[..size].iter().sum::<f64>() / weights.iter().sum::<f64>()
}

fn memory(size: usize) -> Policy<'static> {
    let memory = Memory::new(Options { entries: size, bytes: 64 << 20, ttl: Duration::from_secs(3600) });
    let hour = Lifetime { fresh: Duration::from_secs(7200), stale: Duration::ZERO };
    let keys: Vec<Key> =
        (0..PROMPTS).map(|prompt| Key::from_bytes(*blake3::hash(&prompt.to_le_bytes()).as_bytes())).collect();
    let answer = Arc::new(Entry::new("an answer".into(), Bytes::new(), hour, Stamp(0), &[]));
    let now = Millis::now();
    Box::new(move |prompt| {
        let is_held = memory.peek(&keys[prompt], now).is_some();
        if !is_held {
            memory.keep(&keys[prompt], &answer, now);
            assert!(memory.len() <= size);
        }
        is_held
    })
}

/// A policy that throws out whatever has the least rank; `rank` gives a prompt's, at every request.
fn least_ranked<'a>(size: usize, mut rank: impl FnMut(usize) -> u64 + 'a) -> Policy<'a> {
    let mut held = HashMap::new();
    let mut order = BTreeSet::new();
    Box::new(move |prompt| {
        let new = rank(prompt);
        let old = held.insert(prompt, new);
        if let Some(old) = old {
            order.remove(&(old, prompt));
        }
        order.insert((new, prompt));
        if held.len() > size
            && let Some((_, out)) = order.pop_first()
        {
            held.remove(&out);
        }
        old.is_some()
    })
}

fn lru(size: usize) -> Policy<'static> {
    let mut time = 0;
    least_ranked(size, move |_| {
        time += 1;
        time
    })
}

/// Counts every prompt for ever, held or not; of those asked for as often, the one asked for last stays.
fn lfu(size: usize) -> Policy<'static> {
    let (mut counts, mut time) = (vec![0_u64; PROMPTS], 0);
    least_ranked(size, move |prompt| {
        time += 1;
        counts[prompt] += 1;
        counts[prompt] << 32 | time
    })
}

fn belady(size: usize, requests: &[usize]) -> Policy<'static> {
    // When each request's prompt is asked for next; the later, the less it is worth.
    let mut next = vec![u64::MAX; requests.len()];
    let mut last = vec![u64::MAX; PROMPTS];
    for (at, prompt) in requests.iter().enumerate().rev() {
        next[at] = last[*prompt];
        last[*prompt] = at as u64;
    }
    let mut next = next.into_iter();
    least_ranked(size, move |_| u64::MAX - next.next().unwrap())
}

/// A small queue of a tenth for what is new, a main one for what was asked for again, and the keys of what
/// left the small one.
fn s3_fifo(size: usize) -> Policy<'static> {
    let small_size = size / 10;
    let (mut small, mut main, mut ghost) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
    let mut asked: HashMap<usize, u8> = HashMap::new();
    let mut remembered = HashSet::new();
    Box::new(move |prompt| {
        if let Some(count) = asked.get_mut(&prompt) {
            *count = (*count + 1).min(3);
            return true;
        }
        while asked.len() >= size {
            if small.len() >= small_size
                && let Some(out) = small.pop_front()
            {
                if asked[&out] > 1 {
                    asked.insert(out, 0);
                    main.push_back(out);
                } else {
                    asked.remove(&out);
                    remembered.insert(out);
                    ghost.push_back(out);
                }
            } else if let Some(out) = main.pop_front() {
                match asked[&out] {
                    0 => drop(asked.remove(&out)),
                    count => {
                        asked.insert(out, count - 1);
                        main.push_back(out);
                    }
                }
            }
            while ghost.len() > size - small_size {
                ghost.pop_front().map(|out| remembered.remove(&out));
            }
        }
        asked.insert(prompt, 0);
        if remembered.remove(&prompt) {
            ghost.retain(|other| *other != prompt);
            main.push_back(prompt);
        } else {
            small.push_back(prompt);
        }
        false
    })
}
