//! One recording: the thread that receives samples and counts stacks, from its beginning to its end.

mod modules;
mod signal;
mod unwind;

use crate::{Error, Frame, Profile, Stack};
use modules::{Modules, writable};
use signal::{HEADER_WORDS, STACK_BYTES_MAX};
use std::collections::HashMap;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io};
use unwind::{Sample, Walker};

/// Different stacks that are told apart; beyond them samples are lost.
const STACKS_MAX: usize = 10_000;
/// How long the thread waits for a sample before it looks whether it is to end.
const WAIT: Duration = Duration::from_millis(50);

/// There is one at a time in a process: there is one timer, and one handler.
static BUSY: AtomicBool = AtomicBool::new(false);

/// A recording under way. Whoever drops it calls it off.
#[derive(Debug)]
pub struct Recording {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Profile>>>,
}

/// The right to record. The recording's thread has it, so that another begins when that one has ended.
#[derive(Debug)]
struct Turn;

impl Turn {
    fn take() -> Result<Self, Error> {
        if BUSY.swap(true, Ordering::Acquire) { Err(Error::Busy) } else { Ok(Self) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

impl Recording {
    /// Begins to sample every running thread, `hertz` times for each second of processor time it uses (1 to 1000). The
    /// first samples come when the program's own tables are read, a moment later.
    ///
    /// # Errors
    /// [`Error::Busy`] while another is under way; [`Error::System`] where the system refuses.
    pub fn begin(hertz: u32) -> Result<Self, Error> {
        let turn = Turn::take()?;
        let receiver = signal::receiver()?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("profiler".to_owned()).spawn(move || {
            let _turn = turn;
            record(receiver, hertz, &told)
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it and names what was found. It waits for that, up to a second: not for a thread that serves.
    ///
    /// # Errors
    /// [`Error::System`] where the system refused the timer, or the recording's thread fell over.
    pub fn finish(mut self) -> Result<Profile, Error> {
        self.stop.store(true, Ordering::Relaxed);
        let fell = || io::Error::other("the profiler's thread fell over");
        let profile = self.thread.take().ok_or_else(fell)?.join().map_err(|_| fell())?;
        Ok(profile?)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What the recording's thread does.
fn record(receiver: &UnixDatagram, hertz: u32, stop: &AtomicBool) -> io::Result<Profile> {
    let mut modules = Modules::load(&fs::read_to_string("/proc/self/maps")?);
    // What a handler of the recording before sent late is not of this one.
    drain(receiver)?;
    receiver.set_read_timeout(Some(WAIT))?;
    let ranges = writable(&fs::read_to_string("/proc/self/maps")?);
    let walker = Walker::new(&modules);
    let began = Instant::now();
    signal::begin(hertz, &ranges)?;
    let mut counts = count(receiver, walker, stop);
    counts.lost += signal::end();
    let span = began.elapsed();
    modules.read_names();
    Ok(counts.named(&modules, hertz, span))
}

/// What was counted.
#[derive(Default)]
struct Counts {
    stacks: HashMap<(u64, Vec<u64>), u64>,
    names: HashMap<u64, String>,
    lost: u64,
}

fn drain(receiver: &UnixDatagram) -> io::Result<()> {
    receiver.set_nonblocking(true)?;
    let mut byte = [0];
    while receiver.recv(&mut byte).is_ok() {}
    receiver.set_nonblocking(false)
}

fn count(receiver: &UnixDatagram, mut walker: Walker, stop: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut buffer = vec![0; HEADER_WORDS * size_of::<u64>() + STACK_BYTES_MAX];
    while !stop.load(Ordering::Relaxed) {
        // Nothing came for a while, or a signal did.
        let Ok(length) = receiver.recv(&mut buffer) else { continue };
        let Some(sample) = Sample::parse(&buffer[..length]) else { continue };
        counts.add(&sample, &mut walker);
    }
    counts
}

impl Counts {
    fn add(&mut self, sample: &Sample<'_>, walker: &mut Walker) {
        let key = (sample.thread, walker.walk(sample));
        if self.stacks.len() >= STACKS_MAX && !self.stacks.contains_key(&key) {
            self.lost += 1;
            return;
        }
        self.names.entry(sample.thread).or_insert_with(|| {
            // A thread may be gone before it is asked for its name.
            let name = fs::read_to_string(format!("/proc/self/task/{}/comm", sample.thread));
            name.map_or_else(|_| format!("thread {}", sample.thread), |name| name.trim().to_owned())
        });
        *self.stacks.entry(key).or_default() += 1;
    }

    fn named(self, modules: &Modules, hertz: u32, span: Duration) -> Profile {
        let Self { stacks, names, lost } = self;
        let samples = stacks.values().sum();
        let mut known: HashMap<u64, String> = HashMap::new();
        let stacks = stacks.into_iter().map(|((thread, addresses), count)| {
            let frame = |address: u64| {
                let name = known.entry(address).or_insert_with(|| modules.name(address));
                Frame { name: name.clone(), address }
            };
            let frames = addresses.into_iter().rev().map(frame).collect();
            Stack { thread: names.get(&thread).cloned().unwrap_or_default(), frames, count }
        });
        let mut stacks: Vec<Stack> = stacks.collect();
        stacks.sort_unstable_by(|one, other| {
            other.count.cmp(&one.count).then_with(|| one.frames.cmp(&other.frames))
        });
        Profile { hertz, span, samples, lost, named: modules.named(), stacks }
    }
}
