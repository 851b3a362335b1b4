//! One of the few that do the work: takes a job, drives it to its end, takes the next, and goes when
//! nothing waits.

use super::{Ended, Inner, Job};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(super) struct Crew {
    inner: Arc<Inner>,
    /// The job under way and its lane.
    job: Option<(usize, Job)>,
    /// Whether it has been counted out: nothing waited any more.
    dismissed: bool,
}

impl Crew {
    /// A crew that has been counted in.
    pub fn new(inner: &Arc<Inner>) -> Self {
        Self { inner: Arc::clone(inner), job: None, dismissed: false }
    }

    /// Polls the job, which may panic: it is dropped then, and touched no more.
    fn drive(job: &mut Job, context: &mut Context<'_>) -> Poll<Result<Ended, Panicked>> {
        match catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(ended)) => Poll::Ready(Ok(ended)),
            Err(payload) => {
                discard(payload);
                Poll::Ready(Err(Panicked))
            }
        }
    }

    fn settle(&mut self, lane: usize, job: Job, ended: &Result<Ended, Panicked>) {
        // Dropped before it is counted, so that an idle executor holds nothing of anybody's.
        discard(job);
        self.inner.state().settle(lane, |report| match ended {
            Ok(Ended::Done) => report.done += 1,
            Ok(Ended::Failed) => report.failed += 1,
            Err(Panicked) => report.panicked += 1,
        });
    }
}

struct Panicked;

/// Drops what is somebody else's, whose drop may panic as well.
fn discard<T>(foreign: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(foreign)));
    // A payload whose drop panics once more is given up on.
    dropped.unwrap_or_else(std::mem::forget);
}

impl Future for Crew {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let crew = &mut *self;
        if crew.job.is_none() {
            crew.job = crew.inner.state().next();
        }
        let Some((lane, mut job)) = crew.job.take() else {
            crew.dismissed = true;
            return Poll::Ready(());
        };
        match Self::drive(&mut job, context) {
            Poll::Pending => crew.job = Some((lane, job)),
            Poll::Ready(ended) => {
                crew.settle(lane, job, &ended);
                // The next job comes with the next poll: others have waited while this one ran.
                context.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

impl Drop for Crew {
    /// A crew that is cancelled takes its job with it; what waits is for the next crew.
    fn drop(&mut self) {
        if self.dismissed {
            return;
        }
        let job = self.job.take();
        let mut state = self.inner.state();
        state.crews -= 1;
        if let Some((lane, job)) = job {
            state.settle(lane, |report| report.dropped += 1);
            drop(state);
            discard(job);
        }
    }
}
