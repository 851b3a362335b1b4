//! `/admin/keys`: every caller's key, the file's and the store's; making, changing and revoking those of the store.
//! A secret is told once, to whoever makes it, and nowhere kept.

use super::refusal;
use super::refused::{self, Path};
use crate::config::{Key, KeyFault, KeySettings};
use crate::durable::keys::{KEYS_MAX, ROWS_MAX, Row, settings};
use crate::durable::{Fault, Open};
use crate::gateway::Gateway;
use crate::keys::{FreshKey, is_id};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rig::load::units;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::Time;
use wire::failure::{Failure, Kind};

/// How often a change is tried where others change the same key at once.
const CHANGES_MAX: usize = 3;

type Asked = Result<Json<Map<String, Value>>, JsonRejection>;

/// `GET /admin/keys`: those in force, and the revoked ones.
pub async fn list(State(gateway): State<Arc<Gateway>>) -> Response {
    let snapshot = gateway.snapshot(0);
    let own = &snapshot.config.keys;
    let ids: HashSet<&str> = own.iter().map(|key| key.id.as_str()).collect();
    let of_file = own.iter().map(|key| shown(key, "file", None));
    let stored = gateway.stored();
    let of_store = stored.rows().map(|row| shown_row(row, ids.contains(row.id.as_str())));
    let keys: Vec<Value> = of_file.chain(of_store).collect();
    Json(json!({ "needed": snapshot.keyring.needed, "keys": keys })).into_response()
}

/// `GET /admin/keys/{id}`
pub async fn show(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    answer(found(&gateway, &id).ok_or_else(no_key))
}

/// `POST /admin/keys`: settings as the file's, and an `id` where one is to be kept.
pub async fn create(State(gateway): State<Arc<Gateway>>, asked: Asked) -> Response {
    match made(&gateway, asked).await {
        Ok(made) => (StatusCode::CREATED, Json(made)).into_response(),
        Err(failure) => refusal(&failure),
    }
}

/// `PATCH /admin/keys/{id}`: the settings to be changed; `null` takes one out.
pub async fn change(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, asked: Asked) -> Response {
    answer(changed(&gateway, id, asked).await)
}

/// `DELETE /admin/keys/{id}`: it is valid no more, and its id is not given again.
pub async fn revoke(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    answer(revoked(&gateway, id).await)
}

async fn made(gateway: &Gateway, asked: Asked) -> Result<Value, Failure> {
    let mut asked = members(asked)?;
    let id = match asked.remove("id") {
        None => None,
        Some(Value::String(id)) if is_id(&id) => Some(id),
        Some(_) => return Err(bad("id", "an id is tg- and 12 letters or digits")),
    };
    let KeySettings { tenant, rest } = KeySettings::check(asked).map_err(|fault| unsound(&fault))?;
    has_room(gateway)?;
    let fresh = FreshKey::make(id.as_deref()).map_err(|error| {
        Failure::new(Kind::Internal, "The system has no randomness to give.").with_detail(error.to_string())
    })?;
    let hash = fresh.hash.as_bytes().to_vec();
    let row = Row { id: fresh.id.clone(), hash, tenant, settings: rest, created: Time::now(), revoked: None };
    let is_taken = is_of_file(gateway, &fresh.id) || {
        let row = row.clone();
        let add = async move |open: Arc<Open>| -> Result<_, Fault> { Ok(open.store.keys.add(row).await?) };
        !gateway.durable.ask(add).await?
    };
    if is_taken {
        let public = "There is or was a key of this id; leave 'id' out for a fresh one.";
        return Err(Failure::new(Kind::Conflict, public).with_param("id").with_code("key_exists"));
    }
    tracing::info!(id = row.id, tenant = row.tenant, "a key is made and stored");
    // It is made and its secret known to nobody else: where this comes to nothing it is in force a little later.
    gateway.durable.keys.look().await;
    let mut told = shown_row(&row, false);
    told["key"] = fresh.text.into();
    Ok(told)
}

fn has_room(gateway: &Gateway) -> Result<(), Failure> {
    let stored = gateway.stored();
    let public = match (stored.keys().len(), stored.rows().len()) {
        (KEYS_MAX.., _) => format!("There are {KEYS_MAX} stored keys, and no more are kept: revoke one."),
        (_, ROWS_MAX..) => format!("There were {ROWS_MAX} stored keys, and no more are kept."),
        _ => return Ok(()),
    };
    Err(Failure::new(Kind::Conflict, public).with_code("too_many_keys"))
}

