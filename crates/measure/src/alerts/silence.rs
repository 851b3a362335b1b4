//! Silences: alerts that nobody wants to be told of for a while.

use super::{Labels, SILENCES_MAX, TooMany};
use std::time::SystemTime;

/// A silence. It holds for alerts that all of its matchers match, from one moment on the wall to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// What it is called by.
    pub id: String,
    /// All of them must match. Without one it would be of everything, and is of nothing.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub from: SystemTime,
    /// Until when.
    pub until: SystemTime,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// A word on one label. A label that an alert does not have is as one that is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// Its value; `*` stands for any number of any characters.
    pub value: String,
    /// `false`: every value but this.
    pub equal: bool,
}

impl Silence {
    /// Whether alerts of these labels are silent at that moment.
    #[must_use]
    pub fn holds(&self, labels: &Labels, now: SystemTime) -> bool {
        let in_time = self.from <= now && now < self.until;
        in_time && !self.matchers.is_empty() && self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

impl Matcher {
    /// Whether labels are as it says.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        is_like(value, &self.value) == self.equal
    }
}

/// Whether `text` is as `pattern` has it.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut left) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    // The leftmost place of each part leaves the most to those after it.
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(tail)
}

/// All silences.
#[derive(Debug, Default)]
pub(super) struct Silences(Vec<Silence>);

impl Silences {
    pub(super) fn add(&mut self, silence: Silence) -> Result<(), TooMany> {
        self.remove(&silence.id);
        if self.0.len() == SILENCES_MAX {
            return Err(TooMany);
        }
        self.0.push(silence);
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|silence| silence.id != id);
        self.0.len() < before
    }

    pub(super) fn expire(&mut self, now: SystemTime) {
        self.0.retain(|silence| silence.until > now);
    }

    pub(super) fn holds(&self, labels: &Labels, now: SystemTime) -> bool {
        self.0.iter().any(|silence| silence.holds(labels, now))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Silence> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::{Matcher, Silence, is_like};
    use crate::alerts::Labels;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_star_stands_for_anything() {
        for (text, pattern, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4", false),
            ("gpt-4o", "gpt-*", true),
            ("gpt-4o", "*", true),
            ("", "*", true),
            ("", "", true),
            ("gpt-4o-mini", "gpt*mini", true),
            ("gpt-4o-mini", "*4o*", true),
            ("abab", "*ab", true),
            ("ab", "ab*ab", false),
            ("aXbXc", "a*b*c", true),
            ("aXc", "a*b*c", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn a_silence_holds_in_its_time_for_what_all_matchers_match() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let matcher =
            |name: &str, value: &str, equal| Matcher { name: name.into(), value: value.into(), equal };
        let labels: Labels = [("alertname", "errors"), ("model", "smart")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        for (matchers, now, expected) in [
            (vec![matcher("alertname", "errors", true)], 15, true),
            (vec![matcher("alertname", "errors", true)], 9, false),
            (vec![matcher("alertname", "errors", true)], 20, false),
            (vec![matcher("alertname", "errors", true), matcher("model", "other", true)], 15, false),
            (vec![matcher("model", "smart", false)], 15, false),
            (vec![matcher("model", "other", false)], 15, true),
            (vec![matcher("absent", "", true)], 15, true),
            (vec![matcher("absent", "x", true)], 15, false),
            (vec![], 15, false),
        ] {
            let (author, comment) = (String::new(), String::new());
            let silence = Silence { id: "1".into(), matchers, from: at(10), until: at(20), author, comment };
            assert_eq!(silence.holds(&labels, at(now)), expected, "{silence:?} at {now}");
        }
    }
}
