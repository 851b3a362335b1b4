//! `/admin/profile/cpu`: where processor time goes, by function.

use super::super::{refusal, refused};
use super::seconds;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse, Response};
use http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use profile::{Error, Profile, Recording};
use serde::Deserialize;
use wire::failure::{Failure, Kind};

/// Samples for each second of processor time. No divisor of what timers are set to, so that nothing keeps step with it.
const HERTZ: u32 = 99;
/// Whether the functions of the program have names in the answer.
const NAMED: HeaderName = HeaderName::from_static("x-tidegate-symbols");

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    seconds: Option<u64>,
    #[serde(default)]
    format: Form,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// A flame graph.
    #[default]
    Svg,
    /// What `pprof` reads.
    Pprof,
    /// A line a stack.
    Collapsed,
}

/// `GET /admin/profile/cpu`: 10 seconds where nothing is said, as a flame graph. One at a time: who comes second gets
/// 409. Who leaves ends it.
pub async fn show(asked: Result<Query<Asked>, QueryRejection>) -> Response {
    match asked.map_err(refused::query) {
        Ok(Query(asked)) => record(asked).await.unwrap_or_else(|failure| refusal(&failure)),
        Err(failure) => refusal(&failure),
    }
}

async fn record(asked: Asked) -> Result<Response, Failure> {
    let span = seconds(asked.seconds, 10)?;
    let recording = Recording::begin(HERTZ).map_err(|error| refused(&error))?;
    tokio::time::sleep(span).await;
    // Names are looked up in tables of many megabytes.
    let made = tokio::task::spawn_blocking(move || {
        let profile = recording.finish()?;
        Ok::<_, Error>((profile.named, answer(&profile, asked.form_bytes(&profile)?, asked.format)))
    });
    let made = made.await.map_err(|fell| {
        Failure::new(Kind::Internal, "The profile fell over.").with_detail(fell.to_string())
    })?;
    let (named, mut response) = made.map_err(|error| refused(&error))?;
    response
        .headers_mut()
        .insert(NAMED, HeaderValue::from_static(if named { "present" } else { "stripped" }));
    Ok(response)
}

impl Asked {
    fn form_bytes(&self, profile: &Profile) -> std::io::Result<Vec<u8>> {
        match self.format {
            Form::Svg => Ok(profile.flame_graph("Processor time of tidegate").into_bytes()),
            Form::Collapsed => Ok(profile.collapsed().into_bytes()),
            Form::Pprof => profile.pprof(),
        }
    }
}

fn answer(profile: &Profile, bytes: Vec<u8>, form: Form) -> Response {
    let (media, file) = match form {
        Form::Svg => ("image/svg+xml", "inline"),
        Form::Collapsed => ("text/plain; charset=utf-8", "inline"),
        Form::Pprof => ("application/octet-stream", "attachment; filename=\"tidegate-cpu.pb.gz\""),
    };
    tracing::info!(samples = profile.samples, lost = profile.lost, "processor time was profiled");
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(media)),
        (CONTENT_DISPOSITION, HeaderValue::from_static(file)),
        // It has no script; none is to run in it either.
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'")),
    ]);
    (headers, bytes).into_response()
}

fn refused(error: &Error) -> Failure {
    match error {
        Error::Busy => {
            Failure::new(Kind::Conflict, "A profile is being recorded; ask again when it is done.")
                .with_code("profile_under_way")
        }
        Error::Unsupported => {
            Failure::new(Kind::NotFound, "There is no profiler for this system or processor.")
                .with_code("no_profiler")
        }
        Error::System(_) => {
            Failure::new(Kind::Internal, "The system refuses to profile.").with_detail(error.to_string())
        }
    }
}
