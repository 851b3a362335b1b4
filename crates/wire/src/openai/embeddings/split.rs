//! A joint answer in parts.

use crate::json::{self, Object, Value};
use crate::splice::{Edit, splice};
use bytes::Bytes;

/// What somebody has of a joint answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many of the inputs were theirs.
    pub count: usize,
    /// How much of the work these were.
    pub weight: u64,
}

/// The parts of an answer, one for each of `shares`, in the order in which their inputs were joined.
///
/// Vectors are told apart by `index`, or by their place where none has one. Whole numbers of `usage` are shared out
/// by weight: exactly as used where weights are tokens, to within one otherwise, and their sum is always the whole.
/// `None` where the answer does not hold just one vector for each input.
#[must_use]
pub fn split(answer: &Bytes, shares: &[Share]) -> Option<Vec<Bytes>> {
    let object = json::reply(answer).ok()?;
    let data = object.get("data")?;
    let inputs: usize = shares.iter().map(|share| share.count).sum();
    let vectors = in_order(&data, inputs)?;
    let counts = counts_of(&object);
    let weights: Vec<u64> = shares.iter().map(|share| share.weight).collect();
    let shared: Vec<Vec<u64>> = counts.iter().map(|count| apportion(count.value, &weights)).collect();

    let mut vectors = vectors.into_iter();
    let parts = shares.iter().enumerate().map(|(part, share)| {
        let mut edits = vec![Edit { range: data.span(), with: list(vectors.by_ref().take(share.count)) }];
        for (count, shared) in counts.iter().zip(&shared) {
            let own = shared.get(part).copied().unwrap_or_default();
            edits.push(Edit { range: count.span.clone(), with: own.to_string().into() });
        }
        edits.sort_by_key(|edit| edit.range.start);
        splice(answer, &edits).into_bytes()
    });
    Some(parts.collect())
}

/// The vectors in the order of their inputs.
fn in_order<'a>(data: &Value<'a>, inputs: usize) -> Option<Vec<Vector<'a>>> {
    let mut vectors: Vec<Vector<'a>> = Vec::with_capacity(inputs);
    for element in data.elements()? {
        if vectors.len() == inputs {
            return None;
        }
        let index = element.object()?.get("index").filter(|index| !index.is_null());
        vectors.push(Vector { element, index });
    }
    if vectors.iter().any(|vector| vector.index.is_some()) {
        vectors.sort_by_key(|vector| vector.index.and_then(|index| index.as_u64()));
        let in_place = |(place, vector): (usize, &Vector<'_>)| {
            vector.index.and_then(|index| index.as_u64()) == u64::try_from(place).ok()
        };
        if !vectors.iter().enumerate().all(in_place) {
            return None;
        }
    }
    (vectors.len() == inputs).then_some(vectors)
}

/// One vector of an answer, and where it says which.
struct Vector<'a> {
    element: Value<'a>,
    index: Option<Value<'a>>,
}

/// An array of vectors, which count from 0.
fn list<'a>(vectors: impl Iterator<Item = Vector<'a>>) -> Bytes {
    let mut out = vec![b'['];
    for (place, Vector { element, index }) in vectors.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let raw = element.raw();
        match index {
            None => out.extend_from_slice(raw.as_bytes()),
            Some(index) => {
                let (start, end) =
                    (index.span().start - element.span().start, index.span().end - element.span().start);
                out.extend_from_slice(raw.get(..start).unwrap_or_default().as_bytes());
                out.extend_from_slice(place.to_string().as_bytes());
                out.extend_from_slice(raw.get(end..).unwrap_or_default().as_bytes());
            }
        }
    }
    out.push(b']');
    out.into()
}

/// A whole number of `usage`, and where it stands.
struct Count {
    value: u64,
    span: std::ops::Range<usize>,
}

/// The whole numbers of `usage`, in it and in the objects right within it.
fn counts_of(answer: &Object<'_>) -> Vec<Count> {
    let count = |value: Value<'_>| Some(Count { value: value.as_u64()?, span: value.span() });
    let mut found = Vec::new();
    if let Some(usage) = answer.get("usage").and_then(|usage| usage.object()) {
        for (_, value) in usage.iter() {
            found.extend(count(value));
            if let Some(details) = value.object() {
                found.extend(details.iter().filter_map(|(_, value)| count(value)));
            }
        }
    }
    found
}

/// Shares a number out by weight, whole and to its last one: the method of largest remainders (Hamilton's).
pub(super) fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        let mut shares = vec![0; weights.len()];
        if let Some(first) = shares.first_mut() {
            *first = total;
        }
        return shares;
    }
    let exact = |weight: &u64| u128::from(total) * u128::from(*weight);
    // Below `total`, so that it fits.
    let mut shares: Vec<u64> = weights.iter().map(|weight| (exact(weight) / sum) as u64).collect();
    let left = total - shares.iter().sum::<u64>();
    let mut places: Vec<usize> = (0..weights.len()).collect();
    places
        .sort_by_key(|&place| std::cmp::Reverse(weights.get(place).map_or(0, |weight| exact(weight) % sum)));
    for place in places.into_iter().take(left as usize) {
        if let Some(share) = shares.get_mut(place) {
            *share += 1;
        }
    }
    shares
}
