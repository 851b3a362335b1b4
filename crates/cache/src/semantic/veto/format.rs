//! The form that the answer is to have: JSON or a table, one sentence or three bullet points, formal, brief,
//! for a child.

use super::marks;
use crate::semantic::question::Question;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    formats(a) != formats(b)
}

fn formats(question: &Question) -> Vec<&str> {
    let mut formats = marks(question, format);
    formats.dedup();
    formats
}

fn format(word: &str) -> Option<&str> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    Some(match singular {
        "bullet" | "bulleted" | "bulletpoint" => "bullet",
        "brief" | "briefly" | "short" | "concise" | "concisely" | "nutshell" => "brief",
        "detail" | "detailed" | "thorough" | "thoroughly" | "depth" => "detail",
        "tldr" | "eli5" => "brief",
        "child" | "kid" | "toddler" | "beginner" | "layman" | "expert" | "dummie" => singular,
        "long" | "formal" | "informal" | "casual" | "polite" | "politely" | "funny" => singular,
        _ if NAMES.split_whitespace().any(|name| name == singular) => singular,
        _ => return None,
    })
}

const NAMES: &str = "json csv tsv xml yaml toml html markdown latex pdf xlsx docx excel word table sentence paragraph \
    haiku poem essay story tweet email letter limerick song rap outline checklist diagram flowchart chart graph \
    bibtex iso utc ascii unicode hex binary base64 sql regex emoji slide slides presentation summary numbered \
    alphabetical alphabetically ascending descending headline title caption abstract";
