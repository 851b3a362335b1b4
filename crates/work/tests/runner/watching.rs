//! What happens to a job, as it happens.

use crate::outages::{Mood, Weather};
use crate::stage::*;
use store::jobs::JobId;
use work::{Client, Context, Failed, Handlers, Options};

/// Says how far it is, goes on when that was heard, and fails at first.
fn stepwise(heard: &Diary) -> Handlers {
    let heard = heard.clone();
    Handlers::new().on("steps", move |context: Context| {
        let heard = heard.clone();
        async move {
            for percent in [0, 50, 100] {
                let step = format!("{} {percent}", context.key());
                context.progress(step.clone());
                if percent == 100 {
                    break;
                }
                let word = format!("Running {} {step}", context.attempt());
                while !heard.all().contains(&word) {
                    tokio::time::sleep(ms(5)).await;
                }
            }
            match context.attempt() {
                1 => Err(Failed::passing("slow", "")),
                _ => Ok(b"result".to_vec()),
            }
        }
    })
}

fn word(job: &store::jobs::Job) -> String {
    let progress = job.progress.as_deref().map(String::from_utf8_lossy);
    format!("{:?} {} {}", job.state, job.attempt, progress.unwrap_or_default())
}

#[tokio::test]
async fn every_step_of_a_job_is_heard_here_and_elsewhere() {
    let (stage, heard) = (Stage::new().await, Diary::default());
    let act = stage.run(stepwise(&heard), Options { beat: ms(100), ..options() });
    for client in [act.client.clone(), stage.client()] {
        let id = add(&client, draft("steps")).await;
        let mut watch = client.watch(id, Some("acme"));
        while let Some(job) = watch.next().await.unwrap() {
            heard.note(word(&job));
        }
        assert!(watch.next().await.unwrap().is_none());
        // The last word is kept, though the job ended right after it.
        assert_eq!(heard.all().last(), Some(&format!("Done 2 job-{} 100", id.0)));
    }
    act.drain().await;
}

#[tokio::test]
async fn a_watcher_outlasts_an_outage_and_knows_nobody_elses() {
    let stage = Stage::new().await;
    let weather = Weather::over(stage.jobs());
    let client = Client::new(weather.jobs());
    let id = add(&client, draft("steps")).await;
    assert!(client.watch(id, Some("somebody else")).next().await.unwrap().is_none());
    assert!(client.watch(JobId(4711), None).next().await.unwrap().is_none());

    let mut watch = client.watch(id, None);
    assert_eq!(word(&watch.next().await.unwrap().unwrap()), "Ready 0 ");
    weather.turns(Mood::Away);
    let (heard, ()) = tokio::join!(watch.next(), async {
        stage.client().cancel(id, None).await.unwrap();
        tokio::time::sleep(ms(50)).await;
        weather.turns(Mood::Fair);
    });
    assert_eq!(word(&heard.unwrap().unwrap()), "Cancelled 0 ");
    assert!(watch.next().await.unwrap().is_none());
}
