//! Who does what to whom: two content words under one role in both questions, in another order.

use crate::semantic::question::Question;
use crate::semantic::reading::{Chunk, Form};

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    if matches!(a.form(), Form::Difference | Form::Comparison) {
        return false;
    }
    if order_of(a) == order_of(b) {
        return false;
    }
    // The same words in all, and not one text with its parts in another order: somebody changed places.
    let swapped = sorted(a) == sorted(b) && !same_chunks(a, b);
    swapped && !is_genitive(a, b)
}

fn order_of(question: &Question) -> Vec<&str> {
    question.reading.terms().collect()
}

fn sorted(question: &Question) -> Vec<&str> {
    let mut terms = order_of(question);
    terms.sort_unstable();
    terms
}

fn same_chunks(a: &Question, b: &Question) -> bool {
    let chunks = |question: &Question| -> Vec<Chunk> {
        let mut chunks = question.reading.chunks.clone();
        chunks.sort_unstable();
        chunks
    };
    chunks(a) == chunks(b)
}

/// `Kenya's capital` and `the capital of Kenya`: the verifier knows which they are.
fn is_genitive(a: &Question, b: &Question) -> bool {
    super::super::verify::verify(&a.reading, &b.reading).is_ok()
}
