//! Whether an answer may be kept.

use crate::config::AliasCache;
use wire::openai::stored::Worth;

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It says that something failed, or did not come to its end.
    Failed,
    /// The model refused, or a filter did.
    Refused,
    /// There is nothing in it.
    Empty,
    /// It was cut at its length limit, and the alias does not opt in.
    Truncated,
    /// It calls tools, and the alias does not opt in.
    CallsTools,
}

/// Judges a complete answer.
///
/// # Errors
/// Why it is not kept.
pub fn judge(worth: &Worth, policy: &AliasCache) -> Result<(), Unfit> {
    let finish = &worth.finish;
    if worth.error || finish.other || finish.incomplete {
        Err(Unfit::Failed)
    } else if worth.refusal || finish.content_filter {
        Err(Unfit::Refused)
    } else if worth.empty {
        Err(Unfit::Empty)
    } else if finish.length && !policy.truncated {
        Err(Unfit::Truncated)
    } else if finish.tool_calls && !policy.tool_calls {
        Err(Unfit::CallsTools)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Unfit, judge};
    use crate::config::AliasCache;
    use wire::openai::stored::worth_of;
    use wire::operation::Operation;

    #[test]
    fn only_good_answers_are_kept() {
        let plain = AliasCache::default();
        let keeps = AliasCache { truncated: true, tool_calls: true, ..plain };
        let text = r#""message":{"role":"assistant","content":"Hello."}"#;
        let choice = |rest: &str| format!(r#"{{"choices":[{{"index":0,{rest}}}]}}"#);
        let check = |body: &str, policy: &AliasCache, expected: Result<(), Unfit>| {
            let worth = worth_of(Operation::ChatCompletions, body.as_bytes()).unwrap();
            assert_eq!(judge(&worth, policy), expected, "{body}");
        };
        let finished = |reason: &str| choice(&format!(r#"{text},"finish_reason":"{reason}""#));
        check(&finished("stop"), &plain, Ok(()));
        check(&finished("length"), &plain, Err(Unfit::Truncated));
        check(&finished("length"), &keeps, Ok(()));
        check(&finished("content_filter"), &keeps, Err(Unfit::Refused));
        check(&finished("error"), &keeps, Err(Unfit::Failed));
        check(&choice(text), &keeps, Err(Unfit::Failed));
        let refusal =
            r#""message":{"role":"assistant","content":null,"refusal":"No."},"finish_reason":"stop""#;
        check(&choice(refusal), &keeps, Err(Unfit::Refused));
        let empty = r#""message":{"role":"assistant","content":""},"finish_reason":"stop""#;
        check(&choice(empty), &keeps, Err(Unfit::Empty));
        check(r#"{"choices":[]}"#, &keeps, Err(Unfit::Empty));
        let calls = r#""message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls""#;
        check(&choice(calls), &plain, Err(Unfit::CallsTools));
        check(&choice(calls), &keeps, Ok(()));
    }
}
