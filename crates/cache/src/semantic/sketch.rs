//! 512 bits of a vector's direction, for looking through many: the angle between two vectors shows in how
//! many bits differ.
//!
//! Signs of random projections (Charikar, STOC 2002), with the projections made by one randomised
//! Walsh–Hadamard transform: each bit differs with the probability angle/π. What is at a cosine of 0.85
//! differs in 90 of 512 bits, give or take 9, what has nothing in common in 256, give or take 11. So a sketch
//! sorts out nearly everything, and what it lets pass is measured exactly.

/// Words of a sketch.
const WORDS: usize = 8;
const BITS: usize = WORDS * 64;
/// How many standard deviations more bits may differ than are expected: about one in 30,000 of those that
/// are near enough is missed.
const DEVIATIONS: f32 = 4.0;

/// The signs of 512 projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sketch([u64; WORDS]);

impl Sketch {
    /// The sketch of a vector.
    pub fn of(values: &[f32]) -> Self {
        let length = values.len().next_power_of_two().max(BITS);
        let mut spread = vec![0.0_f32; length];
        spread.iter_mut().zip(values).for_each(|(spread, value)| *spread = *value);
        // Twice: once leaves a pattern where most values are zero, as they are past the vector's own.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..2 {
            scatter(&mut spread, &mut state);
            transform(&mut spread);
        }
        let mut words = [0; WORDS];
        for (word, signs) in words.iter_mut().zip(spread.as_chunks::<64>().0) {
            for (bit, value) in signs.iter().enumerate() {
                *word |= u64::from(*value > 0.0) << bit;
            }
        }
        Self(words)
    }

    /// In how many bits two differ.
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// The most bits in which the sketches of two vectors of this cosine differ, but for a few in 100,000.
pub(super) fn distance_max(cosine: f32) -> u32 {
    let share = cosine.clamp(-1.0, 1.0).acos() / std::f32::consts::PI;
    let bits = BITS as f32;
    (share * bits + DEVIATIONS * (bits * share * (1.0 - share)).sqrt()).ceil() as u32
}

/// Turns signs at random (xorshift64), the same for every vector.
fn scatter(values: &mut [f32], state: &mut u64) {
    for value in values {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        if *state & (1 << 40) == 0 {
            *value = -*value;
        }
    }
}

/// The Walsh–Hadamard transform, in place; the length is a power of two.
fn transform(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for block in values.chunks_exact_mut(half * 2) {
            let (left, right) = block.split_at_mut(half);
            for (a, b) in left.iter_mut().zip(right) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::semantic::Vector;

    /// A pair of random vectors at the cosine `near`; sparse ones as the lexical embedder makes them.
    fn pair(random: &mut fastrand::Rng, dimensions: usize, near: f32, sparse: bool) -> (Vector, Vector) {
        let mut draw = || -> Vec<f32> {
            (0..dimensions)
                .map(|_| if sparse && random.u8(..) < 240 { 0.0 } else { random.f32() - 0.5 })
                .collect()
        };
        let (a, b) = (Vector::new(draw()).unwrap(), Vector::new(draw()).unwrap());
        let along = a.cosine(&b);
        let across: Vec<f32> = b.values().iter().zip(a.values()).map(|(b, a)| b - along * a).collect();
        let across = Vector::new(across).unwrap();
        let side = (1.0 - near * near).sqrt();
        let mixed = a.values().iter().zip(across.values()).map(|(a, b)| near * a + side * b).collect();
        (a, Vector::new(mixed).unwrap())
    }

    #[test]
    fn what_is_near_enough_is_not_missed() {
        let mut random = fastrand::Rng::with_seed(7);
        for (dimensions, sparse) in [(384, false), (512, true), (1536, false), (64, false)] {
            let missed = (0..500)
                .filter(|_| {
                    let (a, b) = pair(&mut random, dimensions, 0.86, sparse);
                    Sketch::of(a.values()).distance(&Sketch::of(b.values())) > distance_max(0.85)
                })
                .count();
            assert!(missed <= 1, "{missed} of 500 at {dimensions} dimensions");
        }
    }

    #[test]
    fn what_is_far_is_sorted_out() {
        let mut random = fastrand::Rng::with_seed(8);
        for sparse in [false, true] {
            let passed = (0..500)
                .filter(|_| {
                    let (a, b) = pair(&mut random, 512, 0.3, sparse);
                    Sketch::of(a.values()).distance(&Sketch::of(b.values())) <= distance_max(0.85)
                })
                .count();
            assert_eq!(passed, 0);
        }
    }
}
