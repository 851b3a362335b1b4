//! The desk where the gateway's own parts hand in requests on a caller's behalf: jobs, batches, workflows.
//!
//! ```text
//! any thread ─► Desk::ask ─► a worker's tray (bounded) ─► pipeline, on that worker ─► Answer
//! ```
//!
//! Such a request goes through the same pipeline as a caller's own: cache, limits, single flight, queue, breakers,
//! metrics. It is dealt to the workers in turn, as connections to providers belong to them. Who stops waiting for
//! the answer calls the request off, and the provider's call with it.
//!
//! It keeps nothing: what must survive the process is for whoever asks to remember.

mod commission;

pub use crate::auth::Principal;
pub use commission::{Answer, Begun, Commission, Placed};

use crate::gateway::Shared;
use crate::pipeline::{self, Look};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wire::failure::{Failure, Kind, Retry};

/// Requests that wait in one worker's tray; beyond that whoever asks waits.
const TRAY_MAX: usize = 64;

/// Requests from its tray that a worker has under way at once. What they wait for is a provider: this bounds
/// memory, and is no rate.
const UNDERWAY_MAX: usize = 512;

/// Where requests are handed in; one for the process.
pub struct Desk {
    /// One for each worker.
    trays: Box<[Tray]>,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// Who has answers in hand that were paid for and are to be counted.
    books: TaskTracker,
}

/// The desk takes answers that were [given](Placed::given), also while the process leaves, until this is dropped.
pub struct Books(#[expect(dead_code, reason = "it counts for as long as it lives")] TaskTrackerToken);

/// What is handed in for one worker.
struct Tray {
    letters: mpsc::Sender<Letter>,
    /// For the worker to take, once it runs.
    receiver: Mutex<Option<mpsc::Receiver<Letter>>>,
}

/// A request, and who waits for its answer.
struct Letter {
    commission: Commission,
    reply: Reply,
}

/// How the answer is wanted.
enum Reply {
    /// All of it.
    Whole(oneshot::Sender<Answer>),
    /// As it comes.
    Begun(oneshot::Sender<Begun>),
    /// Not at all: only what would become of it.
    Looked(oneshot::Sender<Look>),
}

impl Desk {
    /// A desk before so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        let tray = |_| {
            let (letters, receiver) = mpsc::channel(TRAY_MAX);
            Tray { letters, receiver: Mutex::new(Some(receiver)) }
        };
        Self { trays: (0..workers).map(tray).collect(), turn: AtomicUsize::new(0), books: TaskTracker::new() }
    }

    /// Holds the books open for answers that are about to be counted; `None` once the process leaves.
    pub fn open_books(&self) -> Option<Books> {
        // Before it is looked whether they are closed, so that whoever closes them waits for this.
        let books = Books(self.books.token());
        (!self.books.is_closed()).then_some(books)
    }

    /// Has a request answered, from any thread. Never fails: a failure is an answer too, as it is for a caller.
    /// Dropping the future calls the request off.
    ///
    /// Once the process leaves, every answer is a 503 with the code `gateway_leaving`: nothing was begun. A worker
    /// that is gone before it has answered is a 500 with the code `answer_lost`: the work may have been done.
    pub async fn ask(&self, commission: Commission) -> Answer {
        let (reply, answer) = oneshot::channel();
        match self.send(commission, Reply::Whole(reply)).await {
            Err(failure) => Answer::failed(failure),
            // From here on the worker keeps the time.
            Ok(()) => answer.await.unwrap_or_else(|_| Answer::lost()),
        }
    }

    /// The same where the answer may be a stream: what there is of it is handed over as it comes. Dropping the
    /// future, or what it gives, calls the request off.
    pub async fn begin(&self, commission: Commission) -> Begun {
        let (reply, begun) = oneshot::channel();
        match self.send(commission, Reply::Begun(reply)).await {
            Err(failure) => Answer::failed(failure).into(),
            Ok(()) => begun.await.unwrap_or_else(|_| Answer::lost().into()),
        }
    }

    /// What would become of a request in a batch of its provider's; `None` where the process leaves.
    pub async fn look(&self, commission: Commission) -> Option<Look> {
        let (reply, look) = oneshot::channel();
        self.send(commission, Reply::Looked(reply)).await.ok()?;
        look.await.ok()
    }

    async fn send(&self, commission: Commission, reply: Reply) -> Result<(), Failure> {
        let due = commission.deadline.map(tokio::time::Instant::from_std);
        let handing_in = self.hand_in(Letter { commission, reply });
        let handed_in = match due {
            None => handing_in.await,
            Some(due) => match tokio::time::timeout_at(due, handing_in).await {
                Ok(handed_in) => handed_in,
                Err(_) => return Err(commission::late()),
            },
        };
        handed_in.map_err(|Left| leaving())
    }

    /// Puts a letter into the tray whose turn it is, or into the next that has room.
    async fn hand_in(&self, mut letter: Letter) -> Result<(), Left> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (before, after) = self.trays.split_at(turn % self.trays.len().max(1));
        let mut full = None;
        for tray in after.iter().chain(before) {
            letter = match tray.letters.try_send(letter) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(letter)) => {
                    full = full.or(Some(tray));
                    letter
                }
                Err(TrySendError::Closed(letter)) => letter,
            };
        }
        let tray = full.ok_or(Left)?;
        tray.letters.send(letter).await.map_err(|_| Left)
    }

    /// What is handed in for a worker, taken by that worker, once.
    fn take(&self, worker: usize) -> Option<mpsc::Receiver<Letter>> {
        let tray = self.trays.get(worker)?;
        tray.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A worker's part: answers what is in its tray until told to `stop`. What is under way then goes on, on the
    /// worker's own tasks; what was not begun is told so, but for answers that somebody has in hand to be counted.
    pub(crate) async fn attend(&self, shared: &Arc<Shared>, stop: &CancellationToken) {
        let Some(mut letters) = self.take(shared.worker.index) else { return };
        let places = Arc::new(Semaphore::new(UNDERWAY_MAX));
        let next = async |letters: &mut mpsc::Receiver<Letter>| {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((letters.recv().await?, place))
        };
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                next = next(&mut letters) => next,
            };
            let Some((letter, place)) = next else { break };
            shared.worker.tasks.spawn(letter.answer(Arc::clone(shared), Some(place)));
        }
        self.close_books(shared, &mut letters).await;
        letters.close();
        while let Some(letter) = letters.recv().await {
            letter.reply.refuse(leaving());
        }
    }

    /// Takes what is still to be counted, and nothing else, until all of it is.
    async fn close_books(&self, shared: &Arc<Shared>, letters: &mut mpsc::Receiver<Letter>) {
        self.books.close();
        loop {
            let letter = tokio::select! {
                biased;
                () = self.books.wait() => return,
                letter = letters.recv() => letter,
            };
            match letter {
                // Few, as whoever has them in hand has them counted one after the other: no place is waited for.
                Some(letter) if letter.commission.is_given() => {
                    shared.worker.tasks.spawn(letter.answer(Arc::clone(shared), None));
                }
                Some(letter) => letter.reply.refuse(leaving()),
                None => return,
            }
        }
    }
}

