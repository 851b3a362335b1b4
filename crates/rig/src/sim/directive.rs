//! What one reply is told to do, in a message or by the script.
//!
//! In the last user message (or a completion's prompt, or an embedding's
//! input): `[[sim: status=503 retry_after=2]]`. In the script the same words
//! are the members of an object: `{"status": 503, "retry_after": 2}`. A word
//! nobody knows is refused, so that a misspelt fault cannot pass for a
//! gateway that survived it.
//!
//! | word | what happens |
//! | --- | --- |
//! | `status=503` | an error with this status (300 to 599) |
//! | `retry_after=2`, `retry_after_ms=1500` | the header, as written; quotes allow spaces |
//! | `location=URL` | the header, for a redirect |
//! | `hang` | no head ever comes |
//! | `hang_after=3` | silence after three frames |
//! | `reset` | the connection is reset before the head |
//! | `reset_after=100` | the connection is reset after 100 bytes of the body |
//! | `garbage`, `garbage_after=2` | bytes that are neither JSON nor UTF-8, after two frames |
//! | `error_frame_after=2` | an error object as a frame, then the end |
//! | `cut_after=2` | the body ends after two frames as if it were whole |
//! | `no_done` | a stream without `[DONE]` |
//! | `drip=5ms` | one byte at a time, this far apart |
//! | `tokens=5`, `bytes=1024` | how long the text is |
//! | `first_token=100ms`, `between_tokens=1ms` | delays, whatever the model |
//!
//! A reply that is not streamed has two frames here, its two halves: any
//! number of frames from one on means the first half.

use std::time::Duration;

/// The words of a directive, and where each is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Directive {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Box<str>>,
    pub(crate) retry_after_ms: Option<Box<str>>,
    pub(crate) location: Option<Box<str>>,
    pub(crate) hang: bool,
    pub(crate) reset: bool,
    pub(crate) no_done: bool,
    pub(crate) hang_after: Option<u32>,
    pub(crate) garbage_after: Option<u32>,
    pub(crate) error_frame_after: Option<u32>,
    pub(crate) cut_after: Option<u32>,
    pub(crate) reset_after: Option<u64>,
    pub(crate) drip: Option<Duration>,
    pub(crate) tokens: Option<u32>,
    pub(crate) bytes: Option<u32>,
    pub(crate) first_token: Option<Duration>,
    pub(crate) between_tokens: Option<Duration>,
}

/// The longest text that may be asked for: a bound on what one request costs.
pub(crate) const TOKENS_MAX: u32 = 1_000_000;
/// See [`TOKENS_MAX`].
pub(crate) const BYTES_MAX: u32 = 16 * 1024 * 1024;

const OPEN: &str = "[[sim:";
const CLOSE: &str = "]]";
const WORDS: &str = "status, retry_after, retry_after_ms, location, hang, hang_after, reset, reset_after, garbage, \
                     garbage_after, error_frame_after, cut_after, no_done, drip, tokens, bytes, first_token, \
                     between_tokens";

