//! `/admin/usage`: what was used and what it cost, by day, key, tenant and model.

use super::{refusal, refused};
use crate::durable::usage::today;
use crate::durable::{Fault, Open};
use crate::gateway::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query, State};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::{ToSpan, Unit};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use store::usage::{Filter, Usage};
use wire::failure::{Failure, Kind};

/// Days shown where nothing is said of them.
const DAYS: i32 = 30;

/// The most rows that are shown: whoever asks for more is told to ask for less.
const ROWS_MAX: u32 = 100_000;

/// The first of all days.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// Which days, and whose.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    from: Option<String>,
    to: Option<String>,
    key: Option<String>,
    tenant: Option<String>,
}

/// `GET /admin/usage`: what this replica has yet to write is written first, so that its own figures are whole; what
/// another one has yet to write is seconds old at most.
pub async fn show(
    State(gateway): State<Arc<Gateway>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map_err(refused::query);
    let shown = match asked {
        Ok(Query(asked)) => read(&gateway, asked).await,
        Err(failure) => Err(failure),
    };
    shown.map_or_else(|failure| refusal(&failure), |shown| Json(shown).into_response())
}

async fn read(gateway: &Gateway, asked: Asked) -> Result<Value, Failure> {
    let Asked { from, to, key, tenant } = asked;
    let to = to.map_or(Ok(today()), |text| day("to", &text))?;
    let from = from.map_or(Ok(to.saturating_sub(DAYS - 1)), |text| day("from", &text))?;
    let filter = Filter { from, to, tenant, key };
    let books = Arc::clone(&gateway.durable.books);
    let rows = match gateway.durable.has_store() || books.is_owed() {
        // Nobody was counted yet: that is no reason to make a database.
        false => Vec::new(),
        true => {
            let read = async move |open: Arc<Open>| -> Result<_, Fault> {
                books.flush(&*open.store.ledger).await?;
                Ok(open.store.ledger.read(filter, ROWS_MAX + 1).await?)
            };
            gateway.durable.ask(read).await?
        }
    };
    if rows.len() > ROWS_MAX as usize {
        let public =
            format!("These are more than {ROWS_MAX} rows; ask for fewer days, or for one tenant or key.");
        return Err(Failure::new(Kind::InvalidRequest, public).with_code("too_many_rows"));
    }
    Ok(json!({ "from": date(from), "to": date(to), "usage": rows.iter().map(shown).collect::<Vec<_>>() }))
}

fn shown(row: &Usage) -> Value {
    json!({
        "day": date(row.day),
        "key": row.key,
        "tenant": row.tenant,
        "model": row.model,
        "requests": row.requests,
        "hits": row.hits,
        "failed": row.failed,
        "tokens_in": row.tokens_in,
        "tokens_out": row.tokens_out,
        "cost_usd": row.cost_micro_usd as f64 / 1e6,
    })
}

fn day(param: &'static str, text: &str) -> Result<i32, Failure> {
    let date: Option<Date> = text.parse().ok();
    let days = date.and_then(|date| EPOCH.until((Unit::Day, date)).ok()).map(|span| span.get_days());
    days.ok_or_else(|| {
        let public = format!("'{param}' is no day; write it as in 2026-01-31.");
        Failure::new(Kind::InvalidRequest, public).with_param(param)
    })
}

fn date(day: i32) -> String {
    EPOCH.checked_add(day.days()).map(|date| date.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{date, day};

    #[test]
    fn days_are_counted_from_1970() {
        for (number, text) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (19_782, "2024-02-29"), (20_454, "2026-01-01")]
        {
            assert_eq!((date(number).as_str(), day("from", text).unwrap()), (text, number));
        }
        for text in ["", "yesterday", "2026-02-30", "2026-13-01"] {
            assert_eq!(day("from", text).unwrap_err().param(), Some("from"), "{text}");
        }
    }
}
