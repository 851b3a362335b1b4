#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn key(number: u64) -> Key {
    Key::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn random_vector(random: &mut fastrand::Rng, dimensions: usize) -> Vector {
    Vector::new((0..dimensions).map(|_| random.f32() - 0.5).collect()).unwrap()
}

fn filled(rows: u64, dimensions: usize) -> (Partition, Vec<Vector>) {
    let mut random = fastrand::Rng::with_seed(1);
    let vectors: Vec<Vector> = (0..rows).map(|_| random_vector(&mut random, dimensions)).collect();
    let mut partition = Partition::default();
    for (number, vector) in (0..).zip(&vectors) {
        partition.insert(&format!("question {number}"), vector, key(number), usize::MAX, number);
    }
    (partition, vectors)
}

#[test]
fn the_nearest_come_first() {
    let (partition, vectors) = filled(200, 48);
    for (number, vector) in (0..).zip(&vectors) {
        let found = partition.nearest(vector, -1.0, 5, 0);
        assert_eq!(found.len(), 5);
        assert_eq!(found[0].key, key(number));
        assert!(found.windows(2).all(|pair| pair[0].cosine >= pair[1].cosine));
    }
}

#[test]
fn what_is_too_far_is_not_found() {
    let (partition, vectors) = filled(100, 48);
    assert_eq!(partition.nearest(&vectors[3], 0.999, 5, 0).len(), 1);
}

#[test]
fn the_approximate_scan_finds_what_the_exact_one_does() {
    let (partition, vectors) = filled(2_000, 96);
    for vector in vectors.iter().step_by(20) {
        let mut mixed: Vec<f32> = vector.values().to_vec();
        mixed.iter_mut().step_by(7).for_each(|value| *value *= 0.4);
        let asked = Vector::new(mixed).unwrap();
        let mut exact = partition.scan(asked.values(), 0.85);
        let mut sketched = partition.scan_sketches(asked.values(), 0.85);
        exact.sort_by_key(|found| found.1);
        sketched.sort_by_key(|found| found.1);
        assert!(!exact.is_empty());
        assert_eq!(exact, sketched);
    }
}

#[test]
fn the_same_question_gets_its_new_key() {
    let (mut partition, vectors) = filled(3, 8);
    partition.learn("question 1", &key(1), 0.9, true);
    partition.insert("question 1", &vectors[1], key(9), usize::MAX, 0);
    assert_eq!(partition.len(), 3);
    let found = partition.nearest(&vectors[1], 0.99, 1, 0);
    assert_eq!(found[0].key, key(9));
    assert!(found[0].evidence.is_empty());
}

#[test]
fn rows_stay_together_whatever_is_removed() {
    let (mut partition, vectors) = filled(100, 24);
    let mut random = fastrand::Rng::with_seed(2);
    let mut left: Vec<u64> = (0..100).collect();
    while left.len() > 1 {
        let gone = left.swap_remove(random.usize(..left.len()));
        assert_eq!(partition.forget(&key(gone)), 1);
        assert_eq!(partition.len(), left.len());
        for number in &left {
            let found = partition.nearest(&vectors[*number as usize], 0.999, 1, 0);
            assert_eq!(
                (found[0].key, &*found[0].text),
                (key(*number), format!("question {number}").as_str())
            );
        }
    }
}

#[test]
fn a_full_partition_forgets_what_is_little_used() {
    let (mut partition, vectors) = filled(100, 24);
    for _ in 0..200 {
        partition.nearest(&vectors[0], 0.999, 1, 1_000_000);
        let number = fastrand::u64(1_000..);
        let vector = random_vector(&mut fastrand::Rng::with_seed(number), 24);
        partition.insert(&format!("new {number}"), &vector, key(number), 100, 1_000);
    }
    assert_eq!(partition.len(), 100);
    assert_eq!(partition.nearest(&vectors[0], 0.999, 1, 0).len(), 1);
}

#[test]
fn other_dimensions_are_not_kept_nor_found() {
    let (mut partition, _) = filled(3, 8);
    let other = Vector::new(vec![1.0; 9]).unwrap();
    partition.insert("other", &other, key(4), 10, 0);
    assert_eq!(partition.len(), 3);
    assert!(partition.nearest(&other, -1.0, 9, 0).is_empty());
}