impl Directive {
    /// Adds what every directive in a text says. The search is a vector
    /// search, for most texts have none.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), String> {
        let mut rest = text;
        while let Some(at) = memchr::memmem::find(rest.as_bytes(), OPEN.as_bytes()) {
            let inner = rest.get(at + OPEN.len()..).unwrap_or_default();
            let Some(end) = inner.find(CLOSE) else {
                return Err(format!("a directive begins with '{OPEN}' and does not end with '{CLOSE}'"));
            };
            for word in words(inner.get(..end).unwrap_or_default()) {
                match word.split_once('=') {
                    Some((name, value)) => self.set(name, Some(value.trim_matches('"')))?,
                    None => self.set(word, None)?,
                }
            }
            rest = inner.get(end..).unwrap_or_default();
        }
        self.check()
    }

    /// Adds what an entry of the script says.
    pub(crate) fn of_json(members: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        use serde_json::Value;
        let mut directive = Self::default();
        for (name, value) in members {
            match value {
                Value::Bool(true) => directive.set(name, None)?,
                Value::Bool(false) | Value::Null => {}
                Value::Number(number) => directive.set(name, Some(&number.to_string()))?,
                Value::String(text) => directive.set(name, Some(text))?,
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!("'{name}' must be a string, a number or a boolean"));
                }
            }
        }
        directive.check()?;
        Ok(directive)
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let given = || value.ok_or_else(|| format!("'{name}' needs a value, as in '{name}=2'"));
        match name {
            "hang" => self.hang = flag(name, value)?,
            "reset" => self.reset = flag(name, value)?,
            "no_done" => self.no_done = flag(name, value)?,
            "garbage" => self.garbage_after = flag(name, value)?.then_some(0),
            "status" => self.status = Some(number(name, given()?, 300, 599)?),
            "retry_after" => self.retry_after = Some(header(name, given()?)?),
            "retry_after_ms" => self.retry_after_ms = Some(header(name, given()?)?),
            "location" => self.location = Some(header(name, given()?)?),
            "hang_after" => self.hang_after = Some(number(name, given()?, 0, u32::MAX)?),
            "garbage_after" => self.garbage_after = Some(number(name, given()?, 0, u32::MAX)?),
            "error_frame_after" => self.error_frame_after = Some(number(name, given()?, 0, u32::MAX)?),
            "cut_after" => self.cut_after = Some(number(name, given()?, 0, u32::MAX)?),
            "reset_after" => self.reset_after = Some(number(name, given()?, 0, u64::MAX)?),
            "tokens" => self.tokens = Some(number(name, given()?, 0, TOKENS_MAX)?),
            "bytes" => self.bytes = Some(number(name, given()?, 0, BYTES_MAX)?),
            "drip" => self.drip = Some(duration(name, given()?)?),
            "first_token" => self.first_token = Some(duration(name, given()?)?),
            "between_tokens" => self.between_tokens = Some(duration(name, given()?)?),
            _ => return Err(format!("unknown directive '{name}'; there are {WORDS}")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.tokens.is_some() && self.bytes.is_some() {
            return Err("'tokens' and 'bytes' both give the length of the text; give one of them".into());
        }
        Ok(())
    }

    /// The same directive with another laid over it, whose words win.
    pub(crate) fn under(self, over: Self) -> Self {
        // A length given above replaces a length of the other kind below.
        let length_above = over.tokens.is_some() || over.bytes.is_some();
        let (tokens, bytes) = if length_above { (None, None) } else { (self.tokens, self.bytes) };
        Self {
            status: over.status.or(self.status),
            retry_after: over.retry_after.or(self.retry_after),
            retry_after_ms: over.retry_after_ms.or(self.retry_after_ms),
            location: over.location.or(self.location),
            hang: over.hang || self.hang,
            reset: over.reset || self.reset,
            no_done: over.no_done || self.no_done,
            hang_after: over.hang_after.or(self.hang_after),
            garbage_after: over.garbage_after.or(self.garbage_after),
            error_frame_after: over.error_frame_after.or(self.error_frame_after),
            cut_after: over.cut_after.or(self.cut_after),
            reset_after: over.reset_after.or(self.reset_after),
            drip: over.drip.or(self.drip),
            tokens: over.tokens.or(tokens),
            bytes: over.bytes.or(bytes),
            first_token: over.first_token.or(self.first_token),
            between_tokens: over.between_tokens.or(self.between_tokens),
        }
    }

    /// Whether it spoils the reply, so that no error by rate is drawn on top.
    pub(crate) fn is_fault(&self) -> bool {
        self.status.is_some() || self.hang || self.reset || self.spoils_body()
    }

    /// Whether the body that follows a good head is not what it should be.
    pub(crate) fn spoils_body(&self) -> bool {
        self.no_done
            || self.hang_after.is_some()
            || self.garbage_after.is_some()
            || self.error_frame_after.is_some()
            || self.cut_after.is_some()
            || self.reset_after.is_some()
    }
}

