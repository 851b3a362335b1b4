//! `PUT /v1/workflows/{name}`: a definition, checked whole before it is kept.

use super::RUNS;
use super::refused::{What, faulty, refused, told};
use crate::durable::workflow::view::WorkflowView;
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::durable::members::refusal;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use wire::failure::{Failure, Kind};
use work::workflow::definition::SOURCE_BYTES_MAX;
use work::workflow::{Definition, Format};

/// Keeps a definition; the same as the newest version is that one.
pub(super) async fn define(asked: &mut Asked, name: &str) -> Answered {
    let format = format(&asked.headers)?;
    let body = asked.body(SOURCE_BYTES_MAX, "bound of a definition").await?;
    let source = String::from_utf8(body.into()).map_err(|_| {
        Failure::new(Kind::InvalidRequest, "The definition is not UTF-8.").with_code("invalid_definition")
    })?;
    let (tenant, name) = (asked.tenant(), name.to_owned());
    let defined = asked
        .durable()
        .ask(move |open| async move {
            let named = match Definition::parse(&source, format) {
                Ok(definition) => check_name(definition.name(), &name),
                Err(faults) => return Ok(Err(Ok(faulty(What::Definition, &faults)))),
            };
            if let Err(failure) = named {
                return Ok(Err(Err(failure)));
            }
            Ok(told(open.workflows.define(&tenant, &source).await)?
                .map_err(|refusal| refused(What::Definition, refusal)))
        })
        .await?;
    match defined {
        Ok(version) => asked.json(StatusCode::OK, &WorkflowView::whole(&version)).await,
        Err(answer) => answer,
    }
}

fn format(headers: &HeaderMap) -> Result<Format, Failure> {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        // The last is what curl says of whatever `-d` sends.
        "" | "application/json" | "application/x-www-form-urlencoded" => Ok(Format::Json),
        "application/toml" | "text/toml" | "text/x-toml" | "application/x-toml" => Ok(Format::Toml),
        other => Err(Failure::new(
            Kind::UnsupportedMediaType,
            format!(
                "A definition is not '{}': send it with 'Content-Type: application/json' or 'application/toml'.",
                other.chars().take(64).collect::<String>()
            ),
        )),
    }
}

fn check_name(written: &str, asked: &str) -> Result<(), Failure> {
    let public = match (written, asked) {
        (RUNS, _) => format!("A workflow cannot be called '{RUNS}'; give it another name."),
        (written, asked) if written == asked => return Ok(()),
        _ => format!("The definition is of '{written}'; put it at /v1/workflows/{written}, or rename it."),
    };
    Err(refusal("/name", public).with_code("invalid_definition"))
}
