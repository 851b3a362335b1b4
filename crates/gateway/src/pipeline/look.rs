//! A look at a line of a batch before its provider is sent it: what the pipeline would do, without doing any of it.
//! No request is counted and nobody pays: whatever can be answered here is asked for afterwards as usual. That a key was
//! made and a tier was read shows where the cache's own work is told, as that was done.

use crate::desk::Commission;
use crate::gateway::Shared;
use crate::inquiry::Inquiry;
use crate::plan::{Draw, Plan, Target};
use crate::remember::question;
use crate::remember::tally::Tally;
use bytes::Bytes;
use cache::Freshness;
use cache::clock::Millis;
use std::sync::Arc;
use wire::failure::Failure;
use wire::openai;

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It would be answered here: from memory, or by a refusal.
    Here,
    /// It would be sent, in this form, to its provider's own batch API.
    Send(Bytes),
    /// It is for another place by now, or is asked by itself.
    Elsewhere,
}

/// Looks what would become of a request in a batch of its provider's.
pub async fn look_own(shared: &Arc<Shared>, commission: &Commission) -> Look {
    look(shared, commission).await.unwrap_or(Look::Here)
}

async fn look(shared: &Arc<Shared>, commission: &Commission) -> Result<Look, Failure> {
    let snapshot = shared.snapshot();
    let caller = snapshot.callers.on_behalf_of(&commission.principal)?;
    let Commission { operation, body, headers, placed, .. } = commission;
    let ask = openai::Request::parse(*operation, body)?;
    caller.may_use(&ask.model)?;
    let plan = snapshot.routes.plan(*operation, &ask.model, Draw::chance(), || None)?;
    let target = snapshot.routes.batch_target(*operation, &ask.model).cloned();
    let is_for = |target: &Arc<Target>| placed.as_ref().is_none_or(|placed| target.is_at(&placed.at));
    let Some(target) = target.filter(is_for) else { return Ok(Look::Elsewhere) };
    let send = Look::Send(Inquiry::spliced(&ask, body, &target).into_bytes());
    // Its key is that of an answer by the one who would be asked.
    let plan = Plan { target, ..plan };
    let asked = question::Asked { headers, tenant: caller.tenant(), request: &ask, plan: &plan };
    let tally = Tally { metrics: &snapshot.cache_metrics, stats: &plan.hour };
    let Ok(question) = snapshot.remembered.question(&asked, &tally)? else { return Ok(send) };
    let found = snapshot.remembered.tiers.get(&question.key, Millis::now()).await;
    let is_fresh = found.is_some_and(|found| found.freshness == Freshness::Fresh);
    Ok(if is_fresh { Look::Here } else { send })
}
