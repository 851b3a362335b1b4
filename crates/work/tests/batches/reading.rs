//! How an input is read.

use crate::scene::{Asked, Scene, answers, batch_options, counts, echo, line, lines, status};
use crate::stage::{eventually, ms};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use store::batches::{Batch, BatchChange, BatchState, Batches, LineEnd, LineText, ReadTo, Stretch};
use store::jobs::NewJob;
use store::{Answer, Store, Time};
use work::Options;

#[tokio::test]
async fn every_line_of_a_motley_input_ends_once() {
    let scene = Scene::new().await;
    let mut input = lines(1200);
    for number in (0..1200).step_by(100) {
        input[number] = format!("{{\"custom_id\":\"line-{number}\"");
    }
    input.insert(50, String::new());
    input.insert(60, " \r".to_owned());
    input.push(line("line-1"));
    input.push(String::new());
    let asked = Asked::default();
    let act = scene.run(answers(&asked, |question, times| match question.custom_id.as_str() {
        id if id.ends_with('7') && times == 1 => status(question, 500),
        id if id.ends_with("13") => status(question, 400),
        _ => status(question, 200),
    }));
    let batch = scene.batch(&input).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 1201, 1200 - 12 - 12, 12 + 1 + 12));
    let (good, bad) = (scene.lines(&batch.id, true).await, scene.lines(&batch.id, false).await);
    for number in 0..1200 {
        let id = format!("line-{number}");
        let expected = match number {
            _ if number % 100 == 0 => None,
            _ if number % 100 == 13 => bad.get(&id),
            _ => good.get(&id),
        };
        let Some(found) = expected else { continue };
        assert_eq!(found["response"]["body"]["asked"]["n"], id.as_str());
        assert_eq!(found["response"]["request_id"], format!("req-{id}"));
        let times = if id.ends_with('7') { 2 } else { 1 };
        assert_eq!(asked.all()[&id], times, "{id}");
    }
    assert_eq!((good.len(), bad.len()), (1176, 25));
    let duplicate = &bad["line-1"];
    assert_eq!(duplicate["error"]["code"], "duplicate_custom_id");
    assert!(duplicate["error"]["message"].as_str().unwrap().starts_with("Line 1203: "), "{duplicate}");
    act.drain().await;
}

#[tokio::test]
async fn an_input_without_a_good_line_fails_as_a_whole() {
    let scene = Scene::new().await;
    let asked = Asked::default();
    let act = scene.run(echo(&asked));
    let too_many = vec!["{}"; 50_001].join("\n");
    let bad = format!("\n[]\n{}", line("a").replace("POST", "GET"));
    for (text, problems, failed) in [
        ("", vec![("empty_file", None)], 0),
        ("\n \r\n", vec![("empty_file", None)], 0),
        (too_many.as_str(), vec![("too_many_tasks", None)], 0),
        (bad.as_str(), vec![("invalid_json_line", Some(2)), ("invalid_method", Some(3))], 2),
    ] {
        let file = scene.bring(text.as_bytes(), 1 << 20).await;
        let batch = scene.create(&file, crate::scene::DAY).await;
        let batch = scene.over(&batch.id).await;
        assert_eq!(counts(&batch), (BatchState::Failed, failed, 0, failed));
        let found = scene.problems(&batch.id).await;
        let found: Vec<_> = found.iter().map(|(code, line)| (code.as_str(), *line)).collect();
        assert_eq!(found, problems);
    }
    let batch = scene.create("file-gone", crate::scene::DAY).await;
    assert_eq!(scene.over(&batch.id).await.state, BatchState::Failed);
    assert_eq!(scene.problems(&batch.id).await, [("input_file_gone".to_owned(), None)]);
    assert_eq!(asked.len(), 0);
    act.drain().await;
}

