//! Embeddings that need no model: texts with words and word parts in common
//! get vectors that are near one another.
//!
//! Every word, every pair of words and every three letters of a word add a
//! signed share to a few places of the vector that a hash chooses (feature
//! hashing; Weinberger et al., 2009). The vector is then made one unit long.

use super::json;
use super::key::Key;
use super::request::{Embedding, Input};
use super::token;
use bytes::Bytes;

/// Numbers of a vector, where the request does not say.
pub(crate) const DIMENSIONS: u32 = 256;

/// Words so common that they say little about a text.
const COMMON: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in",
    "is", "it", "me", "my", "of", "on", "or", "please", "that", "the", "this", "to", "was", "what", "which",
    "with", "you",
];

/// The answer to a request.
pub(crate) fn reply(request: &Embedding<'_>, model: &str) -> Bytes {
    let inputs = request.input.as_ref().map(|inputs| inputs.0.as_slice()).unwrap_or_default();
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS) as usize;
    let base64 = request.encoding_format.as_deref() == Some("base64");
    let mut out = Vec::with_capacity(inputs.len() * dimensions * if base64 { 6 } else { 12 } + 256);
    out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
    let mut tokens = 0u64;
    for (index, input) in inputs.iter().enumerate() {
        tokens += count(input);
        if index > 0 {
            out.push(b',');
        }
        json::put(&mut out, format_args!("{{\"object\":\"embedding\",\"index\":{index},\"embedding\":"));
        let vector = vector(input, dimensions);
        if base64 {
            write_base64(&mut out, &vector);
        } else {
            write_floats(&mut out, &vector);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"model\":");
    json::string(&mut out, model);
    json::put(
        &mut out,
        format_args!(",\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}}}"),
    );
    out.into()
}

fn count(input: &Input<'_>) -> u64 {
    match input {
        Input::Text(text) => u64::from(token::count(text)),
        Input::Tokens(tokens) => tokens.len() as u64,
    }
}

fn vector(input: &Input<'_>, dimensions: usize) -> Vec<f32> {
    let mut sum = Sum(vec![0.0; dimensions]);
    match input {
        Input::Text(text) => sum.text(text),
        Input::Tokens(tokens) => {
            for token in tokens {
                sum.add(Key::new(4).with_number(*token), 1.0);
            }
        }
    }
    sum.unit()
}

/// A vector as it grows.
struct Sum(Vec<f32>);

impl Sum {
    fn text(&mut self, text: &str) {
        let lower = text.to_lowercase();
        let mut before = "";
        for word in lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let weight = if COMMON.contains(&word) { 0.2 } else { 1.0 };
            self.add(Key::new(1).with(word.as_bytes()), weight);
            self.add(Key::new(2).with(before.as_bytes()).with(word.as_bytes()), 0.3 * weight);
            let mut framed = String::with_capacity(word.len() + 2);
            framed.extend(["^", word, "$"]);
            for part in framed.as_bytes().windows(3) {
                self.add(Key::new(3).with(part), 0.4 * weight);
            }
            before = word;
        }
        if before.is_empty() {
            // Signs alone: no words to be near by, but still a direction.
            self.add(Key::new(5).with(text.as_bytes()), 1.0);
        }
    }

    /// Adds a feature, spread over four places so that two features which
    /// meet at one of them still differ.
    fn add(&mut self, feature: Key, weight: f32) {
        let mut draws = feature.draws(0);
        for _ in 0..4 {
            let bits = draws.next();
            let place = ((bits >> 32) as usize * self.0.len()) >> 32;
            if let Some(value) = self.0.get_mut(place) {
                *value += if bits & 1 == 0 { weight } else { -weight };
            }
        }
    }

    fn unit(mut self) -> Vec<f32> {
        let length = self.0.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            self.0.iter_mut().for_each(|value| *value /= length);
        } else if let Some(first) = self.0.first_mut() {
            *first = 1.0; // all features cancelled out: only in very few dimensions
        }
        self.0
    }
}

fn write_floats(out: &mut Vec<u8>, vector: &[f32]) {
    for (at, value) in vector.iter().enumerate() {
        out.push(if at == 0 { b'[' } else { b',' });
        if *value == 0.0 {
            out.extend_from_slice(b"0.0");
        } else {
            json::put(out, format_args!("{value}"));
        }
    }
    out.push(b']');
}

/// The vector's bytes, little-endian, in base64 (RFC 4648, with padding).
fn write_base64(out: &mut Vec<u8>, vector: &[f32]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    out.push(b'"');
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET[(bits >> shift & 63) as usize];
            out.push(if at <= three.len() { digit } else { b'=' });
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sim::request::Text;

    fn embed(text: &str, dimensions: usize) -> Vec<f32> {
        vector(&Input::Text(Text(text.into())), dimensions)
    }

    fn nearness(one: &str, other: &str) -> f32 {
        let (one, other) = (embed(one, 256), embed(other, 256));
        one.iter().zip(&other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn near_texts_have_near_vectors() {
        let asked = "How do I reset my password?";
        let near = nearness(asked, "how can I reset the password of my account");
        let some = nearness(asked, "password rules for new accounts");
        let far = nearness(asked, "What is the capital of France?");
        assert!(near > 0.6 && near > some && some > far && far < 0.2, "{near} {some} {far}");
        let inflected = nearness("colour of the harbours", "colours of the harbour");
        assert!(inflected > 0.4, "{inflected}");
        assert!((nearness(asked, asked) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn every_vector_is_one_unit_long() {
        for (text, dimensions) in
            [("a", 1), ("some words", 8), ("some words", 1536), ("?!", 256), ("日本", 256)]
        {
            let length: f32 = embed(text, dimensions).iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-4, "{text} {length}");
        }
    }

    #[test]
    fn both_encodings_carry_the_same_numbers() {
        let reply = |format: &str| {
            let body = format!(
                r#"{{"model":"embed","input":["a tide","2"],"dimensions":5,"encoding_format":"{format}"}}"#
            );
            let reply = super::reply(&Embedding::read(body.as_bytes()).unwrap(), "embed");
            serde_json::from_slice::<serde_json::Value>(&reply).unwrap()
        };
        let (floats, base64) = (reply("float"), reply("base64"));
        assert_eq!(floats["usage"], serde_json::json!({"prompt_tokens": 3, "total_tokens": 3}));
        for index in 0..2 {
            let numbers: Vec<f32> =
                serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
            let text = base64["data"][index]["embedding"].as_str().unwrap();
            assert_eq!(decode(text), numbers);
        }
    }

    /// Base64 read by another rule than it was written by.
    fn decode(text: &str) -> Vec<f32> {
        assert_eq!(text.len() % 4, 0);
        let digit = |byte: u8| match byte {
            b'A'..=b'Z' => u32::from(byte - b'A'),
            b'a'..=b'z' => u32::from(byte - b'a') + 26,
            b'0'..=b'9' => u32::from(byte - b'0') + 52,
            b'+' => 62,
            _ => 63,
        };
        let bits: Vec<u8> = text
            .trim_end_matches('=')
            .bytes()
            .flat_map(|byte| (0..6).rev().map(move |bit| (digit(byte) >> bit & 1) as u8))
            .collect();
        let bytes: Vec<u8> =
            bits.chunks_exact(8).map(|eight| eight.iter().fold(0, |sum, bit| sum << 1 | bit)).collect();
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    }
}
