//! What kinds of jobs there are, what does them, and what follows their ends. A further kind is a file, and a line
//! in [`handlers`].

use super::{batch, completion, courier, model, webhook};
use crate::gateway::Gateway;
use std::sync::Arc;
use store::Time;
use store::jobs::{End, Running};
use work::handler::Extra;
use work::{Clock, Context, Failed, Handlers, Outcome};

/// The kinds that callers may ask for at `/v1/jobs`, and are shown there.
pub const PUBLIC: [&str; 2] = [model::KIND, webhook::KIND];
/// Queues of kinds that callers do not name, beside those of the configuration.
pub const QUEUES: [&str; 2] = [work::batches::QUEUE, work::batches::PARCELS];

/// What does the jobs of each kind.
pub(super) fn handlers(gateway: &Arc<Gateway>, batches: &work::batches::Rows) -> Handlers {
    let (ask, courier) = (batch::ask(gateway), courier::courier(gateway));
    let handlers =
        work::batches::handle(Handlers::new(), batches.clone(), ask, Some(courier), Clock::default());
    handlers
        .on(model::KIND, with(gateway, model::attempt))
        .on(webhook::KIND, with(gateway, webhook::attempt))
        .at_end(at_end)
}

/// What is recorded with a job's last end.
fn at_end(job: &Running, end: &End, at: Time) -> Extra {
    match job.kind.as_str() {
        model::KIND => completion::announce(job, end, at),
        _ => Extra::default(),
    }
}

/// A handler that is told which gateway it works for.
pub(super) fn with<F, A>(
    gateway: &Arc<Gateway>,
    handler: F,
) -> impl Fn(Context) -> A + Send + Sync + 'static + use<F, A>
where
    F: Fn(Arc<Gateway>, Context) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Outcome, Failed>> + Send + 'static,
{
    let gateway = Arc::clone(gateway);
    move |context| handler(Arc::clone(&gateway), context)
}
