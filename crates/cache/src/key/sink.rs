//! The hash that a key is, fed piece by piece.

/// The hash, with pieces gathered before it: a call costs more than a short copy, and many chunks in one
/// call are hashed side by side.
pub(super) struct Sink {
    key: [u8; 32],
    gathered: Vec<u8>,
    /// Where more than [`GATHERED_BYTES`] came.
    hasher: Option<blake3::Hasher>,
}

/// Sixteen of BLAKE3's chunks: as many as the widest vectors hash at once.
const GATHERED_BYTES: usize = 16 << 10;

impl Sink {
    /// A hash with `key`, of about `expected` bytes.
    pub(super) fn new(key: &[u8; 32], expected: usize) -> Self {
        Self { key: *key, gathered: Vec::with_capacity(expected.min(GATHERED_BYTES)), hasher: None }
    }

    /// A part with its length before it.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.push(&(bytes.len() as u64).to_le_bytes());
        self.push(bytes);
    }

    /// A piece of what has no length of its own.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() <= GATHERED_BYTES {
            self.gathered.extend_from_slice(bytes);
        } else {
            self.push_on(bytes);
        }
    }

    #[cold]
    fn push_on(&mut self, bytes: &[u8]) {
        let hasher = self.hasher.get_or_insert_with(|| blake3::Hasher::new_keyed(&self.key));
        let (first, rest) = bytes.split_at(GATHERED_BYTES - self.gathered.len());
        self.gathered.extend_from_slice(first);
        hasher.update(&self.gathered);
        self.gathered.clear();
        if rest.len() < GATHERED_BYTES {
            self.gathered.extend_from_slice(rest);
        } else {
            hasher.update(rest);
        }
    }

    pub(super) fn finish(self) -> [u8; 32] {
        let hash = match self.hasher {
            None => blake3::keyed_hash(&self.key, &self.gathered),
            Some(mut hasher) => hasher.update(&self.gathered).finalize(),
        };
        *hash.as_bytes()
    }
}
