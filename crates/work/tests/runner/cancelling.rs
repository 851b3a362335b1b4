//! Jobs that are taken back.

use crate::stage::*;
use store::jobs::{Cancel, State};
use work::{Context, Handlers, Options};

/// Kinds: `heeds` fails when it is told to stop, `deaf` never ends, `finishes` ends well all the same.
fn handlers(diary: &Diary) -> Handlers {
    let begin = |diary: &Diary| {
        let diary = diary.clone();
        move |context: &Context| diary.note(format!("begun {}", context.attempt()))
    };
    let (one, two, three) = (begin(diary), begin(diary), begin(diary));
    let heard = diary.clone();
    Handlers::new()
        .on("heeds", move |context: Context| {
            one(&context);
            let heard = heard.clone();
            async move {
                heard.note(format!("{:?}", context.cancelled().await));
                Err::<(), _>(work::Failed::passing("stopped", ""))
            }
        })
        .on("deaf", move |context: Context| {
            two(&context);
            std::future::pending::<Result<(), work::Failed>>()
        })
        .on("finishes", move |context: Context| {
            three(&context);
            async move {
                context.cancelled().await;
                Ok(b"after all".to_vec())
            }
        })
}

#[tokio::test]
async fn who_runs_a_job_hears_that_it_is_taken_back() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let act = stage.run(handlers(&diary), Options { beat: ms(50), ..options() });
    let cases = [("heeds", State::Cancelled), ("deaf", State::Cancelled), ("finishes", State::Done)];
    // From the same process, which tells it at once, and from another, which it hears at a heartbeat.
    for client in [act.client.clone(), stage.client()] {
        for (kind, end) in cases {
            let id = add(&client, draft(kind)).await;
            let begun = async || (stage.job(id).await.state == State::Running).then_some(());
            eventually(begun).await;
            assert_eq!(client.cancel(id, Some("acme")).await.unwrap(), Cancel::Asked);
            let job = stage.over(id).await;
            assert_eq!((job.state, job.attempt), (end, 1), "{kind}");
            assert_eq!(client.cancel(id, None).await.unwrap(), Cancel::Over(end));
        }
    }
    let expected = ["begun 1", "Cancelled", "begun 1", "begun 1"];
    assert_eq!(diary.all(), [expected, expected].concat());
    let report = act.rests().await;
    assert_eq!((report.cancelled, report.done), (4, 2));
    act.drain().await;
}

#[tokio::test]
async fn what_has_not_begun_never_does() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let client = stage.client();
    let waiting = add(&client, draft("heeds")).await;
    let later = add(&client, draft("heeds").delay(ms(50), store::Time::now())).await;
    for id in [waiting, later] {
        assert_eq!(client.cancel(id, Some("somebody else")).await.unwrap(), Cancel::Unknown);
        assert_eq!(client.cancel(id, Some("acme")).await.unwrap(), Cancel::Done);
    }
    let act = stage.run(handlers(&diary), options());
    let last = add(&act.client, draft("finishes").delay(ms(100), store::Time::now())).await;
    diary.reaches(1).await;
    act.client.cancel(last, None).await.unwrap();
    stage.over(last).await;
    assert_eq!(diary.all(), ["begun 1"]);
    // A cancelled job can be replayed as a dead one can.
    assert!(client.replay(waiting).await.unwrap().is_some());
    diary.reaches(2).await;
    act.kill().await;
}
