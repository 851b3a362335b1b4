//! A service with jobs of its own, and nothing else of Tidegate: it adds a few, does them, follows one of them,
//! and ends as a service should when it is told to.
//!
//! ```text
//! cargo run -p tidegate-work --example thumbnails            # in target/thumbnails.db
//! cargo run -p tidegate-work --example thumbnails -- my.db   # … or there; start it twice, and they share the work
//! ```

use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Duration;
use store::{Store, Time};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use work::cron::Cron;
use work::pool::Bounds;
use work::schedules::{Plan, Timetable};
use work::{Clock, Context, Draft, Failed, Handlers, Options, Queue, Runner};

#[derive(Serialize, Deserialize)]
struct Picture {
    name: String,
    sizes: Vec<u32>,
}

/// Makes the thumbnails one by one, says how far it is, and stops between two when it should.
async fn thumbnails(context: Context, picture: Picture) -> Result<usize, Failed> {
    for (made, size) in picture.sizes.iter().enumerate() {
        if let Some(why) = context.stopped() {
            return Err(Failed::passing("stopped", format!("{why:?} after {made} sizes")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        if context.attempt() == 1 && *size > 500 {
            // Whoever is asked for the large ones is busy at first, and says when to come again.
            return Err(Failed::passing("busy", "too many at once").after(Duration::from_secs(1)));
        }
        // What it asks of others carries this key: done twice, it counts once.
        println!("  {}: {} at {size} px", context.key(), picture.name);
        context.progress(format!("{} of {}", made + 1, picture.sizes.len()));
    }
    Ok(picture.sizes.len())
}

async fn tidy(_: Context) -> Result<(), Failed> {
    println!("  tidied");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/thumbnails.db".to_owned());
    let store = Store::open(&store::store::Options::new(format!("sqlite:{path}"))).await?;

    let handlers = Handlers::new().on_json("thumbnails", thumbnails).on("tidy", tidy);
    let pictures = Queue { workers: Bounds { min: 1, max: 4 }, ..Queue::new("pictures") };
    let options = Options { queues: vec![pictures, Queue::new("default")], ..Options::default() };
    let runner = Runner::new(&store, handlers, options);
    let (client, handle) = (runner.client(), runner.handle());
    let (drain, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(runner.run(drain.clone()));

    let timetable = Timetable::new(store.schedules.clone(), Clock::default());
    let (name, tenant, zone) = ("tidy".to_owned(), "us".to_owned(), "Europe/Lisbon".to_owned());
    let (cron, job) = ("30 3 * * *".to_owned(), Draft::new("tidy", "us").into());
    let next = Cron::parse(&cron, &zone)?.next(Time::now());
    timetable.put(Plan { name, tenant, cron, zone, job, within: None }).await?;
    println!("tidies next at {next:?}");

    let picture = Picture { name: "harbour.png".to_owned(), sizes: vec![64, 256, 1024] };
    let draft = Draft::new("thumbnails", "us").queue("pictures").json(&picture)?;
    let id = client.add(draft.attempts(3)).await?.id();
    let mut watch = client.watch(id, None);
    while let Some(job) = watch.next().await? {
        let progress = job.progress.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        println!("job {} is {:?}, attempt {} {progress}", id.0, job.state, job.attempt);
    }
    for past in client.faults(id).await? {
        println!("attempt {} had failed: {}: {}", past.attempt, past.fault.class, past.fault.message);
    }

    drain.cancel();
    tasks.close();
    tasks.wait().await;
    let report = handle.report();
    println!("{} done, {} tried again", report.done, report.retried);
    Ok(())
}
