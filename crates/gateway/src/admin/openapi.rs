//! `/admin/openapi.json`: what the admin plane can be asked, as OpenAPI 3.1. Made from one [`TABLE`], which a test holds
//! to the router's routes: a route without a row here does not pass, nor a row without a route.

use axum::extract::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// One thing that can be asked.
struct Row {
    method: &'static str,
    /// As the router has it: `{name}` for a part that may be anything.
    path: &'static str,
    /// What it does, in a sentence.
    words: &'static str,
    /// Its query's members, with what they say.
    query: &'static [(&'static str, &'static str)],
    /// What its body says, where it has one: an object of JSON.
    body: Option<&'static str>,
    /// The media type of its answer.
    media: &'static str,
}

const JSON: &str = "application/json";
/// What needs no key, and what lies below it.
const WITHOUT_KEY: [&str; 4] = ["/", "/assets", "/admin/session", "/health"];

/// A row that answers with JSON.
const fn row(method: &'static str, path: &'static str, words: &'static str) -> Row {
    Row { method, path, words, query: &[], body: None, media: JSON }
}

impl Row {
    const fn with_query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    const fn with_body(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn of_media(self, media: &'static str) -> Self {
        Self { media, ..self }
    }
}

/// Everything, in the order in which it is shown.
const TABLE: &[Row] = &[
    row("get", "/", "The dashboard for browsers; for whoever does not ask for HTML, what there is here."),
    row("get", "/assets/{version}/{*file}", "The dashboard's files. Needs no key.").of_media("application/octet-stream"),
    row("get", "/admin/session", "Whether a key is needed, and whether this browser has shown it. Needs no key."),
    row("post", "/admin/session", "Logs a browser in. Needs no key but the one it brings.")
        .with_body("`key`: the admin key"),
    row("delete", "/admin/session", "Logs it out."),
    row("get", "/health", "Whether the process lives. Needs no key."),
    row("get", "/health/ready", "Whether new requests are welcome, and what is unwell. Needs no key."),
    row("get", "/metrics", "Prometheus' metrics: protobuf or OpenMetrics where `Accept` likes it best, else the older text format.")
        .of_media("text/plain"),
    row("get", "/admin/openapi.json", "This description."),
    row("get", "/admin/config", "The configuration in force, without secrets."),
    row("get", "/admin/config/file", "What the file says by now, without secrets, or what is wrong with it."),
    row("post", "/admin/config/reload", "Puts in force what the file says; what is wrong leaves all as it is."),
    row("get", "/admin/live", "Figures of the moment, once a second, after those of the last ten minutes.")
        .of_media("text/event-stream"),
    row("get", "/admin/requests", "The latest requests and for longer the slow and the failed, from the newest on.")
        .with_query(&[
            ("id", "only of this id"),
            ("key", "only of the key with this public part"),
            ("tenant", "only this tenant's"),
            ("route", "only those counted under this alias or `provider/model`"),
            ("alias", "only those to this alias"),
            ("target", "only those for which this `provider/model` was to be asked"),
            ("operation", "only `chat`, `text_completion` or `embeddings`"),
            ("status", "only those answered so: `429`, `5xx`"),
            ("outcome", "only `ok`, `caller_error`, `provider_error`, `gateway_error` or `caller_left`"),
            ("cache", "only `hit`, `miss`, `coalesced`, `bypass`, those of a tier, or bypassed for a reason"),
            ("stream", "only streams (`true`) or whole answers (`false`)"),
            ("since", "only those that arrived then or later: RFC 3339, or `10m` for ten minutes ago"),
            ("until", "only those that arrived before"),
            ("slow", "`true`: only slow ones"),
            ("failed", "`true`: only those that a provider or the gateway failed"),
            ("after", "those older than this place: what `next` said"),
            ("limit", "so many at most"),
        ]),
    row("get", "/admin/requests/{id}", "One request, with where its time went."),
    row("get", "/admin/performance", "Percentiles and rates of all requests, and by route, target, key and alias.")
        .with_query(&[
            ("by", "only `route`, `target`, `key` or `alias`"),
            ("name", "only the one of this name"),
            ("window", "over `10s`, `1m`, `10m`, `1h` or `24h`"),
            ("limit", "so many of each kind, those with the most requests"),
        ]),
    row("get", "/admin/performance/chart", "A figure, or the rates, over time.").with_query(&[
        ("by", "of a `route`, `target`, `key` or `alias`; without it of all requests"),
        ("name", "of the one of this name"),
        ("figure", "which; without it the rates"),
        ("window", "over `10s` to `24h` from memory, or days as in `30d` from disk"),
    ]),
    row("get", "/admin/advice", "What might be changed: evidence, what it would save, the change; and what was applied."),
    row("post", "/admin/advice/{id}/apply", "Writes what is advised into the configuration file and puts it in force."),
    row("post", "/admin/advice/{id}/revert", "Takes what was applied out of the file again."),
    row("get", "/admin/alerts", "What fires, what did, silences, and how those are who are told."),
    row("post", "/admin/alerts/test", "Sends a test through every receiver, and says what came of it."),
    row("post", "/admin/alerts/silences", "Keeps alerts silent.")
        .with_body("`matchers`: a list of `name`, `value` and `equal`; `duration` or `until`; `author`, `comment`"),
    row("delete", "/admin/alerts/silences/{id}", "Ends a silence."),
    row("post", "/admin/explain", "What would become of a request: limits, cache, targets in their order. Nobody is asked.")
        .with_body("`body`: the request; `path`, `key`: the public part of a caller's, `headers`"),
    row("post", "/admin/playground", "A request of the operator's own, as a caller's: answered as that would be.")
        .with_body("`body`: the request; `path`, `key`: the public part of a caller's, `headers`"),
    row("get", "/admin/targets", "How each provider's models are: health, how busy, how fast."),
    row("get", "/admin/breakers", "Who is left alone and why, and what failures have in common."),
    row("post", "/admin/breakers/reset", "Closes breakers.")
        .with_body("`{\"everything\": true}`, or `provider`, and below it `model` and `operation`"),
    row("get", "/admin/pools", "Connections to each provider, and what should be set otherwise."),
    row("get", "/admin/limits", "What keys, tenants, aliases and providers have used and have left."),
    row("get", "/admin/pressure", "How hard pressed the process is, and its work behind requests' backs."),
    row("get", "/admin/cache", "What is remembered, and what came of it in the last hour."),
    row("post", "/admin/cache/invalidate", "Takes back what is remembered.").with_body(
        "`everything`, `key`, `tag`, `dependency`, `tenant`, or `provider`, and below it `model` and `operation`; where \
         callers have keys, a `tag` and a `dependency` want their `tenant`",
    ),
    row("post", "/admin/cache/lookup", "The key of a request and what lies under it, or why it is not looked up.")
        .with_body("`body`: the request; `path`; `tenant`: whose, wanted where callers have keys; `headers`"),
    row("post", "/admin/cache/clear-expired", "Forgets what may not be served any more."),
    row("get", "/admin/jobs", "Jobs of every tenant, from the newest on, and how many wait.").with_query(&[
        ("state", "only those in this state"),
        ("queue", "only those of this queue"),
        ("kind", "only those of this kind"),
        ("tenant", "only this tenant's"),
        ("after", "those after this one"),
        ("limit", "so many at most"),
    ]),
    row("get", "/admin/batches", "The latest batches of every tenant, and who runs their lines."),
    row("post", "/admin/jobs/purge", "Forgets jobs that are over.").with_body("`state` and `older_than`"),
    row("get", "/admin/jobs/{id}", "All there is to know of one job."),
    row("post", "/admin/jobs/{id}/retry", "Does a dead job anew."),
    row("post", "/admin/jobs/{id}/cancel", "Takes a job back."),
    row("get", "/admin/keys", "Callers' keys, the file's and the stored ones, and how each stands."),
    row("post", "/admin/keys", "Makes a stored key. The answer holds its secret, this once.")
        .with_body("any members of the file's `[[keys]]` but `hash`"),
    row("get", "/admin/keys/{id}", "One key, without its secret."),
    row("patch", "/admin/keys/{id}", "Changes what is said of a stored key.")
        .with_body("the settings to be changed; `null` takes one out"),
    row("delete", "/admin/keys/{id}", "Revokes a stored key. Its id is not given again."),
    row("get", "/admin/usage", "What was used and what it cost, by day, key, tenant and model.").with_query(&[
        ("from", "from this day of UTC on, as in 2026-01-31: 30 days back"),
        ("to", "up to this day: today"),
        ("key", "only of this key"),
        ("tenant", "only of this tenant"),
    ]),
    row("get", "/admin/workflows", "Workflows, and how many runs are in each state."),
    row("get", "/admin/workflows/runs", "Runs of workflows, from the newest on.").with_query(&[
        ("tenant", "only this tenant's"),
        ("workflow", "only this workflow's"),
        ("state", "only those in this state"),
        ("after", "those after this one"),
        ("limit", "so many at most"),
    ]),
    row("get", "/admin/workflows/runs/{id}", "One run, with its steps."),
    row("post", "/admin/workflows/runs/{id}/{word}", "`pause`, `resume` or `cancel`: does that to the run."),
    row("get", "/admin/system", "Processors, memory, disk, network, threads: now and over the day; whether memory is lost.")
        .with_query(&[("minutes", "so many of the trend's minutes: 60, 1440 at most")]),
    row("get", "/admin/profile/cpu", "Where processor time goes, by function. One at a time: 409 for a second.")
        .with_query(&[("seconds", "how long it is watched: 10, 60 at most"), ("format", "svg, pprof or collapsed")])
        .of_media("image/svg+xml"),
    row("get", "/admin/profile/tasks", "What each thread that runs tasks did, and how it stands.")
        .with_query(&[("seconds", "how long it is watched: 1, 60 at most")]),
    row("get", "/admin/profile/heap", "Who holds how much memory, as far as that is known."),
    row("post", "/admin/profile/release-memory", "Gives memory that is kept for later back to the system."),
];

/// `GET /admin/openapi.json`
pub async fn show() -> Response {
    Json(document()).into_response()
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for row in TABLE {
        paths.entry(row.path.replace("{*", "{")).or_insert_with(|| json!({}))[row.method] = operation(row);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate's admin plane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What operators and their tools ask of a running gateway.",
        },
        "security": [{ "admin_key": [] }],
        "components": {
            "securitySchemes": { "admin_key": { "type": "http", "scheme": "bearer" } },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {
                            "type": "object",
                            "required": ["message", "type"],
                            "properties": {
                                "message": { "type": "string" },
                                "type": { "type": "string" },
                                "param": { "type": ["string", "null"] },
                                "code": { "type": ["string", "null"] },
                            },
                        },
                    },
                },
            },
        },
        "paths": paths,
    })
}

