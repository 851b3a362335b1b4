//! The task that fetches an answer once for everyone who asks meanwhile, and keeps it.
//!
//! It belongs to no caller: whoever asked first may leave. It ends when the answer does, or when nobody
//! listens any more, and then the provider's call ends with it.

use super::errand::{Errands, text_of};
use super::kin::{Kindred, Looked};
use super::notes::Notes;
use super::part::{Broken, Head, Part, Spent};
use super::question::{Form, Marks};
use super::status::Status;
use super::tally::Tally;
use super::{Remembered, worth};
use crate::alarm::Alarm;
use crate::attempt::Whole;
use crate::coalesce;
use crate::config::{AliasCache, CacheRedis};
use crate::dispatch::{Dispatch, Opened};
use crate::gateway::Shared;
use crate::inquiry::Inquiry;
use crate::observe::trail::Mark;
use crate::plan::Target;
use crate::recorder::Record;
use crate::relay::Relayed;
use crate::snapshot::Snapshot;
use ::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use cache::Freshness;
use cache::clock::Millis;
use cache::entry::{BODY_BYTES_MAX, Entry, Lifetime};
use cache::epochs::{Stamp, Tag};
use cache::key::Key;
use cache::redis::{Claim, End, Guard, HELD_FOR, Outcome};
use cache::semantic::{Candidate, Hit};
use cache::stats::Stats;
use cache::tier::TierName;
use guard::flight::{Abandoned, Pilot};
use measure::metrics::Outcome as Counted;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::Failure;
use wire::openai::Usage;
use wire::openai::stored::{self, StoredStream};
use wire::operation::Operation;

/// Claims that are tried for one answer before it is fetched without.
const CLAIMS_MAX: u32 = 3;

/// What a flight is flown by. Its key says besides whether the answer must be fetched anew.
pub type Controls = Pilot<(Key, bool), Part, Broken>;

/// What a flight is told: all its own, as it outlives the request that began it.
pub struct Job {
    /// The worker it flies on.
    pub shared: Arc<Shared>,
    /// The configuration it flies under.
    pub snapshot: Arc<Snapshot>,
    /// The key of the answer.
    pub key: Key,
    /// The key of the same answer in the other form, if it can be made from it.
    pub sibling: Option<Key>,
    /// The form of the answer.
    pub form: Form,
    /// What is asked for.
    pub operation: Operation,
    /// Whether farther tiers are asked first.
    pub looks: bool,
    /// What the alias keeps.
    pub policy: AliasCache,
    /// What came of it in the last hour.
    pub hour: Arc<Stats>,
    /// The question to be compared with others', if it may be.
    pub kindred: Option<Kindred>,
    /// Another question to be compared with once this one's answer is here.
    pub candidate: Option<Candidate>,
    /// How long the answer may be served; `None`: it is not kept.
    pub lifetime: Option<Lifetime>,
    /// Whose the answer is, and the names by which it is invalidated.
    pub marks: Marks,
    /// What is asked, and of whom.
    pub inquiry: Inquiry,
    /// Where its attempts are counted.
    pub record: Box<Record>,
}

/// Flies `job` to its end.
pub async fn fly(mut job: Job, pilot: Controls) {
    let snapshot = Arc::clone(&job.snapshot);
    let (fetched, claim) = tokio::select! {
        flown = job.fly(&pilot) => flown,
        // What fetches is dropped here, and the provider's call with it; a claim is given up.
        () = pilot.abandoned() => return,
    };
    let (end, learned) = match fetched {
        Err(failure) => {
            let trail = Some(Arc::new(job.record.trail().clone()));
            pilot.finish(Err(Broken { failure, trail }));
            (End::Failed, None)
        }
        Ok(None) => {
            pilot.finish(Ok(()));
            (End::Failed, None)
        }
        Ok(Some((key, entry))) => {
            // In memory before the flight ends: whoever comes next finds one or the other.
            let tiers = &snapshot.remembered.tiers;
            tiers.keep(&key, &entry);
            pilot.finish(Ok(()));
            tiers.store(&key, Arc::clone(&entry)).await;
            (End::Stored, Some((key, entry)))
        }
    };
    if let Some(claim) = claim {
        claim.release(end).await;
    }
    if let Some((key, entry)) = learned.filter(|_| job.kindred.is_some()) {
        let shared = Arc::clone(&job.shared);
        // Where too much waits to be learned some of it is not, and that is counted.
        let _ = shared.chores.learn.submit(async move { job.learn(key, &entry).await });
    }
}

