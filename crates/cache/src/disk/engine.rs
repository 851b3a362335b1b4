//! foyer's block engine, held so that it does what a tier promises.
//!
//! What it does by itself, found in its source: it checks entries by a checksum on reading, and blocks' indices
//! on opening; reading and writing are plain calls on blocking threads, writing into the page cache. What it
//! does not, and who does: no write tells whether it succeeded (we look afterwards whether the index has it);
//! what does not fit its buffer is dropped (we hand in no more than fits); a failed write may leave its flusher
//! dead (we open it anew); a removed entry is served while it is being written, and an old one after a new one
//! was dropped (the queue before it, and a removal before each replacement).

use super::folder::{Folder, Geometry};
use super::mend::{self, Ages};
use super::queue::Write;
use crate::clock::Millis;
use crate::entry::codec::{self, Corrupt};
use crate::entry::{BODY_BYTES_MAX, Entry, INFO_BYTES_MAX};
use crate::key::Key;
use bytes::Bytes;
use foyer::{
    BlockEngineConfig, Code, DeviceBuilder, EvictionInfo, EvictionPicker, FsDeviceBuilder, HybridCache,
    HybridCacheBuilder, HybridCachePolicy, Load, PsyncIoEngineConfig, RecoverMode, Spawner,
};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::time::Duration;
use tokio::runtime::Handle;

/// Most bytes on disk that are written at once, and so of one entry.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// What the engine aligns everything to, and what its index of a blob takes.
const PAGE: usize = 4096;
/// What the engine writes before an entry, its key included, and some room.
const FRAME_BYTES: usize = 128;
/// Longest wait for a batch to be written. A disk this slow is left alone.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// An open engine.
pub(super) struct Engine {
    cache: HybridCache<Slot, Held>,
    /// Most bytes on disk of one batch.
    pub(super) batch_bytes: usize,
    compress_above: usize,
}

/// What a read found.
#[derive(Debug)]
pub(super) enum Found {
    /// An entry; it may be expired.
    Whole(Box<Entry>),
    /// Nothing.
    Nothing,
    /// Something that is not whole.
    Torn,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Entries written.
    pub(super) entries: u64,
    /// Entries too large.
    pub(super) large: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot(Key);

#[derive(Clone, Debug)]
struct Held(Bytes);

impl Engine {
    /// Opens the engine in the folder. Its tasks run on `runtime`.
    pub(super) async fn open(
        folder: &Folder,
        geometry: Geometry,
        compress_above: usize,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let ages = mend::mend(&folder.data(), geometry)?;
        let block_bytes = geometry.block as usize;
        let batch_bytes = BATCH_BYTES_MAX.min(block_bytes) - 2 * PAGE;
        let device = FsDeviceBuilder::new(folder.data()).with_capacity(geometry.capacity as usize);
        let blocks = BlockEngineConfig::new(device.build().map_err(io::Error::other)?)
            .with_block_size(block_bytes)
            .with_buffer_pool_size(batch_bytes + 2 * PAGE)
            .with_submit_queue_size_threshold(usize::MAX)
            .with_eviction_pickers(vec![Box::new(Oldest::new(&ages))])
            .with_tombstone_log(true);
        let building = HybridCacheBuilder::new()
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            .with_flush_on_close(false)
            .memory(1)
            .with_shards(1)
            .storage()
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_engine_config(blocks)
            .with_recover_mode(RecoverMode::Quiet)
            .with_spawner(Spawner::from(runtime.clone()))
            .build();
        // A task of its own, as recovery panics where one of its own tasks does.
        let cache = runtime.spawn(building).await?.map_err(io::Error::other)?;
        Ok(Self { cache, batch_bytes, compress_above })
    }

    /// Whether there may be an entry under `key`. Asks memory only.
    pub(super) fn may_hold(&self, key: &Key) -> bool {
        self.cache.storage().may_contains(&Slot(*key))
    }

