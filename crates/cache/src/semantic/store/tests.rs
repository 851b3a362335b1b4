#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn key(number: u64) -> Key {
    Key::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn partition(number: u64) -> Fingerprint {
    Fingerprint::new(&key(number), "test")
}

fn vector(number: u64) -> Vector {
    let mut random = fastrand::Rng::with_seed(number);
    Vector::new((0..16).map(|_| random.f32() - 0.5).collect()).unwrap()
}

fn fill(store: &Store, partitions: u64, questions: u64) {
    for part in 0..partitions {
        for number in 0..questions {
            let text = format!("question {part} {number}");
            store.insert(&partition(part), &text, &vector(number), key(number));
        }
    }
}

#[test]
fn partitions_do_not_mix() {
    let store = Store::new(Bounds::default());
    fill(&store, 3, 10);
    for part in 0..3 {
        let found = store.nearest(&partition(part), &vector(4), 0.999, 8);
        assert_eq!(found.len(), 1);
        assert_eq!(&*found[0].text, format!("question {part} 4"));
    }
    assert!(store.nearest(&partition(9), &vector(4), -1.0, 8).is_empty());
}

#[test]
fn every_bound_holds() {
    let cases = [
        Bounds { partitions: 4, ..Bounds::default() },
        Bounds { partition_questions: 7, ..Bounds::default() },
        Bounds { questions: 25, ..Bounds::default() },
        Bounds { text_bytes: 300, ..Bounds::default() },
    ];
    for bounds in cases {
        let store = Store::new(bounds);
        fill(&store, 10, 20);
        let parts = store.partitions.lock().unwrap();
        let held: Vec<(usize, usize)> = parts
            .values()
            .map(|shelf| {
                let rows = shelf.rows.read().unwrap();
                (rows.len(), rows.text_bytes())
            })
            .collect();
        assert!(parts.len() <= bounds.partitions);
        assert!(held.iter().all(|(rows, _)| *rows <= bounds.partition_questions));
        let (rows, bytes) = held.iter().fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1));
        assert!(rows <= bounds.questions && bytes <= bounds.text_bytes);
        assert_eq!((rows, bytes), (store.questions(), store.text_bytes.load(Ordering::Relaxed)));
    }
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let store = Store::new(Bounds { partitions: 3, ..Bounds::default() });
    fill(&store, 3, 1);
    store.nearest(&partition(0), &vector(0), 0.9, 1);
    store.insert(&partition(7), "new", &vector(0), key(0));
    assert_eq!(store.nearest(&partition(0), &vector(0), 0.9, 1).len(), 1);
    assert!(store.nearest(&partition(1), &vector(0), 0.9, 1).is_empty());
}

#[test]
fn counts_return_to_zero() {
    let store = Store::new(Bounds::default());
    fill(&store, 3, 10);
    assert_eq!(store.forget(&partition(0), &key(4)), 1);
    assert_eq!(store.questions(), 29);
    store.clear();
    assert_eq!((store.questions(), store.partitions(), store.text_bytes.load(Ordering::Relaxed)), (0, 0, 0));
}
