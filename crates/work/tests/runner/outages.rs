//! A store that is away or answers nothing, and comes back.

use crate::stage::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::jobs::{
    Added, Beat, Cancel, Claim, Claimed, Depth, End, Filter, Finish, Job, JobId, Jobs, NewJob, PastFault,
    Pulse, State, Told,
};
use store::{Answer, Error, Time};
use tokio::sync::watch;
use work::{Context, Handlers, Options};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Every call is passed on.
    Fair,
    /// Every call is refused.
    Away,
    /// No call is answered.
    Frozen,
    /// Ends with the result `poison` are refused, with all that are recorded in the same step.
    Picky,
}

/// A real store behind a door that opens and closes.
#[derive(Clone)]
pub struct Weather {
    jobs: Arc<dyn Jobs>,
    mood: Arc<watch::Sender<Mood>>,
}

impl Weather {
    pub fn over(jobs: Arc<dyn Jobs>) -> Self {
        Self { jobs, mood: Arc::new(watch::Sender::new(Mood::Fair)) }
    }

    pub fn jobs(&self) -> Arc<dyn Jobs> {
        Arc::new(self.clone())
    }

    pub fn turns(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    fn pass<'a, T: 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        Box::pin(async move {
            let mut mood = self.mood.subscribe();
            if *mood.wait_for(|mood| *mood != Mood::Frozen).await.unwrap() == Mood::Away {
                return Err(Error::Away("as the test wants it".to_owned()));
            }
            answer.await
        })
    }
}

impl Jobs for Weather {
    fn add(&self, jobs: Vec<NewJob>, now: Time) -> Answer<'_, Vec<Added>> {
        self.pass(self.jobs.add(jobs, now))
    }
    fn find(&self, job: NewJob) -> Answer<'_, Option<Added>> {
        self.pass(self.jobs.find(job))
    }
    fn claim(&self, claim: Claim) -> Answer<'_, Claimed> {
        self.pass(self.jobs.claim(claim))
    }
    fn promote(&self, now: Time, limit: u32) -> Answer<'_, u64> {
        self.pass(self.jobs.promote(now, limit))
    }
    fn next_due(&self) -> Answer<'_, Option<Time>> {
        self.pass(self.jobs.next_due())
    }
    fn beat(&self, beats: Vec<Beat>, until: Time) -> Answer<'_, Vec<Pulse>> {
        self.pass(self.jobs.beat(beats, until))
    }
    fn finish(&self, ends: Vec<Finish>) -> Answer<'_, Vec<bool>> {
        let poison = |finish: &Finish| matches!(&finish.end, End::Done { result } if result == b"poison");
        if *self.mood.borrow() == Mood::Picky && ends.iter().any(poison) {
            return Box::pin(std::future::ready(Err(Error::Refused("too bitter".to_owned()))));
        }
        self.pass(self.jobs.finish(ends))
    }
    fn reap(&self, now: Time, limit: u32) -> Answer<'_, u64> {
        self.pass(self.jobs.reap(now, limit))
    }
    fn untold(&self, limit: u32) -> Answer<'_, Vec<Job>> {
        self.pass(self.jobs.untold(limit))
    }
    fn tell(&self, ends: Vec<Told>, now: Time) -> Answer<'_, Vec<bool>> {
        self.pass(self.jobs.tell(ends, now))
    }
    fn backlog(&self, tenant: &str, most: u64) -> Answer<'_, u64> {
        self.pass(self.jobs.backlog(tenant, most))
    }
    fn get(&self, id: JobId, tenant: Option<&str>) -> Answer<'_, Option<Job>> {
        self.pass(self.jobs.get(id, tenant))
    }
    fn list(&self, filter: Filter, before: Option<JobId>, limit: u32) -> Answer<'_, Vec<Job>> {
        self.pass(self.jobs.list(filter, before, limit))
    }
    fn faults(&self, id: JobId) -> Answer<'_, Vec<PastFault>> {
        self.pass(self.jobs.faults(id))
    }
    fn cancel(&self, id: JobId, tenant: Option<&str>, now: Time) -> Answer<'_, Cancel> {
        self.pass(self.jobs.cancel(id, tenant, now))
    }
    fn replay(&self, id: JobId, now: Time) -> Answer<'_, Option<JobId>> {
        self.pass(self.jobs.replay(id, now))
    }
    fn purge(&self, filter: Filter, before: Time, limit: u32) -> Answer<'_, u64> {
        self.pass(self.jobs.purge(filter, before, limit))
    }
    fn depths(&self) -> Answer<'_, Vec<Depth>> {
        self.pass(self.jobs.depths())
    }
}

