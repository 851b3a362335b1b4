//! Several futures at once, all to their end.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// What each gives, in their order. All are polled whenever one wakes: they are few.
pub(super) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut under_way: Vec<Result<Pin<Box<F>>, F::Output>> =
        futures.into_iter().map(|future| Ok(Box::pin(future))).collect();
    poll_fn(|context| {
        let mut pending = false;
        for slot in &mut under_way {
            if let Ok(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *slot = Err(output),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    under_way.into_iter().filter_map(Result::err).collect()
}