/// Words between white space; white space inside quotes is part of a word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character: char| {
        quoted ^= character == '"';
        character.is_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
}

fn flag(name: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(format!("'{name}' takes no value")),
    }
}

fn number<N>(name: &str, value: &str, least: N, most: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    value
        .parse()
        .ok()
        .filter(|number| (&least..=&most).contains(&number))
        .ok_or_else(|| format!("'{name}={value}' must be a whole number from {least} to {most}"))
}

fn header(name: &str, value: &str) -> Result<Box<str>, String> {
    match http::HeaderValue::from_str(value) {
        Ok(_) => Ok(value.into()),
        Err(_) => Err(format!("'{name}' has characters that a header cannot carry")),
    }
}

/// `5ms`, `1.5s`, `250us`; a bare number is milliseconds. An hour at the most.
fn duration(name: &str, value: &str) -> Result<Duration, String> {
    let unit_at = value.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(value.len());
    let (amount, unit) = value.split_at(unit_at);
    let unit_s = match unit {
        "s" => 1.0,
        "ms" | "" => 1e-3,
        "us" => 1e-6,
        _ => -1.0,
    };
    let seconds = amount.parse::<f64>().unwrap_or(-1.0) * unit_s;
    if !(0.0..=3600.0).contains(&seconds) || unit_s < 0.0 {
        return Err(format!("'{name}={value}' must be a duration such as '5ms', '1.5s' or '250us'"));
    }
    // To the nanosecond: a product such as 0.005 is not exact.
    Ok(Duration::from_nanos((seconds * 1e9).round() as u64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Directive, String> {
        let mut directive = Directive::default();
        directive.read(text).map(|()| directive)
    }

    #[test]
    fn a_message_without_directive_says_nothing() {
        assert_eq!(read("hello [[world]]"), Ok(Directive::default()));
    }

    #[test]
    fn words_are_read_wherever_they_stand() {
        let read = read("a [[sim: status=503 retry_after=2]] b [[sim:drip=5ms first_token=1.5s]]").unwrap();
        assert_eq!(read.status, Some(503));
        assert_eq!(read.retry_after.as_deref(), Some("2"));
        assert_eq!(read.drip, Some(Duration::from_millis(5)));
        assert_eq!(read.first_token, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn quotes_keep_a_date_together() {
        let read = read("[[sim: status=429 retry_after=\"Wed, 21 Oct 2026 07:28:00 GMT\" ]]").unwrap();
        assert_eq!(read.retry_after.as_deref(), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
    }

    #[test]
    fn a_bad_word_is_refused_with_its_name() {
        for (text, said) in [
            ("[[sim: explode]]", "explode"),
            ("[[sim: status=200]]", "300"),
            ("[[sim: status]]", "needs a value"),
            ("[[sim: hang=5]]", "takes no value"),
            ("[[sim: drip=5min]]", "duration"),
            ("[[sim: drip=-5ms]]", "duration"),
            ("[[sim: hang_after=-1]]", "whole number"),
            ("[[sim: tokens=1 bytes=1]]", "one of them"),
            ("[[sim: tokens=99999999]]", "1000000"),
            ("[[sim: hang", "does not end"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn the_script_has_the_same_words() {
        let entry = serde_json::json!({"status": 503, "retry_after": 2, "hang": false, "drip": "1ms", "no_done": true});
        let directive = Directive::of_json(entry.as_object().unwrap()).unwrap();
        assert_eq!(directive, read("[[sim: status=503 retry_after=2 drip=1ms no_done]]").unwrap());
        let wrong = serde_json::json!({"status": [503]});
        assert!(Directive::of_json(wrong.as_object().unwrap()).is_err());
    }

    #[test]
    fn what_is_laid_over_wins() {
        let below = read("[[sim: status=500 tokens=5]]").unwrap();
        let above = read("[[sim: status=503 bytes=10]]").unwrap();
        let both = below.under(above);
        assert_eq!((both.status, both.tokens, both.bytes), (Some(503), None, Some(10)));
    }
}