impl Letter {
    async fn answer(self, shared: Arc<Shared>, _place: Option<OwnedSemaphorePermit>) {
        let Self { commission, reply } = self;
        // Boxed, as they are large. Where nobody waits any more what is under way is dropped, and the provider's call
        // with it.
        match reply {
            Reply::Whole(mut reply) => tokio::select! {
                answer = Box::pin(pipeline::serve_own(&shared, &commission)) => {
                    let _ = reply.send(answer);
                }
                () = reply.closed() => {}
            },
            Reply::Looked(mut reply) => tokio::select! {
                look = Box::pin(pipeline::look_own(&shared, &commission)) => {
                    let _ = reply.send(look);
                }
                () = reply.closed() => {}
            },
            Reply::Begun(mut reply) => tokio::select! {
                response = Box::pin(pipeline::begin_own(&shared, &commission)) => {
                    let (begun, frames) = Begun::new(response);
                    if reply.send(begun).is_ok() {
                        frames.pass_on().await;
                    }
                }
                () = reply.closed() => {}
            },
        }
    }
}

impl Reply {
    /// Whoever no longer listens need not be told.
    fn refuse(self, failure: Failure) {
        let answer = Answer::failed(failure);
        match self {
            Self::Whole(reply) => drop(reply.send(answer)),
            Self::Begun(reply) => drop(reply.send(answer.into())),
            // Whoever waits hears that nothing comes.
            Self::Looked(reply) => drop(reply),
        }
    }
}

/// Every worker has left.
struct Left;

fn leaving() -> Failure {
    Failure::new(Kind::Overloaded, "The gateway is leaving and takes up nothing new; ask again.")
        .with_code("gateway_leaving")
        .with_retry(Retry::Soon)
}

#[cfg(test)]
mod tests;