fn operation(row: &Row) -> Value {
    let in_path = parts(row.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = row.query.iter().map(|(name, words)| {
        json!({ "name": name, "in": "query", "description": words, "schema": { "type": "string" } })
    });
    let error = json!({
        "description": "Refused, and why.",
        "content": { JSON: { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    let mut operation = json!({
        "operationId": name(row),
        "summary": row.words,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "200": { "description": row.words, "content": { row.media: {} } },
            "default": error,
        },
    });
    if let Some(words) = row.body {
        let content = json!({ JSON: { "schema": { "type": "object" } } });
        operation["requestBody"] = json!({ "required": true, "description": words, "content": content });
    }
    if WITHOUT_KEY.iter().any(|path| row.path == *path || row.path.starts_with(&format!("{path}/"))) {
        operation["security"] = json!([]);
    }
    operation
}

/// The names of a path's parts that may be anything.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|part| part.trim_start_matches('*'))
}

/// A name that no other has: `get_admin_jobs_id`.
fn name(row: &Row) -> String {
    let letters = row.path.chars().filter(|letter| !matches!(letter, '{' | '}' | '*'));
    let path: String = letters.map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect();
    format!("{}{}", row.method, path.trim_end_matches('_'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{TABLE, document, name};
    use std::collections::BTreeSet;

    /// The router's routes, from its source: it shows them to nobody.
    fn routes() -> BTreeSet<(String, String)> {
        let source: String = include_str!("../admin.rs").split_whitespace().collect::<Vec<_>>().join(" ");
        let routes = source.split(".route(").skip(1).flat_map(|route| {
            let (path, rest) = route.trim_start().trim_start_matches('"').split_once('"').unwrap();
            // What is said up to the next route, or to the end of the function.
            let handlers = rest.split(" }").next().unwrap();
            let methods = ["get", "post", "put", "patch", "delete"];
            let said = methods.into_iter().filter(|method| {
                [' ', '.'].iter().any(|before| handlers.contains(&format!("{before}{method}(")))
            });
            said.map(|method| (method.to_owned(), path.to_owned())).collect::<Vec<_>>()
        });
        routes.collect()
    }

    #[test]
    fn the_table_says_what_the_router_does() {
        let rows: BTreeSet<_> =
            TABLE.iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
        assert_eq!(rows.len(), TABLE.len(), "a row is there twice");
        let routes = routes();
        assert!(routes.len() > 20, "{routes:?}");
        assert_eq!(
            rows.difference(&routes).collect::<Vec<_>>(),
            Vec::<&(String, String)>::new(),
            "no such route"
        );
        assert_eq!(
            routes.difference(&rows).collect::<Vec<_>>(),
            Vec::<&(String, String)>::new(),
            "no such row"
        );
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_its_parts() {
        let document = document();
        let names: BTreeSet<_> = TABLE.iter().map(name).collect();
        assert_eq!(names.len(), TABLE.len());
        let run = &document["paths"]["/admin/workflows/runs/{id}/{word}"]["post"];
        let parts: Vec<_> = run["parameters"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
        assert_eq!(parts, ["id", "word"]);
        assert_eq!(document["paths"]["/health"]["get"]["security"], serde_json::json!([]));
        let both = document["paths"]["/admin/breakers/reset"]["post"]["requestBody"]["required"].as_bool();
        assert_eq!(both, Some(true));
    }
}
