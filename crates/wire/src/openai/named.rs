//! How a model names itself in its answer, which need not be the name it was asked for by.

use crate::json;

/// Longest name that is read, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The `model` of a whole answer, or of one chunk of a stream.
#[must_use]
pub fn model_of(body: &[u8]) -> Option<Box<str>> {
    let model = json::reply_member(body, "model").ok()??.as_str()?;
    (!model.is_empty() && model.len() <= NAME_BYTES_MAX).then(|| model.into())
}

/// The same of the first of a stream's frames.
#[must_use]
pub fn model_of_frame(frames: &[u8]) -> Option<Box<str>> {
    let mut lines = frames.split(|byte| matches!(byte, b'\n' | b'\r'));
    model_of(lines.find_map(|line| line.strip_prefix(b"data:"))?)
}

#[cfg(test)]
mod tests {
    use super::{model_of, model_of_frame};

    #[test]
    fn a_model_is_known_by_the_name_it_gives_itself() {
        for (body, expected) in [
            (r#"{"id":"1","model":"gpt-4o-2024-08-06"}"#, Some("gpt-4o-2024-08-06")),
            (r#"{"id":"1"}"#, None),
            (r#"{"model":""}"#, None),
            (r#"{"model":7}"#, None),
            ("not JSON", None),
        ] {
            assert_eq!(model_of(body.as_bytes()).as_deref(), expected, "{body}");
            let frames = format!(": hello\n\ndata: {body}\n\ndata: {{\"model\":\"later\"}}\n\n");
            assert_eq!(model_of_frame(frames.as_bytes()).as_deref(), expected, "{body}");
        }
        assert_eq!(model_of_frame(b": nothing\n\n"), None);
        let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(300));
        assert_eq!(model_of(long.as_bytes()), None);
    }
}