#[tokio::test]
async fn what_was_done_while_the_store_was_away_is_recorded_when_it_is_back() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let weather = Weather::over(stage.jobs());
    let go = Arc::new(AtomicBool::new(false));
    let (notes, gate) = (diary.clone(), Arc::clone(&go));
    let handlers = Handlers::new().on("work", move |_: Context| {
        let (notes, gate) = (notes.clone(), Arc::clone(&gate));
        async move {
            notes.note("begun");
            while !gate.load(Ordering::SeqCst) {
                tokio::time::sleep(ms(5)).await;
            }
            notes.note("ended");
            Ok(())
        }
    });
    let act = act(weather.jobs(), handlers, options());
    let ids = add_all(&act.client, drafts("work", 20)).await;
    diary.reaches(20).await;
    weather.turns(Mood::Away);
    go.store(true, Ordering::SeqCst);
    diary.reaches(40).await;
    eventually(async || act.handle.report().is_away.then_some(())).await;
    // Nothing is acknowledged meanwhile.
    assert!(matches!(act.client.add(draft("work")).await, Err(Error::Away(_))));
    assert_eq!(act.handle.report().done, 0);
    weather.turns(Mood::Fair);
    for job in stage.all_over(&ids).await {
        assert_eq!((job.state, job.attempt), (State::Done, 1));
    }
    assert_eq!((diary.len(), act.rests().await.lost), (40, 0));
    // It goes on by itself.
    let id = add(&act.client, draft("work")).await;
    assert_eq!(stage.over(id).await.state, State::Done);
    assert!(!act.handle.report().is_away);
    act.drain().await;
}

/// An end is kept beyond its lease, and is good as long as nobody else has taken the job.
#[tokio::test]
async fn an_end_outlives_its_lease_while_nobody_else_takes_the_job() {
    let stage = Stage::new().await;
    let weather = Weather::over(stage.jobs());
    let start = std::time::Instant::now();
    let closing = weather.clone();
    let handlers = Handlers::new().on("work", move |_: Context| {
        let closing = closing.clone();
        async move {
            closing.turns(Mood::Away);
            Ok(b"kept".to_vec())
        }
    });
    // Nobody reaps here.
    let alone = Options { reap: ms(600_000), ..short_leases() };
    let act = act(weather.jobs(), handlers, alone);
    let id = add(&stage.client(), draft("work")).await;
    eventually(async || (act.handle.report().is_away && start.elapsed() > ms(1500)).then_some(())).await;
    weather.turns(Mood::Fair);
    let job = stage.over(id).await;
    assert_eq!((job.state, job.attempt, job.result), (State::Done, 1, Some(b"kept".to_vec())));
    act.drain().await;
}

#[tokio::test]
async fn a_drain_ends_though_the_store_is_away() {
    let stage = Stage::new().await;
    let weather = Weather::over(stage.jobs());
    let handlers = Handlers::new().on("work", hang);
    let options = Options { grace: ms(50), flush: ms(200), ..options() };
    for mood in [Mood::Away, Mood::Frozen] {
        let act = act(weather.jobs(), handlers.clone(), options.clone());
        let id = add(&stage.client(), draft("work")).await;
        eventually(async || (stage.job(id).await.state == State::Running).then_some(())).await;
        weather.turns(mood);
        // Every part of the runner finds it so.
        tokio::time::sleep(ms(200)).await;
        act.drain().await;
        weather.turns(Mood::Fair);
        assert_eq!(stage.job(id).await.state, State::Running, "its lease expires");
    }
}

#[tokio::test]
async fn an_end_that_the_store_refuses_spoils_no_other() {
    let stage = Stage::new().await;
    let weather = Weather::over(stage.jobs());
    weather.turns(Mood::Picky);
    let handlers = Handlers::new().on("echo", async |context: Context| Ok(context.payload().to_vec()));
    // All of them are recorded in one step.
    let act = act(weather.jobs(), handlers, Options { gather: ms(500), ..options() });
    let payloads = ["a", "b", "poison", "c", "d"];
    let jobs = payloads.map(|payload| draft("echo").payload(payload).into()).to_vec();
    let ids = add_all(&act.client, jobs).await;
    for (job, payload) in stage.all_over(&ids).await.into_iter().zip(payloads) {
        match payload {
            "poison" => {
                assert_eq!(job.state, State::Dead);
                assert_eq!(job.fault.unwrap().class, work::verdict::STORE);
            }
            _ => assert_eq!((job.state, job.result.as_deref()), (State::Done, Some(payload.as_bytes()))),
        }
    }
    let report = act.rests().await;
    assert_eq!((report.done, report.dead), (4, 1));
    act.drain().await;
}
