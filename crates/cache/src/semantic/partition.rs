//! The questions of one partition and their vectors, in rows that a scan runs through.
//!
//! Up to [`EXACT_MAX`] rows every vector is measured. Beyond, their [`Sketch`]es are, and only those vectors
//! whose sketch is near: approximate, in that about one near question in 30,000 is missed, and never wrong in
//! what it finds. Where the partition is full, the least used of a few questions drawn at random goes.

#[cfg(test)]
mod tests;

use super::learned::Evidence;
use super::sketch::{self, Sketch};
use super::vector::{Vector, dot};
use crate::key::Key;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows up to which every one is measured.
pub const EXACT_MAX: usize = 50_000;
/// Questions drawn to find one that is little used.
const DRAWN: usize = 8;

/// One question and whose answer answers it.
#[derive(Debug)]
pub(super) struct Row {
    pub text: Box<str>,
    pub key: Key,
    pub evidence: Evidence,
    /// The clock when it was last found.
    used: AtomicU64,
    /// The hash it is found under by its text.
    hash: u64,
}

/// A question that is near enough.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Near {
    pub text: Box<str>,
    pub key: Key,
    pub cosine: f32,
    pub evidence: Evidence,
}

/// Rows, all of one number of dimensions.
#[derive(Debug, Default)]
pub(super) struct Partition {
    dimensions: usize,
    rows: Vec<Row>,
    vectors: Vec<f32>,
    sketches: Vec<Sketch>,
    by_text: HashMap<u64, u32, FixedState>,
    text_bytes: usize,
}

impl Partition {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The questions at least as near as `least`, the nearest first, at most `most`.
    pub fn nearest(&self, vector: &Vector, least: f32, most: usize, clock: u64) -> Vec<Near> {
        if vector.values().len() != self.dimensions {
            return Vec::new();
        }
        let mut found = if self.rows.len() <= EXACT_MAX {
            self.scan(vector.values(), least)
        } else {
            self.scan_sketches(vector.values(), least)
        };
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(most);
        found
            .into_iter()
            .filter_map(|(cosine, at)| {
                let row = self.rows.get(at)?;
                row.used.store(clock, Ordering::Relaxed);
                let (text, evidence) = (row.text.clone(), row.evidence.clone());
                Some(Near { text, key: row.key, cosine, evidence })
            })
            .collect()
    }

    fn scan(&self, values: &[f32], least: f32) -> Vec<(f32, usize)> {
        let rows = self.vectors.chunks_exact(self.dimensions.max(1)).enumerate();
        rows.map(|(at, row)| (dot(row, values), at)).filter(|(cosine, _)| *cosine >= least).collect()
    }

    fn scan_sketches(&self, values: &[f32], least: f32) -> Vec<(f32, usize)> {
        let (sketch, most) = (Sketch::of(values), sketch::distance_max(least));
        let near = self.sketches.iter().enumerate().filter(|(_, other)| sketch.distance(other) <= most);
        near.filter_map(|(at, _)| Some((dot(self.vector(at)?, values), at)))
            .filter(|(cosine, _)| *cosine >= least)
            .collect()
    }

    fn vector(&self, at: usize) -> Option<&[f32]> {
        self.vectors.get(at * self.dimensions..(at + 1) * self.dimensions)
    }

    /// Keeps a question, or gives the one that is there another key. Where there are `most` already, one
    /// goes. A vector of other dimensions than the others' is not kept.
    pub fn insert(&mut self, text: &str, vector: &Vector, key: Key, most: usize, clock: u64) {
        if self.rows.is_empty() {
            self.dimensions = vector.values().len();
        }
        if vector.values().len() != self.dimensions || most == 0 {
            return;
        }
        let hash = FixedState::default().hash_one(text);
        if let Some(row) = self.by_text.get(&hash).and_then(|at| self.rows.get_mut(*at as usize)) {
            if &*row.text == text {
                if row.key != key {
                    row.evidence = Evidence::default();
                }
                row.key = key;
                *row.used.get_mut() = clock;
                return;
            }
            // Two texts with one hash: the newer is kept.
            self.remove_hash(hash);
        }
        while self.rows.len() >= most {
            self.evict();
        }
        self.by_text.insert(hash, self.rows.len() as u32);
        self.vectors.extend_from_slice(vector.values());
        self.sketches.push(Sketch::of(vector.values()));
        self.text_bytes += text.len();
        let used = AtomicU64::new(clock);
        self.rows.push(Row { text: text.into(), key, evidence: Evidence::default(), used, hash });
    }

    /// Takes in what a comparison gave, where the question is still here.
    pub fn learn(&mut self, text: &str, key: &Key, cosine: f32, right: bool) {
        let hash = FixedState::default().hash_one(text);
        if let Some(row) = self.by_text.get(&hash).and_then(|at| self.rows.get_mut(*at as usize))
            && &*row.text == text
            && row.key == *key
        {
            row.evidence.add(cosine, right);
        }
    }

    /// Forgets the questions that `key` answers; gives how many.
    pub fn forget(&mut self, key: &Key) -> usize {
        let before = self.rows.len();
        let mut at = 0;
        while let Some(row) = self.rows.get(at) {
            if row.key == *key { self.remove(at) } else { at += 1 }
        }
        before - self.rows.len()
    }

    /// Forgets one question that is little used.
    pub fn evict(&mut self) {
        let count = self.rows.len();
        let used = |at: usize| self.rows.get(at).map_or(0, |row| row.used.load(Ordering::Relaxed));
        let drawn = (0..DRAWN).map(|_| fastrand::usize(..count.max(1)));
        if let Some(at) = drawn.min_by_key(|at| used(*at)) {
            self.remove(at);
        }
    }

    fn remove_hash(&mut self, hash: u64) {
        if let Some(at) = self.by_text.get(&hash) {
            self.remove(*at as usize);
        }
    }

    /// Takes a row out and puts the last in its place.
    fn remove(&mut self, at: usize) {
        if at >= self.rows.len() {
            return;
        }
        let row = self.rows.swap_remove(at);
        self.by_text.remove(&row.hash);
        self.text_bytes -= row.text.len();
        if let Some(moved) = self.rows.get(at) {
            self.by_text.insert(moved.hash, at as u32);
        }
        self.sketches.swap_remove(at);
        let last = self.rows.len() * self.dimensions;
        if at < self.rows.len() {
            self.vectors.copy_within(last..last + self.dimensions, at * self.dimensions);
        }
        self.vectors.truncate(last);
    }
}
