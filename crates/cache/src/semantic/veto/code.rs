//! Code, identifiers, paths, flags, operators: those of one must be those of the other, to the letter and in
//! order.

use crate::semantic::question::Question;
use crate::semantic::words::Kind;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    let mut a = a.words.iter().filter(|word| word.kind == Kind::Code).map(|word| &word.text);
    let mut b = b.words.iter().filter(|word| word.kind == Kind::Code).map(|word| &word.text);
    loop {
        match (a.next(), b.next()) {
            (None, None) => return false,
            (one, other) if one != other => return true,
            _ => {}
        }
    }
}
