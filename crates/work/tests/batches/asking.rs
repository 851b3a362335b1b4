//! How lines are asked, and asked again.

use crate::scene::{Asked, Scene, answers, batch_options, counts, echo, lines, status};
use crate::stage::{eventually, ms};
use std::sync::Arc;
use store::batches::BatchState;
use store::jobs::{Cancel, Filter, State};
use work::Options;
use work::batches::{Answer, LINE, Reply};

#[tokio::test]
async fn what_may_pass_is_asked_again_and_what_stands_is_not() {
    let scene = Scene::new().await;
    let asked = Asked::default();
    let act = scene.run(answers(&asked, |question, times| match (question.custom_id.as_str(), times) {
        ("line-0", 1..=7) => status(question, 503),
        ("line-1", _) => status(question, 500),
        ("line-2", 1..=30) => match status(question, 429) {
            Reply::Answered(answer) => Reply::Answered(Answer { after: Some(ms(1)), ..answer }),
            other => other,
        },
        ("line-3", 1..=30) => Reply::Busy { after: Some(ms(1)) },
        ("line-4", _) => status(question, 404),
        ("line-5", _) => panic!("a line that kills"),
        _ => status(question, 200),
    }));
    let batch = scene.batch(&lines(7)).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 7, 4, 3));
    let bad = scene.lines(&batch.id, false).await;
    assert_eq!(bad["line-1"]["response"]["status_code"], 500);
    assert_eq!(bad["line-4"]["response"]["status_code"], 404);
    assert_eq!(bad["line-5"]["error"]["code"], "panic");
    let times: Vec<u32> = asked.all().into_values().collect();
    assert_eq!(times, [8, 8, 31, 31, 1, 8, 1]);
    act.drain().await;
}

#[tokio::test]
async fn a_line_is_asked_on_behalf_of_who_created_the_batch() {
    let scene = Scene::new().await;
    let asked = Asked::default();
    let act = scene.run(answers(&asked, |question, _| {
        assert_eq!((question.tenant.as_str(), question.key.as_deref()), ("acme", Some("tg-1")));
        assert_eq!(question.endpoint, "/v1/chat/completions");
        assert!(question.id.starts_with("batch_req_"));
        status(question, 200)
    }));
    let batch = scene.batch(&lines(1)).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 1, 1, 0));
    let good = scene.lines(&batch.id, true).await;
    assert_eq!(good["line-0"]["error"], serde_json::Value::Null);
    act.drain().await;
}

#[tokio::test]
async fn each_line_ends_once_whatever_is_killed() {
    let scene = Scene::new().await;
    let batch = scene.batch(&lines(900)).await;
    let asked = Asked::default();
    let slowly = {
        let asked = asked.clone();
        Arc::new(move |question: work::batches::Question| {
            let asked = asked.clone();
            let answer: std::pin::Pin<Box<dyn Future<Output = Reply> + Send>> = Box::pin(async move {
                asked.note(&question);
                tokio::time::sleep(ms(2)).await;
                status(&question, 200)
            });
            answer
        })
    };
    let short = || Options { lease: ms(600), beat: ms(150), ..batch_options() };
    for round in 1..=8 {
        let act = scene.run_on(&scene.stage.store, slowly.clone(), short());
        eventually(async || (asked.len() >= 100 * round).then_some(())).await;
        if round % 2 == 0 { act.kill().await } else { act.drain().await }
    }
    let act = scene.run_on(&scene.stage.store, slowly, short());
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 900, 900, 0));
    assert_eq!(scene.lines(&batch.id, true).await.len(), 900);
    act.drain().await;
}

#[tokio::test]
async fn a_line_whose_job_somebody_took_back_is_an_error() {
    let scene = Scene::new().await;
    let hang: work::batches::Ask = Arc::new(|_| Box::pin(std::future::pending()));
    let act = scene.run(hang);
    let batch = scene.batch(&lines(40)).await;
    let jobs = eventually(async || {
        let lines = Filter { kind: Some(LINE.to_owned()), ..Filter::default() };
        Some(act.client.list(lines, None, 100).await.unwrap()).filter(|jobs| jobs.len() == 40)
    });
    let jobs = jobs.await;
    let mut running = 0;
    for job in &jobs {
        running += u32::from(act.client.cancel(job.id, None).await.unwrap() == Cancel::Asked);
    }
    assert!(running > 0, "some had begun");
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 40, 0, 40));
    let bad = scene.lines(&batch.id, false).await;
    for number in 0..40 {
        assert_eq!(bad[&format!("line-{number}")]["error"]["code"], "request_lost");
    }
    act.drain().await;
}

#[tokio::test]
async fn a_reader_that_somebody_took_back_is_replaced() {
    let scene = Scene::new().await;
    let batch = scene.batch(&lines(3)).await;
    let jobs = scene.stage.store.jobs.list(Filter::default(), None, 9).await.unwrap();
    assert_eq!(
        scene.stage.store.jobs.cancel(jobs[0].id, None, store::Time::now()).await.unwrap(),
        Cancel::Done
    );
    let act = scene.run(echo(&Asked::default()));
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 3, 3, 0));
    let left = scene.stage.store.jobs.list(Filter::default(), None, 9).await.unwrap();
    assert!(left.iter().all(|job| job.state == State::Cancelled), "nothing is left of it: {left:?}");
    act.drain().await;
}
