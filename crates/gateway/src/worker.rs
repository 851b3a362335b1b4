//! Worker threads: one a core, each with a runtime of its own.
//!
//! A request lives on one thread from its first byte to its last, its upstream connection with it:
//! no task migrates, no wake-up crosses threads, and the locks on its path are never contended. The
//! price is that a caller's connection cannot move to an idle core; connections are therefore dealt
//! to the worker that has fewest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections accepted but not yet taken up by a worker; beyond that the accept loop waits, and
/// the kernel's own backlog after it.
const HANDOVER_MAX: usize = 1024;

/// What code that runs on a worker knows of it.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its number, from 0.
    pub index: usize,
    /// Callers' connections; the drain waits for them.
    pub tasks: TaskTracker,
    /// What serves no caller just now, upstream connections above all; the drain ends it.
    pub background: TaskTracker,
}

/// Where a thread finds the work dealt to it.
pub struct Dealt<T> {
    /// Whose work this is.
    pub worker: Worker,
    /// What is dealt; ends when the dealer is dropped.
    pub receiver: mpsc::Receiver<T>,
}

/// Deals work to the worker with least of it.
pub struct Dealer<T> {
    workers: Vec<(mpsc::Sender<T>, Arc<AtomicUsize>)>,
}

impl<T> Dealer<T> {
    /// Hands `item` to the least loaded worker and counts it as its load until [`Held`] is dropped
    /// there. Gives the item back where that worker is gone.
    pub async fn deal(&self, make: impl FnOnce(Held) -> T) -> Result<(), T> {
        let least = self.workers.iter().min_by_key(|(_, load)| load.load(Ordering::Relaxed));
        let Some((sender, load)) = least else { return Err(make(Held(Arc::default()))) };
        load.fetch_add(1, Ordering::Relaxed);
        sender.send(make(Held(Arc::clone(load)))).await.map_err(|error| error.0)
    }
}

/// One unit of a worker's load, given back when dropped.
#[derive(Debug)]
pub struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts `count` threads that each run `run` to its end, or until `abort` is cancelled.
///
/// # Errors
/// Where the system refuses a thread or a runtime.
pub fn start<T, F, Fut>(
    count: usize,
    abort: &CancellationToken,
    run: F,
) -> std::io::Result<(Dealer<T>, Vec<JoinHandle<()>>)>
where
    T: Send + 'static,
    F: Fn(Dealt<T>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()>,
{
    let mut workers = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count);
    for index in 0..count {
        let (sender, receiver) = mpsc::channel(HANDOVER_MAX);
        let load = Arc::new(AtomicUsize::new(0));
        workers.push((sender, load));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (run, abort) = (run.clone(), abort.clone());
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let worker = Worker { index, tasks: TaskTracker::new(), background: TaskTracker::new() };
            runtime.block_on(async {
                tokio::select! {
                    () = run(Dealt { worker, receiver }) => {}
                    () = abort.cancelled() => {}
                }
            });
            // What is left must not hold up the process.
            runtime.shutdown_background();
        })?;
        threads.push(thread);
    }
    Ok((Dealer { workers }, threads))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::start;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn work_goes_to_the_worker_with_least_in_hand() {
        let (done, mut seen) = mpsc::channel(8);
        let (dealer, threads) = start(2, &CancellationToken::new(), move |mut dealt| {
            let done = done.clone();
            async move {
                while let Some(held) = dealt.receiver.recv().await {
                    done.send((dealt.worker.index, held)).await.unwrap();
                }
            }
        })
        .unwrap();

        let mut counts = [0, 0];
        let mut in_hand = Vec::new();
        for _ in 0..8 {
            assert!(dealer.deal(|held| held).await.is_ok());
            let (index, held) = seen.recv().await.unwrap();
            counts[index] += 1;
            in_hand.push(held);
        }
        assert_eq!(counts, [4, 4]);

        drop(dealer);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