/// What came of asking other replicas.
enum Claimed {
    /// One of them had the answer made.
    Answer(Part),
    /// They wait for ours.
    Held(Guard),
    /// Nobody waits for anybody.
    Alone,
}

/// Why a fetch ended without an answer to keep.
type Fetched = Result<Option<(Key, Arc<Entry>)>, Failure>;

impl Job {
    fn remembered(&self) -> &Remembered {
        &self.snapshot.remembered
    }

    /// Looks in the tiers, then at other replicas, then asks the provider. Gives what is to be kept, and the
    /// claim that others wait on.
    async fn fly(&mut self, pilot: &Controls) -> (Fetched, Option<Guard>) {
        let mut claim = None;
        if self.looks {
            let began = Instant::now();
            let found = self.look().await;
            let looked = Instant::now();
            self.record.passes(Mark::Looked, looked);
            let part = match found {
                Some(part) => Some(part),
                None if self.kindred.is_some() => {
                    let part = self.look_at_others().await;
                    self.record.passes(Mark::Compared, Instant::now());
                    part
                }
                None => None,
            };
            let part = match part {
                Some(part) => Some(part),
                None => match self.claim_and_tell(looked - began).await {
                    Claimed::Answer(part) => Some(part),
                    Claimed::Held(guard) => {
                        claim = Some(guard);
                        None
                    }
                    Claimed::Alone => None,
                },
            };
            if let Some(part) = part {
                return (Ok(pilot.push(part).await.map_or(None, |()| None)), None);
            }
        }
        let fetched = match &claim {
            Some(guard) => guard.renewing(self.fetch(pilot)).await,
            None => self.fetch(pilot).await,
        };
        (fetched, claim)
    }

    async fn claim_and_tell(&mut self, waited: Duration) -> Claimed {
        let claimed = self.claim(waited).await;
        if self.remembered().tiers.redis().is_some() {
            self.record.passes(Mark::Claimed, Instant::now());
        }
        claimed
    }

    /// Agrees with other replicas on who asks the provider, where an answer is dear enough to wait for; where
    /// they cannot be asked everybody asks for himself. So does whoever has `waited` for Redis as long as a
    /// request may.
    async fn claim(&self, waited: Duration) -> Claimed {
        let settings = self.remembered().settings().redis.as_ref();
        let is_dear = self.operation != Operation::Embeddings;
        let claims = |redis: &CacheRedis| redis.coalesce && waited < redis.budget;
        let tiers = &self.remembered().tiers;
        let Some(redis) = tiers.redis().filter(|_| is_dear && settings.is_some_and(claims)) else {
            return Claimed::Alone;
        };
        for _ in 0..CLAIMS_MAX {
            match redis.claim(&self.key, HELD_FOR).await {
                Claim::Held(guard) => return Claimed::Held(guard),
                Claim::Unknown => return Claimed::Alone,
                Claim::Elsewhere => {
                    match redis.wait(&self.key, self.inquiry.deadline(&self.inquiry.plan.target).into()).await
                    {
                        Outcome::Stored => {
                            let found = tiers.look_further(&self.key, Millis::now()).await;
                            return found.map_or(Claimed::Alone, |found| {
                                Claimed::Answer(Part::Remembered(found.entry, Status::Coalesced))
                            });
                        }
                        // Whoever had it is gone: somebody else must.
                        Outcome::Vanished => {}
                        Outcome::Failed | Outcome::Unknown | Outcome::TimedOut => return Claimed::Alone,
                    }
                }
            }
        }
        Claimed::Alone
    }

