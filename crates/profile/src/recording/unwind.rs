//! From saved registers and stack bytes to the addresses of the functions that were under way.

use super::modules::{Module, Modules};
use super::signal::HEADER_WORDS;
use framehop::{CacheNative, ExplicitModuleSectionInfo, MayAllocateDuringUnwind, UnwindRegsNative};
use framehop::{Unwinder as _, UnwinderNative};

/// Frames of one stack, at most.
const DEPTH_MAX: usize = 256;
const WORD: usize = size_of::<u64>();

/// Walks stacks of this process.
pub struct Walker {
    unwinder: UnwinderNative<Vec<u8>, MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

/// One sample, as the handler sent it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The thread's number.
    pub thread: u64,
    registers: [u64; HEADER_WORDS - 1],
    stack: &'a [u8],
}

impl<'a> Sample<'a> {
    /// `None` for what is too short to be one.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, stack) = bytes.split_at_checked(HEADER_WORDS * WORD)?;
        let mut words =
            header.chunks_exact(WORD).filter_map(|word| Some(u64::from_ne_bytes(word.try_into().ok()?)));
        let thread = words.next()?;
        let registers = [words.next()?, words.next()?, words.next()?, words.next()?];
        Some(Self { thread, registers, stack })
    }

    fn word_at(&self, address: u64) -> Result<u64, ()> {
        let [_, stack, ..] = self.registers;
        let at = usize::try_from(address.checked_sub(stack).ok_or(())?).map_err(|_| ())?;
        let word = self.stack.get(at..at.checked_add(WORD).ok_or(())?).ok_or(())?;
        Ok(u64::from_ne_bytes(word.try_into().map_err(|_| ())?))
    }
}

impl Walker {
    /// Knows these files' code.
    pub fn new(modules: &Modules) -> Self {
        let mut unwinder = UnwinderNative::new();
        modules.iter().for_each(|module| unwinder.add_module(unwindable(module)));
        Self { unwinder, cache: CacheNative::new() }
    }

    /// The addresses, the innermost first. A return address is made one of the call. A stack that was not walked to its
    /// end ends with 0: as much of it as was saved is not enough, or it leads through code without tables.
    pub fn walk(&mut self, sample: &Sample<'_>) -> Vec<u64> {
        let mut read = |address| sample.word_at(address);
        let [instruction, ..] = sample.registers;
        let mut frames =
            self.unwinder.iter_frames(instruction, registers(sample), &mut self.cache, &mut read);
        let mut addresses = Vec::new();
        loop {
            match frames.next() {
                Ok(Some(frame)) if addresses.len() < DEPTH_MAX => addresses.push(frame.address_for_lookup()),
                Ok(None) => break,
                _ => {
                    addresses.push(0);
                    break;
                }
            }
        }
        addresses
    }
}

#[cfg(target_arch = "x86_64")]
fn registers(sample: &Sample<'_>) -> UnwindRegsNative {
    let [instruction, stack, frame, _] = sample.registers;
    UnwindRegsNative::new(instruction, stack, frame)
}

#[cfg(target_arch = "aarch64")]
fn registers(sample: &Sample<'_>) -> UnwindRegsNative {
    let [_, stack, frame, link] = sample.registers;
    UnwindRegsNative::new(link, stack, frame)
}

fn unwindable(module: &Module) -> framehop::Module<Vec<u8>> {
    let range = |name| {
        let (address, bytes) = module.sections.get(name)?;
        Some(*address..address + bytes.len() as u64)
    };
    let bytes = |name| Some(module.sections.get(name)?.1.clone());
    let sections = ExplicitModuleSectionInfo {
        base_svma: 0,
        got_svma: range(".got"),
        eh_frame_svma: range(".eh_frame"),
        eh_frame: bytes(".eh_frame"),
        eh_frame_hdr_svma: range(".eh_frame_hdr"),
        eh_frame_hdr: bytes(".eh_frame_hdr"),
        ..Default::default()
    };
    framehop::Module::new(String::new(), module.range.clone(), module.bias, sections)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Sample;

    #[test]
    fn a_sample_reads_its_own_stack_and_nothing_beyond() {
        let words: [u64; 8] = [7, 0x400, 0x1000, 0x1010, 0, 11, 12, 13];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let sample = Sample::parse(&bytes).unwrap();
        assert_eq!(sample.thread, 7);
        for (address, word) in
            [(0x1000, Ok(11)), (0x1010, Ok(13)), (0x1011, Err(())), (0xff8, Err(())), (u64::MAX, Err(()))]
        {
            assert_eq!(sample.word_at(address), word, "{address:x}");
        }
        assert!(Sample::parse(&bytes[..39]).is_none());
    }
}