    /// What is under `key`.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub(super) async fn read(&self, key: &Key) -> io::Result<Found> {
        let slot = Slot(*key);
        if !self.may_hold(key) {
            return Ok(Found::Nothing);
        }
        let held = match self.cache.storage().load(&slot).await {
            Ok(Load::Entry { value, .. }) => value.0,
            Ok(Load::Piece { piece, .. }) => piece.value().0.clone(),
            // The engine forgets what it finds torn.
            Ok(Load::Miss) if self.may_hold(key) => return Ok(Found::Nothing),
            Ok(Load::Miss) => return Ok(Found::Torn),
            Ok(Load::Throttled) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => return refused_or_torn(&error),
        };
        match codec::decode(key, held) {
            Ok(entry) => Ok(Found::Whole(Box::new(entry))),
            Err(Corrupt::Form | Corrupt::Length | Corrupt::Checksum) => Ok(Found::Torn),
        }
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// Where a write failed or none of them ended in time. What the engine does after that is not to be relied
    /// on.
    pub(super) async fn write(&self, batch: &[(Key, Write)]) -> io::Result<Written> {
        let mut written = Written::default();
        let mut put = Vec::new();
        for (key, write) in batch {
            // Also before a put: what is replaced must not come back once its successor is evicted.
            if self.may_hold(key) {
                self.cache.storage().delete(&Slot(*key));
            }
            let Write::Put(entry) = write else { continue };
            if entry.is_expired(Millis::now()) {
                continue;
            }
            let bytes = self.encode(key, entry);
            if bytes.len() + FRAME_BYTES > self.batch_bytes {
                written.large += 1;
                continue;
            }
            self.cache.storage_writer(Slot(*key)).force().insert(Held(bytes));
            put.push(key);
            // Others read meanwhile.
            tokio::task::yield_now().await;
        }
        let flushed = tokio::time::timeout(WRITE_MAX, self.cache.storage().wait()).await;
        flushed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        if put.iter().all(|key| self.may_hold(key)) {
            Ok(Written { entries: put.len() as u64, ..written })
        } else {
            Err(io::Error::other("the engine gave a write up"))
        }
    }

    /// Lets the engine end its work.
    pub(super) async fn close(&self) {
        let _ = tokio::time::timeout(WRITE_MAX, self.cache.close()).await;
    }

    fn encode(&self, key: &Key, entry: &Entry) -> Bytes {
        match entry.body.compress(self.compress_above) {
            std::borrow::Cow::Borrowed(_) => codec::encode(key, entry),
            std::borrow::Cow::Owned(body) => {
                let entry = Entry { body, tags: entry.tags.clone(), info: entry.info.clone(), ..*entry };
                codec::encode(key, &entry)
            }
        }
    }
}

/// The engine tells of damage in many ways. Only what the system refused is the disk's.
fn refused_or_torn(error: &foyer::Error) -> io::Result<Found> {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source.and_then(io::Error::raw_os_error) {
        Some(code) => Err(io::Error::from_raw_os_error(code)),
        None if error.kind() == foyer::ErrorKind::Join => Err(io::ErrorKind::BrokenPipe.into()),
        None => Ok(Found::Torn),
    }
}

impl Code for Slot {
    fn encode(&self, writer: &mut impl io::Write) -> foyer::Result<()> {
        writer.write_all(self.0.as_bytes()).map_err(foyer::Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        let mut bytes = [0; 32];
        reader.read_exact(&mut bytes).map_err(foyer::Error::io_error)?;
        Ok(Self(Key::from_bytes(bytes)))
    }

    fn estimated_size(&self) -> usize {
        self.0.as_bytes().len()
    }
}

impl Code for Held {
    fn encode(&self, writer: &mut impl io::Write) -> foyer::Result<()> {
        writer.write_all(&self.0).map_err(foyer::Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        // Bounded, as damage may have turned it into something that the engine takes for compressed.
        let bytes_max = (BODY_BYTES_MAX + INFO_BYTES_MAX + PAGE) as u64;
        let mut bytes = Vec::new();
        reader.take(bytes_max).read_to_end(&mut bytes).map_err(foyer::Error::io_error)?;
        Ok(Self(bytes.into()))
    }

    fn estimated_size(&self) -> usize {
        self.0.len()
    }
}

/// Evicts the block that was begun first, over restarts too.
#[derive(Debug)]
struct Oldest {
    /// Blocks that can be evicted, by the order in which they were begun.
    order: BTreeSet<(u64, u32)>,
    /// When the blocks that were there at the start were begun.
    ages: Ages,
    /// The order of the next block that fills.
    next: u64,
}

impl Oldest {
    fn new(ages: &Ages) -> Self {
        let next = ages.values().max().map_or(0, |last| last.saturating_add(1));
        Self { order: BTreeSet::new(), ages: ages.clone(), next }
    }
}

impl EvictionPicker for Oldest {
    fn pick(&mut self, _: EvictionInfo<'_>) -> Option<u32> {
        self.order.first().map(|(_, block)| *block)
    }

    fn on_block_evictable(&mut self, _: EvictionInfo<'_>, block: u32) {
        let age = self.ages.remove(&block).unwrap_or_else(|| {
            self.next = self.next.saturating_add(1);
            self.next
        });
        self.order.insert((age, block));
    }

    fn on_block_evict(&mut self, _: EvictionInfo<'_>, block: u32) {
        self.order.retain(|(_, other)| *other != block);
    }
}