    async fn fetch(&mut self, pilot: &Controls) -> Fetched {
        if self.looks {
            self.tally().missed(Millis::now());
        }
        // Before anything is asked: what is invalidated from here on is not kept.
        let stamp = self.remembered().tiers.stamp();
        let (alarm, record) = (Alarm::default(), &mut *self.record);
        let reached = coalesce::open(&self.shared, &self.snapshot, &self.inquiry, alarm, record).await?;
        let target = &*reached.target;
        match reached.opened {
            Opened::Refusal(status, body) => {
                let head = self.head(target, status, Counted::CallerError, HeaderMap::new(), None);
                Ok(pilot.push(Part::Whole(head, body)).await.map_or(None, |()| None))
            }
            Opened::Whole(whole) => self.whole(target, whole, stamp, pilot).await,
            Opened::Stream(head, stream) => self.stream(target, head, *stream, stamp, pilot).await,
        }
    }

    /// The answer from memory, where it came there between the caller's look and this flight; from a tier
    /// farther away; or made from the other form.
    async fn look(&self) -> Option<Part> {
        let (tiers, now) = (&self.remembered().tiers, Millis::now());
        let fresh = |found: &cache::Found| found.freshness == Freshness::Fresh;
        let tally = self.tally();
        let (own, other) = tokio::join!(tiers.get(&self.key, now), self.look_for_sibling(now));
        let (entry, tier) = match (own.filter(fresh), other) {
            (Some(found), _) => (found.entry, found.tier),
            (None, Some((entry, tier))) => {
                tiers.keep(&self.key, &entry);
                (entry, tier)
            }
            (None, None) if let Some(found) = self.look_at_stand_in(now).await => (found.entry, found.tier),
            (None, None) => {
                for tier in tiers.far() {
                    tally.asked(tier, false, now);
                }
                return None;
            }
        };
        tally.asked(tier, true, now);
        Some(Part::Remembered(entry, Status::Hit(tier)))
    }

    /// What whoever stands in for a first choice that is out of order has said to the same question.
    async fn look_at_stand_in(&self, now: Millis) -> Option<cache::Found> {
        let dispatch = Dispatch { shared: &self.shared, snapshot: &self.snapshot, inquiry: &self.inquiry };
        let key = self.key_at(&*dispatch.stand_in()?)?;
        let found = self.remembered().tiers.get(&key, now).await?;
        (found.freshness == Freshness::Fresh).then_some(found)
    }

    /// The answer to another question that means the same.
    async fn look_at_others(&mut self) -> Option<Part> {
        let kindred = self.kindred.as_ref()?;
        let (kin, now) = (&self.remembered().kin, Millis::now());
        let errands = self.errands();
        let looked = kin.look(kindred, &errands).await;
        let found = match &looked {
            Looked::Hit(hit) => {
                let found = self.remembered().tiers.get(&hit.key, now).await;
                let found = found.filter(|found| found.freshness == Freshness::Fresh);
                if found.is_none() {
                    kin.forget(kindred, hit);
                }
                found
            }
            Looked::Candidate(_) | Looked::Nothing => None,
        };
        self.tally().compared(found.is_some(), now);
        match (looked, found) {
            (Looked::Hit(hit), Some(found)) => {
                if hit.to_audit {
                    self.audit(&hit, &found.entry, errands);
                }
                Some(Part::Remembered(found.entry, Status::Alike(hit.cosine)))
            }
            (Looked::Candidate(candidate), _) => {
                self.candidate = Some(candidate);
                None
            }
            _ => None,
        }
    }

    /// What the gateway asks on its own account, for whoever began this flight.
    fn errands(&self) -> Errands {
        Errands::new(&self.shared, &self.snapshot, self.record.who())
    }

