//! How a model names itself in its answer, which need not be the name it was asked for by.

use super::Summary;
use crate::json::Value;
use std::borrow::Cow;

/// Longest name that is read, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The name in a reply's `model`.
pub(super) fn name(model: Value<'_>) -> Option<Cow<'_, str>> {
    model.as_str().filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX)
}

/// The name in the first of a stream's frames.
#[must_use]
pub fn model_of_frame(frames: &[u8]) -> Option<Cow<'_, str>> {
    let mut lines = frames.split(|byte| matches!(byte, b'\n' | b'\r'));
    Summary::of(lines.find_map(|line| line.strip_prefix(b"data:"))?).ok()?.model()
}

#[cfg(test)]
mod tests {
    use super::{Summary, model_of_frame};

    #[test]
    fn a_model_is_known_by_the_name_it_gives_itself() {
        let model_of = |body: &str| Some(Summary::of(body.as_bytes()).ok()?.model()?.into_owned());
        for (body, expected) in [
            (r#"{"id":"1","model":"gpt-4o-2024-08-06"}"#, Some("gpt-4o-2024-08-06")),
            (r#"{"id":"1"}"#, None),
            (r#"{"model":""}"#, None),
            (r#"{"model":7}"#, None),
            ("not JSON", None),
        ] {
            assert_eq!(model_of(body).as_deref(), expected, "{body}");
            let frames = format!(": hello\n\ndata: {body}\n\ndata: {{\"model\":\"later\"}}\n\n");
            assert_eq!(model_of_frame(frames.as_bytes()).as_deref(), expected, "{body}");
        }
        assert_eq!(model_of_frame(b": nothing\n\n"), None);
        let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(300));
        assert_eq!(model_of(&long), None);
    }
}
