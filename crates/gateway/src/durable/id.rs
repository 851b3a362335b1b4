//! A job's number as callers see it: `job_` and 16 digits that tell neither how many there are nor who came
//! before. They guard nothing: whoever asks is checked to be the job's tenant.

use store::jobs::JobId;

const PREFIX: &str = "job_";

/// Odd, so that multiplying by it can be undone. Both are of `SplitMix64` (Steele, Lea and Flood, 2014).
const FACTORS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];
const SHIFTS: [u32; 3] = [30, 27, 31];

/// As callers see it.
#[must_use]
pub fn show(id: JobId) -> String {
    format!("{PREFIX}{:016x}", mix(id.0.cast_unsigned()))
}

/// The job that is meant; `None` where the text is no job's.
#[must_use]
pub fn read(text: &str) -> Option<JobId> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != 16 || !digits.bytes().all(is_plain) {
        return None;
    }
    let id = unmix(u64::from_str_radix(digits, 16).ok()?).cast_signed();
    (id > 0).then_some(JobId(id))
}

fn mix(mut number: u64) -> u64 {
    for (shift, factor) in SHIFTS.iter().zip(FACTORS) {
        number = (number ^ (number >> shift)).wrapping_mul(factor);
    }
    number ^ (number >> SHIFTS[2])
}

fn unmix(mut number: u64) -> u64 {
    number = unshift(number, SHIFTS[2]);
    for (shift, factor) in SHIFTS.iter().zip(FACTORS).rev() {
        number = unshift(number.wrapping_mul(inverse(factor)), *shift);
    }
    number
}

/// What `number ^ (number >> shift)` was made from.
fn unshift(number: u64, shift: u32) -> u64 {
    let mut found = number;
    for _ in 0..64 / shift {
        found = number ^ (found >> shift);
    }
    found
}

/// The factor that undoes an odd one, modulo 2⁶⁴: each of Newton's steps doubles the bits that are right.
fn inverse(factor: u64) -> u64 {
    let mut found = factor;
    for _ in 0..5 {
        found = found.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(found)));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{read, show};
    use proptest::prelude::*;
    use store::jobs::JobId;

    #[test]
    fn what_is_no_id_is_no_job() {
        let known = show(JobId(1));
        assert_eq!((known.len(), read(&known)), (20, Some(JobId(1))));
        assert_ne!(known[4..12], show(JobId(2))[4..12], "neighbours have nothing in common");
        for text in ["", "1", "job_1", "job_", &known[4..], &known.to_uppercase(), "job_+000000000000001"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_comes_back(number in 1_i64..) {
            prop_assert_eq!(read(&show(JobId(number))), Some(JobId(number)));
        }
    }
}
