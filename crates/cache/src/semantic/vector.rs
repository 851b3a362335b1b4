//! A direction in space: what a text means, as far as an embedder knows.

use std::fmt;

/// A vector of length 1.
#[derive(Clone, PartialEq)]
pub struct Vector(Box<[f32]>);

impl Vector {
    /// Brings values to length 1. `None` where there are none, or none of them says anything: all zero, or
    /// not finite.
    #[must_use]
    pub fn new(mut values: Vec<f32>) -> Option<Self> {
        let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !length.is_finite() || length == 0.0 {
            return None;
        }
        for value in &mut values {
            *value = (f64::from(*value) / length) as f32;
        }
        Some(Self(values.into()))
    }

    /// Its values.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// The cosine of the angle to another vector; −1 where it has another number of dimensions.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        if self.0.len() == other.0.len() { dot(&self.0, &other.0) } else { -1.0 }
    }
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vector({} dimensions)", self.0.len())
    }
}

/// Sums that are kept apart, so that the compiler may use vector registers.
const LANES: usize = 32;

/// The dot product of two rows of equal length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (chunks_a, rest_a) = a.as_chunks::<LANES>();
    let (chunks_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in chunks_a.iter().zip(chunks_b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn vectors_have_length_one() {
        let vector = Vector::new(vec![3.0, 4.0]).unwrap();
        assert_eq!(vector.values(), [0.6, 0.8]);
        assert!((vector.cosine(&vector) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_says_nothing_is_no_vector() {
        for values in [vec![], vec![0.0; 8], vec![f32::NAN, 1.0], vec![f32::INFINITY]] {
            assert!(Vector::new(values).is_none());
        }
    }

    #[test]
    fn the_dot_product_counts_every_value() {
        for length in [1, 31, 32, 33, 384, 1000] {
            let row: Vec<f32> = (0..length).map(|value| value as f32).collect();
            let expected: f64 = row.iter().map(|value| f64::from(*value).powi(2)).sum();
            assert!((f64::from(dot(&row, &row)) / expected.max(1.0) - 1.0).abs() < 1e-5 || length == 1);
        }
    }

    #[test]
    fn other_dimensions_have_no_angle() {
        let (a, b) = (Vector::new(vec![1.0]).unwrap(), Vector::new(vec![1.0, 0.0]).unwrap());
        assert_eq!(a.cosine(&b), -1.0);
    }
}