    /// Has a hit judged behind everybody's back.
    fn audit(&self, hit: &Hit, entry: &Entry, errands: Errands) {
        let (Some(kindred), Some(answer)) = (&self.kindred, self.text(entry)) else { return };
        let (snapshot, hit) = (Arc::clone(&self.snapshot), hit.clone());
        let question = kindred.question.text().to_owned();
        // Where too many wait to be judged some are not, and that is counted.
        let _ = self.shared.chores.audit.submit(async move {
            snapshot.remembered.kin.audit(&hit, &question, &answer, &errands).await;
        });
    }

    /// Takes note of a question that has its own answer now, and compares it with the one that was near.
    async fn learn(&self, key: Key, entry: &Entry) {
        let Some(kindred) = &self.kindred else { return };
        let kin = &self.remembered().kin;
        let errands = self.errands();
        if let Some(candidate) = &self.candidate
            && let Some(other) = self.remembered().tiers.get(&candidate.key, Millis::now()).await
            && let (Some(own), Some(other)) = (self.text(entry), self.text(&other.entry))
        {
            kin.compare(kindred, candidate, (&own, &other), &errands).await;
        }
        kin.learn(kindred, key, &errands).await;
    }

    /// What the model said in an answer of this job's form.
    fn text(&self, entry: &Entry) -> Option<String> {
        let plain = entry.body.to_plain().ok()?;
        let whole = match self.form {
            Form::Whole => plain,
            Form::Stream => stored::whole_of(self.operation, &StoredStream::split(self.operation, &plain)?)?,
        };
        text_of(&whole)
    }

