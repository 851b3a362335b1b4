#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const LIFE: Duration = Duration::from_secs(3600);

fn open(folder: &Path, data: bool) -> (Journal, Arc<Epochs>) {
    let epochs = Arc::new(Epochs::default());
    (Journal::open(folder, LIFE, Arc::clone(&epochs), data).unwrap(), epochs)
}

/// A number `back` microseconds ago.
fn ago(back: u64) -> Stamp {
    Stamp(clock().0 - back)
}

fn sorted(epochs: &Epochs) -> Vec<(Tag, Stamp)> {
    let (_, mut tags) = epochs.export();
    tags.sort_unstable();
    tags
}

#[tokio::test]
async fn what_was_appended_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, epochs) = open(folder.path(), false);
    let (first, second) = (ago(2000), ago(1000));
    journal.append(first, &[Tag(1), Tag(2)]).await.unwrap();
    journal.append(second, &[Tag(2), Tag(3)]).await.unwrap();
    journal.append(second, &[]).await.unwrap();
    let expected = [(Tag(1), first), (Tag(2), second), (Tag(3), second)];
    assert_eq!(sorted(&epochs), expected);
    drop(journal);
    for _ in 0..3 {
        let (_, epochs) = open(folder.path(), true);
        assert_eq!(sorted(&epochs), expected);
        assert_eq!(epochs.export().0, Stamp(0));
        assert_eq!(epochs.stamp(), second);
    }
}

#[tokio::test]
async fn numbers_outlive_what_is_dropped_for_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, epochs) = open(folder.path(), false);
    let old = ago(2 * LIFE.as_micros() as u64);
    let ahead = Stamp(clock().0 + 1_000_000_000);
    epochs.advance(ahead);
    journal.append(old, &[Tag(1)]).await.unwrap();
    let (_, _) = open(folder.path(), true);
    let (_, epochs) = open(folder.path(), true);
    assert_eq!(sorted(&epochs), []);
    drop(journal);
    let (journal, epochs) = open(folder.path(), true);
    epochs.advance(ahead);
    journal.append(ago(10), &[Tag(2)]).await.unwrap();
    lock(&journal.inner.file).bytes_max = 0;
    journal.append(ago(5), &[Tag(3)]).await.unwrap();
    let (_, epochs) = open(folder.path(), true);
    assert_eq!(epochs.stamp(), ahead);
    assert_eq!(sorted(&epochs).len(), 2);
}

#[tokio::test]
async fn a_grown_file_is_written_anew_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), false);
    let tags: Vec<Tag> = (1..=2500).map(Tag).collect();
    for number in 0..100 {
        journal.append(ago(1_000_000 - number), &tags).await.unwrap();
    }
    let bytes = std::fs::metadata(folder.path().join(NAME)).unwrap().len();
    assert!(bytes < BYTES_MAX, "{bytes}");
    let (_, epochs) = open(folder.path(), true);
    assert_eq!(sorted(&epochs).len(), 2500);
}

#[tokio::test]
async fn many_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), false);
    let mut tasks = tokio::task::JoinSet::new();
    for tag in 1..=500 {
        let journal = journal.clone();
        tasks.spawn(async move { journal.append(ago(tag), &[Tag(tag)]).await });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
    // One that is dropped at once is carried out all the same.
    let _ = tokio::time::timeout(Duration::ZERO, journal.append(ago(1), &[Tag(1000)])).await;
    journal.append(ago(0), &[Tag(1001)]).await.unwrap();
    let (_, epochs) = open(folder.path(), true);
    assert_eq!(sorted(&epochs).len(), 502);
}

#[tokio::test]
async fn a_file_torn_anywhere_gives_what_was_whole_before() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), false);
    let path = folder.path().join(NAME);
    let mut ends = vec![std::fs::metadata(&path).unwrap().len() as usize];
    for tag in 1..6 {
        journal.append(ago(100 - tag), &[Tag(tag), Tag(tag + 10)]).await.unwrap();
        ends.push(std::fs::metadata(&path).unwrap().len() as usize);
    }
    let whole = std::fs::read(&path).unwrap();
    for cut in MAGIC.len()..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (_, epochs) = open(folder.path(), true);
        let records = ends.iter().skip(1).filter(|end| **end <= cut).count();
        assert_eq!(sorted(&epochs).len(), 2 * records, "{cut}");
        assert_eq!(epochs.export().0, Stamp(0), "{cut}: no floor for what is torn");
    }
}

#[tokio::test]
async fn a_file_damaged_before_its_end_invalidates_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), false);
    for tag in 1..6 {
        journal.append(ago(100 - tag), &[Tag(tag)]).await.unwrap();
    }
    let path = folder.path().join(NAME);
    let whole = std::fs::read(&path).unwrap();
    let last = whole.len() - (HEAD_BYTES + 8 + CHECKSUM_BYTES);
    for at in 0..whole.len() {
        let before = clock();
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, damaged).unwrap();
        let (_, epochs) = open(folder.path(), true);
        assert_eq!(epochs.export().0 >= before, at < last, "{at}");
        if at >= last {
            assert_eq!(sorted(&epochs).len(), 4, "{at}: what is last may have been torn");
        }
    }
}

#[tokio::test]
async fn a_missing_file_beside_data_invalidates_everything() {
    for data in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let before = clock();
        let (_, epochs) = open(folder.path(), data);
        assert_eq!(epochs.export().0 >= before, data);
    }
}

#[tokio::test]
async fn what_cannot_be_appended_to_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), false);
    // A file that is open for reading only refuses as a full disk does.
    lock(&journal.inner.file).file = Some(File::open(folder.path().join(NAME)).unwrap());
    assert!(matches!(journal.append(ago(1), &[Tag(1)]).await, Err(Error::Refused(_))));
    assert!(!folder.path().join(NAME).exists());
    assert_eq!(journal.append(ago(1), &[Tag(2)]).await, Err(Error::Tripped));
    lock(&journal.inner.file).failed_at = None;
    journal.append(ago(1), &[Tag(3)]).await.unwrap();
    let (_, epochs) = open(folder.path(), true);
    assert_eq!(sorted(&epochs).iter().map(|(tag, _)| tag.0).collect::<Vec<_>>(), [1, 2, 3]);
}
