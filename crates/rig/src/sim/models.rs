//! `GET /v1/models`: the names that mean something. Every other name is a
//! model too, with the delays of the settings.

use super::json;
use super::reply::YEAR_START_S;
use bytes::Bytes;

/// The simulated models, as `/v1/models` lists them.
pub const MODELS: [&str; 5] = ["instant", "fast", "slow", "flaky", "embed"];

pub(crate) fn list() -> Bytes {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (at, model) in MODELS.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(&mut out, model);
    }
    out.extend_from_slice(b"]}");
    out.into()
}

pub(crate) fn one(model: &str) -> Bytes {
    let mut out = Vec::with_capacity(128);
    write(&mut out, model);
    out.into()
}

fn write(out: &mut Vec<u8>, model: &str) {
    out.extend_from_slice(b"{\"id\":");
    json::string(out, model);
    json::put(
        out,
        format_args!(",\"object\":\"model\",\"created\":{YEAR_START_S},\"owned_by\":\"tidegate-sim\"}}"),
    );
}

/// What a model's name means, with or without the provider's own before it.
pub(crate) fn short(model: &str) -> &str {
    model.strip_prefix("sim/").unwrap_or(model)
}
