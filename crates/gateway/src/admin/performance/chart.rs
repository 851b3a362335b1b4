//! `/admin/performance/chart`: one figure, or the rates, over time. The last day comes from memory, what is older from
//! disk, read where nothing else waits.

use super::super::requests::nobody_looks;
use super::super::{refusal, refused};
use super::bad;
use crate::gateway::Gateway;
use crate::observe::archive::{last, reader};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query as Asked, State};
use axum::response::{IntoResponse, Response};
use measure::live::history::Query;
use measure::live::{Figure, Kind, ScopeId, Window};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use wire::failure::{Failure, Kind as Fault};

/// Minutes of a day.
const DAY: u32 = 1440;
/// Steps of a chart of days.
const STEPS: u32 = 360;

/// What to draw.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// Of which kind; without it of all requests.
    by: Option<Kind>,
    /// Of which name, where it is one of a kind.
    name: Option<String>,
    /// Which figure; without it the rates.
    figure: Option<Figure>,
    /// Over how long: `10s` to `24h` from memory, or days as in `30d` from disk.
    window: Option<String>,
}

/// How far back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Window(Window),
    Days(u32),
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        if let Some(window) = Window::ALL.into_iter().find(|window| window.name() == text) {
            return Some(Self::Window(window));
        }
        let days = text.strip_suffix('d')?.parse().ok()?;
        (1..=366).contains(&days).then_some(Self::Days(days))
    }
}

/// `GET /admin/performance/chart`
pub async fn show(
    State(gateway): State<Arc<Gateway>>,
    which: Result<Asked<Which>, QueryRejection>,
) -> Response {
    let drawn = match which.map_err(refused::query) {
        Ok(Asked(which)) => draw(&gateway, which).await,
        Err(failure) => Err(failure),
    };
    drawn.map_or_else(|failure| refusal(&failure), |drawn| Json(drawn).into_response())
}

async fn draw(gateway: &Gateway, which: Which) -> Result<Value, Failure> {
    let window = which.window.as_deref().unwrap_or("1h");
    let span = Span::parse(window)
        .ok_or_else(|| bad("'window' is one of 10s, 1m, 10m, 1h and 24h, or a number of days as in 30d"))?;
    let by = which.by.unwrap_or(Kind::All);
    let name = match (by, which.name) {
        (Kind::All, _) => "all".to_owned(),
        (_, Some(name)) => name,
        (_, None) => return Err(bad("'name' says of whom")),
    };
    let mut drawn = json!({ "by": by, "name": name, "figure": which.figure, "window": window });
    drawn["points"] = match span {
        Span::Window(window) => {
            let drawn = gateway.observer.ask(move |seen| {
                let live = seen.figures.live();
                let scope = if by == Kind::All { Some(ScopeId::ALL) } else { live.find(by, &name) };
                let Some(scope) = scope else { return json!([]) };
                match which.figure {
                    Some(figure) => json!(live.points(scope, figure, window)),
                    None => json!(live.rate_points(scope, window)),
                }
            });
            drawn.await.ok_or_else(nobody_looks)?
        }
        Span::Days(days) => {
            let folder = gateway.snapshot(0).config.history_folder();
            let read = move || read(folder, (by, &name), which.figure, days);
            tokio::task::spawn_blocking(read).await.map_err(|error| lost(&error))??
        }
    };
    Ok(drawn)
}

fn read(
    folder: PathBuf,
    (kind, name): (Kind, &str),
    figure: Option<Figure>,
    days: u32,
) -> Result<Value, Failure> {
    let minutes = last(days * DAY, SystemTime::now());
    let query = Query { kind, name, minutes, step: (days * DAY / STEPS).max(1) };
    let reader = reader(folder);
    match figure {
        Some(figure) => reader.points(&query, figure).map(|points| json!(points)),
        None => reader.rate_points(&query).map(|points| json!(points)),
    }
    .map_err(|problem| lost(&problem))
}

fn lost(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Fault::Internal, "The figures' history cannot be read.").with_detail(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::Span;
    use measure::live::Window;

    #[test]
    fn a_span_is_a_window_or_a_number_of_days() {
        for (text, expected) in [
            ("1h", Some(Span::Window(Window::H1))),
            ("24h", Some(Span::Window(Window::H24))),
            ("1d", Some(Span::Days(1))),
            ("30d", Some(Span::Days(30))),
            ("367d", None),
            ("0d", None),
            ("2h", None),
            ("", None),
        ] {
            assert_eq!(Span::parse(text), expected, "{text:?}");
        }
    }
}
