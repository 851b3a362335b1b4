//! The latest batches of every tenant, for operators: how each stands, and who runs its lines.

use super::refusal;
use crate::durable::api::{batch_state_name, seconds};
use crate::durable::{Fault, Open};
use crate::gateway::Gateway;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use store::batches::Batch;
use store::parcels::{Parcel, ParcelState};
use work::batches::ParcelNotes;

/// Batches that are shown.
const SHOWN_MAX: u32 = 100;

/// A batch.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    tenant: &'a str,
    status: &'static str,
    created_at: i64,
    expires_at: i64,
    total: u64,
    completed: u64,
    failed: u64,
    /// What of it is handed to providers; the gateway asks all else line by line.
    at_providers: Vec<AtProvider>,
}

/// Lines of a batch that ask one model, at its provider's own batch API.
#[derive(Serialize)]
struct AtProvider {
    model: String,
    target: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl AtProvider {
    fn of(parcel: &Parcel) -> Self {
        let notes = ParcelNotes::of(parcel);
        let state = match (parcel.state, &notes.remote) {
            (ParcelState::Open, None) => "packing",
            (ParcelState::Open, Some(_)) => "sent",
            (ParcelState::Fetched, _) => "fetched",
            (ParcelState::Returned, _) => "returned",
        };
        Self {
            model: parcel.model.clone(),
            target: notes.place,
            state,
            batch: notes.remote,
            reason: notes.why,
        }
    }
}

impl<'a> View<'a> {
    /// As one of these parcels' batches.
    fn of(batch: &'a Batch, parcels: &[Parcel]) -> Self {
        let own = parcels.iter().filter(|parcel| parcel.batch == batch.id);
        Self {
            id: &batch.id,
            tenant: &batch.tenant,
            status: batch_state_name(batch.state),
            created_at: seconds(batch.created),
            expires_at: seconds(batch.expires),
            total: batch.total,
            completed: batch.completed,
            failed: batch.failed,
            at_providers: own.map(AtProvider::of).collect(),
        }
    }
}

/// `GET /admin/batches`
pub async fn list(State(gateway): State<Arc<Gateway>>) -> Response {
    let asked = gateway.durable.ask(async move |open: Arc<Open>| -> Result<Value, Fault> {
        let batches = open.batches.list(None, None, SHOWN_MAX).await?;
        let ids: Vec<&str> = batches.iter().map(|batch| &*batch.id).collect();
        let parcels = open.batches.parcels(&ids).await?;
        let shown: Vec<_> = batches.iter().map(|batch| View::of(batch, &parcels)).collect();
        Ok(json!({ "batches": shown }))
    });
    match asked.await {
        Ok(shown) => Json(shown).into_response(),
        Err(failure) => refusal(&failure),
    }
}
