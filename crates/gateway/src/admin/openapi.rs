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
    row("get", "/", "What there is here."),
    row("get", "/health", "Whether the process lives. Needs no key."),
    row("get", "/health/ready", "Whether new requests are welcome, and what is unwell. Needs no key."),
    row("get", "/metrics", "Prometheus' metrics: OpenMetrics where `Accept` asks for it, else the older text format.")
        .of_media("text/plain"),
    row("get", "/admin/openapi.json", "This description."),
    row("get", "/admin/config", "The configuration in force, without secrets."),
    row("get", "/admin/targets", "How each provider's models are: health, how busy, how fast."),
    row("get", "/admin/breakers", "Who is left alone and why, and what failures have in common."),
    row("post", "/admin/breakers/reset", "Closes breakers.")
        .with_body("`{\"everything\": true}`, or `provider`, and below it `model` and `operation`"),
    row("get", "/admin/pools", "Connections to each provider, and what should be set otherwise."),
    row("get", "/admin/limits", "What keys, tenants, aliases and providers have used and have left."),
    row("get", "/admin/pressure", "How hard pressed the process is, and its work behind requests' backs."),
    row("get", "/admin/cache", "What is remembered, and what came of it in the last hour."),
    row("post", "/admin/cache/invalidate", "Takes back what is remembered.").with_body(
        "`everything`, `key`, `tag`, `dependency`, `tenant`, or `provider`, and below it `model` and `operation`",
    ),
    row("post", "/admin/cache/lookup", "The key of a request and what lies under it, or why it is not looked up.")
        .with_body("`body`: the request"),
    row("post", "/admin/cache/clear-expired", "Forgets what may not be served any more."),
    row("get", "/admin/jobs", "Jobs of every tenant, from the newest on, and how many wait.").with_query(&[
        ("state", "only those in this state"),
        ("queue", "only those of this queue"),
        ("kind", "only those of this kind"),
        ("tenant", "only this tenant's"),
        ("after", "those after this one"),
        ("limit", "so many at most"),
    ]),
    row("post", "/admin/jobs/purge", "Forgets jobs that are over.").with_body("`state` and `older_than`"),
    row("get", "/admin/jobs/{id}", "All there is to know of one job."),
    row("post", "/admin/jobs/{id}/retry", "Does a dead job anew."),
    row("post", "/admin/jobs/{id}/cancel", "Takes a job back."),
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
        paths.entry(row.path).or_insert_with(|| json!({}))[row.method] = operation(row);
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
    if row.path.starts_with("/health") {
        operation["security"] = json!([]);
    }
    operation
}

/// The names of a path's parts that may be anything.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// A name that no other has: `get_admin_jobs_id`.
fn name(row: &Row) -> String {
    let letters = row.path.chars().filter(|letter| !matches!(letter, '{' | '}'));
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
            // What is said up to the next route, or to whatever else follows.
            let handlers = rest.split(".layer(").next().unwrap().split(".fallback(").next().unwrap();
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