    fn tally(&self) -> Tally<'_> {
        Tally { metrics: &self.snapshot.cache_metrics, stats: &self.hour }
    }

    /// The answer made from its other form.
    async fn look_for_sibling(&self, now: Millis) -> Option<(Arc<Entry>, TierName)> {
        let found = self.remembered().tiers.get(&self.sibling?, now).await?;
        let fresh = found.freshness == Freshness::Fresh;
        fresh.then(|| self.converted(&found.entry)).flatten().map(|entry| (Arc::new(entry), found.tier))
    }

    /// The same answer in this job's form: as old, as long to live, invalidated by the same.
    fn converted(&self, other: &Entry) -> Option<Entry> {
        let notes = Notes::decode(other.info.clone())?;
        let plain = other.body.to_plain().ok()?;
        let (body, info) = match self.form {
            Form::Stream => {
                let stream = stored::stream_of(self.operation, &plain)?;
                let usage_bytes = stream.usage.as_ref().map_or(0, Bytes::len) as u32;
                let frames_bytes = stream.frames.len() as u32;
                (stream.join(), Notes { frames_bytes, usage_bytes, ..notes })
            }
            Form::Whole => {
                let whole = stored::whole_of(self.operation, &StoredStream::split(self.operation, &plain)?)?;
                let frames_bytes = whole.len() as u32;
                (whole, Notes { frames_bytes, usage_bytes: 0, ..notes })
            }
        };
        let body = cache::entry::Body::plain(body);
        let mut tags = other.tags.clone();
        tags.push(Tag::key(&self.key));
        Some(Entry { body, info: info.encode(), tags, ..other.clone() })
    }

    async fn whole(&self, target: &Target, whole: Whole, stamp: Stamp, pilot: &Controls) -> Fetched {
        let Whole { head, body, usage } = whole;
        let plain = !head.contains_key(header::CONTENT_ENCODING);
        let head = self.head(target, StatusCode::OK, Counted::Ok, head, usage.as_ref());
        if pilot.push(Part::Whole(head, body.clone())).await == Err(Abandoned) || !plain {
            return Ok(None);
        }
        let Ok(worth) = stored::worth_of(self.operation, &body) else { return Ok(None) };
        let notes = Notes::of_whole(body.len(), usage.as_ref(), target);
        Ok(self.entry(target, &worth, body, &notes, stamp))
    }

    async fn stream(
        &mut self,
        target: &Target,
        head: HeaderMap,
        mut stream: Relayed,
        stamp: Stamp,
        pilot: &Controls,
    ) -> Fetched {
        let plain = !head.contains_key(header::CONTENT_ENCODING);
        let head = self.head(target, StatusCode::OK, Counted::Ok, head, None);
        let Ok(()) = pilot.push(Part::Begins(head)).await else { return Ok(None) };
        let mut frames = BytesMut::new();
        while let Some(bytes) = stream.next(&mut self.record).await? {
            if frames.len() <= BODY_BYTES_MAX {
                frames.extend_from_slice(&bytes);
            }
            let has_tokens = stream.observed().content;
            let Ok(()) = pilot.push(Part::Frames(bytes, has_tokens)).await else { return Ok(None) };
        }
        if stream.observed().error {
            return Ok(None);
        }
        let usage_chunk = stream.take_usage_frame();
        if let Some(bytes) = &usage_chunk
            && pilot.push(Part::Usage(bytes.clone())).await == Err(Abandoned)
        {
            return Ok(None);
        }
        let usage = stream.observed().usage;
        if pilot.push(Part::Done(usage.as_ref().map(|usage| spent(target, usage)))).await == Err(Abandoned)
            || !plain
        {
            return Ok(None);
        }
        let stored = StoredStream { frames: frames.freeze(), usage: usage_chunk };
        Ok(self.stored(target, &stored, usage.as_ref(), stamp))
    }

    fn stored(
        &self,
        target: &Target,
        stream: &StoredStream,
        usage: Option<&Usage>,
        stamp: Stamp,
    ) -> Option<(Key, Arc<Entry>)> {
        let usage_bytes = stream.usage.as_ref().map_or(0, Bytes::len);
        let notes = Notes::of_stream(stream.frames.len(), usage_bytes, usage, target);
        self.entry(target, &stream.worth(), stream.join(), &notes, stamp)
    }

    /// The entry to be kept, and under which key, where the answer is worth it.
    fn entry(
        &self,
        target: &Target,
        worth: &stored::Worth,
        body: Bytes,
        notes: &Notes,
        stamp: Stamp,
    ) -> Option<(Key, Arc<Entry>)> {
        let lifetime = self.lifetime?;
        if body.len() > BODY_BYTES_MAX {
            return None;
        }
        match worth::judge(worth, &self.policy) {
            Ok(()) => {
                let key = self.key_at(target)?;
                self.remembered().note_put(&key, notes);
                let tags = self.marks.tags(&key, target, self.operation);
                Some((key, Arc::new(Entry::new(body, notes.encode(), lifetime, stamp, &tags))))
            }
            Err(unfit) => {
                tracing::debug!(?unfit, "an answer is not kept");
                None
            }
        }
    }

    /// The key of the same question's answer by `target`: who stood in for the first choice is not taken for
    /// it afterwards.
    fn key_at(&self, target: &Target) -> Option<Key> {
        if std::ptr::eq(target, &*self.inquiry.plan.target) {
            return Some(self.key);
        }
        let body = std::str::from_utf8(&self.inquiry.body).ok()?;
        self.marks.key(&self.remembered().secret, target.place(self.operation), self.form, body)
    }

    fn head(
        &self,
        target: &Target,
        status: StatusCode,
        outcome: Counted,
        provider: HeaderMap,
        usage: Option<&Usage>,
    ) -> Arc<Head> {
        let (spent, target) = (usage.map(|usage| spent(target, usage)), target.header.clone());
        Arc::new(Head { status, outcome, provider, target, trail: self.record.trail().clone(), spent })
    }
}

fn spent(target: &Target, usage: &Usage) -> Spent {
    Spent { usage: *usage, cost: target.cost(Some(usage)) }
}