#[tokio::test]
async fn an_input_that_is_removed_midway_leaves_what_was_read() {
    let scene = Scene::new().await;
    let file = scene.bring(lines(600).join("\n").as_bytes(), 1 << 20).await;
    let batch = scene.create(&file, crate::scene::DAY).await;
    // The reader is cut off after the first group, and the file removed before the next begins.
    let act = scene.run_on(&cut_off(&scene.stage.store, 2, false), echo(&Asked::default()), short());
    eventually(async || (scene.get(&batch.id).await.total == 500).then_some(())).await;
    act.kill().await;
    assert!(scene.stage.store.files.remove(&file, None).await.unwrap());
    let act = scene.run(echo(&Asked::default()));
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 500, 500, 0));
    assert_eq!(scene.problems(&batch.id).await, [("input_file_gone".to_owned(), None)]);
    act.drain().await;
}

#[tokio::test]
async fn a_reader_that_dies_at_any_group_loses_and_doubles_nothing() {
    for (group, done) in [(1, false), (1, true), (2, false), (2, true), (3, false), (3, true)] {
        let scene = Scene::new().await;
        let mut input = lines(1240);
        input[1230] = line("line-7");
        let batch = scene.batch(&input).await;
        let asked = Asked::default();
        let rows = cut_off(&scene.stage.store, group, done);
        let first = scene.run_on(&rows, echo(&asked), short());
        let read = u64::from(500 * if done { group } else { group - 1 }).min(1240);
        eventually(async || (scene.get(&batch.id).await.total == read).then_some(())).await;
        first.kill().await;
        let second = scene.run_on(&scene.stage.store, echo(&asked), short());
        let batch = scene.over(&batch.id).await;
        assert_eq!(counts(&batch), (BatchState::Completed, 1240, 1239, 1), "{group} {done}");
        assert_eq!(scene.lines(&batch.id, true).await.len(), 1239);
        assert_eq!(scene.lines(&batch.id, false).await["line-7"]["error"]["code"], "duplicate_custom_id");
        second.drain().await;
    }
}

fn short() -> Options {
    Options { lease: ms(600), beat: ms(150), ..batch_options() }
}

/// The same store, whose `group`th group is never answered; `done`: though it is recorded.
fn cut_off(store: &Store, group: u32, done: bool) -> Store {
    let batches = CutOff { real: Arc::clone(&store.batches), left: AtomicU32::new(group), done };
    Store { batches: Arc::new(batches), ..store.clone() }
}

struct CutOff {
    real: Arc<dyn Batches>,
    left: AtomicU32,
    done: bool,
}

impl Batches for CutOff {
    fn extend(
        &self,
        id: &str,
        from: ReadTo,
        to: ReadTo,
        jobs: Vec<NewJob>,
        bad: Vec<LineEnd>,
        now: Time,
    ) -> Answer<'_, bool> {
        let real = self.real.extend(id, from, to, jobs, bad, now);
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1 if self.done => Box::pin(async {
                real.await?;
                std::future::pending().await
            }),
            1 => Box::pin(std::future::pending()),
            _ => real,
        }
    }

    fn create(&self, batch: Batch, reader: NewJob) -> Answer<'_, ()> {
        self.real.create(batch, reader)
    }

    fn change(&self, id: &str, change: BatchChange) -> Answer<'_, Option<Batch>> {
        self.real.change(id, change)
    }

    fn batch(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Batch>> {
        self.real.batch(id, tenant)
    }

    fn list(&self, tenant: Option<&str>, before: Option<&str>, limit: u32) -> Answer<'_, Vec<Batch>> {
        self.real.list(tenant, before, limit)
    }

    fn open(&self, limit: u32) -> Answer<'_, Vec<Batch>> {
        self.real.open(limit)
    }

    fn lines(&self, id: &str, good: bool, stretch: Stretch) -> Answer<'_, Vec<LineEnd>> {
        self.real.lines(id, good, stretch)
    }

    fn take_back(
        &self,
        id: &str,
        but: Option<&str>,
        limit: u32,
        end: LineText,
        now: Time,
    ) -> Answer<'_, u64> {
        self.real.take_back(id, but, limit, end, now)
    }

    fn mend(&self, id: &str, limit: u32, end: LineText) -> Answer<'_, u64> {
        self.real.mend(id, limit, end)
    }

    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64> {
        self.real.purge(before, limit)
    }
}
