//! Whose it is: mine, yours, his, hers, theirs.

use super::marks;
use crate::semantic::question::Question;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    let (one, two) = (a.reading.owners, b.reading.owners);
    let crossed = (one.mine && !one.yours && two.yours && !two.mine)
        || (two.mine && !two.yours && one.yours && !one.mine);
    crossed || others(a) != others(b)
}

fn others(question: &Question) -> Vec<&'static str> {
    let mut others = marks(question, |word| {
        Some(match word {
            "he" | "him" | "his" => "he",
            "she" | "her" | "hers" => "she",
            "their" | "them" | "theirs" => "they",
            _ => return None,
        })
    });
    others.dedup();
    others
}