async fn changed(gateway: &Gateway, id: String, asked: Asked) -> Result<Value, Failure> {
    let asked = members(asked)?;
    of_store(gateway, &id)?;
    let own = id.clone();
    let change = async move |open: Arc<Open>| -> Result<(), Fault> {
        for _ in 0..CHANGES_MAX {
            let rows = open.store.keys.all().await?;
            let valid = rows.into_iter().find(|row| row.id == own && row.revoked.is_none());
            let row = valid.ok_or_else(no_key)?;
            let mut wanted = settings(&row).to_asked().ok_or_else(unreadable)?;
            wanted.extend(asked.clone());
            wanted.retain(|_, value| !value.is_null());
            let KeySettings { tenant, rest } = KeySettings::check(wanted).map_err(|fault| unsound(&fault))?;
            if open.store.keys.change(row, &tenant, rest).await? {
                return Ok(());
            }
        }
        let public = "Others change this key at the same time; ask again.";
        Err(Failure::new(Kind::Conflict, public).with_code("key_changes").into())
    };
    gateway.durable.ask(change).await?;
    tracing::info!(id, "a stored key is changed");
    in_force(gateway).await?;
    found(gateway, &id).ok_or_else(no_key)
}

async fn revoked(gateway: &Gateway, id: String) -> Result<Value, Failure> {
    of_store(gateway, &id)?;
    let own = id.clone();
    let revoke = async move |open: Arc<Open>| -> Result<_, Fault> {
        Ok(open.store.keys.revoke(&own, Time::now()).await?)
    };
    if gateway.durable.ask(revoke).await? {
        tracing::info!(id, "a stored key is revoked");
    }
    in_force(gateway).await?;
    // One that was revoked before is as good.
    found(gateway, &id).ok_or_else(no_key)
}

/// Waits until what the store was told is in force here. It is on disk then, and this may be asked again.
async fn in_force(gateway: &Gateway) -> Result<(), Failure> {
    match gateway.durable.keys.look().await {
        true => Ok(()),
        false => Err(crate::durable::fault::away()),
    }
}

/// Refuses what is not the store's to change, without making a store for it.
fn of_store(gateway: &Gateway, id: &str) -> Result<(), Failure> {
    if gateway.stored().row(id).is_none() && is_of_file(gateway, id) {
        let public = "This key is in the configuration file: it is changed and taken out there.";
        return Err(Failure::new(Kind::Conflict, public).with_code("key_of_file"));
    }
    if gateway.durable.has_store() { Ok(()) } else { Err(no_key()) }
}

fn is_of_file(gateway: &Gateway, id: &str) -> bool {
    gateway.snapshot(0).config.keys.iter().any(|key| key.id == id)
}

fn found(gateway: &Gateway, id: &str) -> Option<Value> {
    let snapshot = gateway.snapshot(0);
    let of_file = snapshot.config.keys.iter().find(|key| key.id == id).map(|key| shown(key, "file", None));
    of_file.or_else(|| gateway.stored().row(id).map(|row| shown_row(row, false)))
}

/// A stored key, and whether the file has one of its id.
fn shown_row(row: &Row, of_file: bool) -> Value {
    let key = settings(row).key(&row.id, crate::keys::KeyHash::NOBODY);
    let state = match (&key, row.revoked) {
        (_, Some(_)) => "revoked",
        (None, None) => "unreadable",
        (Some(_), None) if of_file => "shadowed",
        (Some(_), None) => "valid",
    };
    let mut told =
        key.map_or_else(|| json!({ "id": row.id, "source": "store" }), |key| shown(&key, "store", Some(row)));
    told["state"] = state.into();
    told
}

fn shown(key: &Key, source: &str, row: Option<&Row>) -> Value {
    let rates = &key.rates;
    json!({
        "id": key.id,
        "source": source,
        "state": "valid",
        "tenant": key.tenant_name(),
        "models": key.models.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "priority": key.priority.name(),
        "requests_per_minute": rates.requests_per_minute,
        "tokens_per_minute": rates.tokens_per_minute,
        "concurrent_requests": rates.concurrent_requests,
        "concurrent_streams": rates.concurrent_streams,
        "created_at": row.map(|row| moment(row.created)),
        "revoked_at": row.and_then(|row| row.revoked).map(moment),
    })
}

fn moment(at: Time) -> String {
    units::rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0)))
}

fn members(asked: Asked) -> Result<Map<String, Value>, Failure> {
    let Json(asked) = asked.map_err(refused::body)?;
    Ok(asked)
}

fn unsound(fault: &KeyFault) -> Failure {
    bad(&fault.key, &fault.what)
}

fn bad(param: &str, what: &str) -> Failure {
    let failure = Failure::new(Kind::InvalidRequest, format!("No key can have these settings: {what}."));
    if param.is_empty() { failure } else { failure.with_param(param.to_owned()) }
}

fn no_key() -> Failure {
    Failure::new(Kind::NotFound, "There is no such key.").with_code("not_found")
}

/// What is changed in settings that cannot be read would be all that is left of them.
fn unreadable() -> Failure {
    let public = "What this key may do cannot be read here, and is not changed: revoke it and make another.";
    Failure::new(Kind::Conflict, public).with_code("key_unreadable")
}

fn answer(answered: Result<Value, Failure>) -> Response {
    match answered {
        Ok(value) => Json(value).into_response(),
        Err(failure) => refusal(&failure),
    }
}
