//! A process that is killed while it adds and ends jobs: what it was told is done, is done, once.

use super::{NOW, job, open, passed, runtime, start};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;
use store::Store;
use store::jobs::{Added, Claim, End, Filter, Finish, Idempotency, JobId, NewJob, State, Turn};

/// A job that can be added again without harm.
fn keyed(word: &str) -> NewJob {
    let idempotency = Some(Idempotency { key: word.to_owned(), hash: [1; 32] });
    NewJob { idempotency, payload: word.as_bytes().to_vec(), ..job("acme") }
}

pub fn what_was_acknowledged_outlives_a_kill(rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for round in 0..rounds {
        told.read(&kill_one(folder.path(), round));
        runtime().block_on(told.check(folder.path()));
    }
    assert!(told.added.len() > 100 && told.done.len() > 10, "too little was done to tell");
    let figures = format!("{rounds} kills, {} added, {} done", told.added.len(), told.done.len());
    passed("what_was_acknowledged_outlives_a_kill", &figures);
}

/// Lets a child work for a moment and kills it; what it had been told.
fn kill_one(folder: &Path, round: usize) -> Vec<String> {
    let mut child = start(&["killed", folder.to_str().unwrap(), &round.to_string()]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let reading = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let moment = Duration::from_micros(fastrand::u64(20_000..300_000));
    runtime().block_on(async { tokio::time::sleep(moment).await });
    child.kill().unwrap();
    child.wait().unwrap();
    let mut lines = reading.join().unwrap();
    // The last may be torn, as it was written when the kill came.
    lines.retain(|line| line.ends_with('.'));
    lines
}

/// What a process was told that is done.
#[derive(Default)]
struct Told {
    added: HashMap<String, JobId>,
    done: HashSet<JobId>,
}

impl Told {
    fn read(&mut self, lines: &[String]) {
        for line in lines {
            match line.trim_end_matches('.').split(' ').collect::<Vec<_>>()[..] {
                ["added", word, id] => {
                    let twice = self.added.insert(word.to_owned(), JobId(id.parse().unwrap()));
                    assert_eq!(twice, None, "{word}");
                }
                ["done", id] => assert!(self.done.insert(JobId(id.parse().unwrap())), "{id} was done twice"),
                _ => panic!("{line}"),
            }
        }
    }

    async fn check(&self, folder: &Path) {
        let store = open(folder).await;
        let mut found = HashMap::new();
        let mut before = None;
        loop {
            let jobs = store.jobs.list(Filter::default(), before, 1000).await.unwrap();
            let Some(last) = jobs.last() else { break };
            before = Some(last.id);
            for job in jobs {
                let word = String::from_utf8(job.new.payload).unwrap();
                let again = found.insert(word.clone(), (job.id, job.state));
                assert_eq!(again, None, "{word} is there twice");
            }
        }
        for (word, id) in &self.added {
            assert_eq!(found.get(word).map(|found| found.0), Some(*id), "{word} was lost");
        }
        let done: HashSet<JobId> =
            found.values().filter(|(_, state)| *state == State::Done).map(|(id, _)| *id).collect();
        assert!(self.done.is_subset(&done), "{:?} were lost", self.done.difference(&done));
        self.check_repeated(&store, &found).await;
    }

    /// Whoever has heard nothing may ask again: it is there once.
    async fn check_repeated(&self, store: &Store, found: &HashMap<String, (JobId, State)>) {
        for (word, (id, _)) in found.iter().take(50) {
            let added = store.jobs.add(vec![keyed(word)], NOW).await.unwrap();
            assert_eq!(added, [Added::Same(*id)], "{word}");
        }
    }
}

/// The child's part: never comes back.
pub async fn child(folder: &Path, round: &str) {
    let store = open(folder).await;
    say("ready");
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4 {
        tasks.spawn(add(store.clone(), format!("{round}-{task}")));
    }
    tasks.spawn(work(store, round.to_owned()));
    tasks.join_all().await;
}

async fn add(store: Store, name: String) {
    for number in 0_u64.. {
        let words: Vec<String> = (0..1 + number % 3).map(|part| format!("{name}-{number}-{part}")).collect();
        let jobs = words.iter().map(|word| keyed(word)).collect();
        let added = store.jobs.add(jobs, NOW).await.unwrap();
        for (word, added) in words.iter().zip(added) {
            let Added::New(id) = added else { panic!("{word}: {added:?}") };
            say(&format!("added {word} {}.", id.0));
        }
    }
}

/// Ends what it can; what one before it had begun stays with it, as no time passes.
async fn work(store: Store, owner: String) {
    let mut claim = Claim {
        queue: "default".to_owned(),
        owner,
        limit: 5,
        lease: Duration::from_secs(30),
        now: NOW,
        turn: Turn::default(),
        rate: None,
    };
    loop {
        let claimed = store.jobs.claim(claim.clone()).await.unwrap();
        claim.turn = claimed.turn;
        let ends = claimed.jobs.iter().map(|job| Finish {
            lease: job.lease,
            at: NOW,
            end: End::Done { result: job.payload.clone() },
            then: Vec::new(),
            line: None,
        });
        let held = store.jobs.finish(ends.collect()).await.unwrap();
        for (job, held) in claimed.jobs.iter().zip(held) {
            assert!(held);
            say(&format!("done {}.", job.lease.id.0));
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}
