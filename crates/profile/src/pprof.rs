//! The profile as `pprof` reads it: protobuf's `perftools.profiles.Profile`, gzipped, after
//! <https://github.com/google/pprof/blob/main/proto/profile.proto>. A dozen fields, written by hand.

use crate::{Frame, Profile};
use flate2::{Compression, write::GzEncoder};
use std::collections::HashMap;
use std::io::{self, Write as _};

/// The bytes.
pub fn of(profile: &Profile) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&message(profile))?;
    gzip.finish()
}

/// The fields of `Profile` that are written.
mod field {
    pub const SAMPLE_TYPE: u64 = 1;
    pub const SAMPLE: u64 = 2;
    pub const LOCATION: u64 = 4;
    pub const FUNCTION: u64 = 5;
    pub const STRINGS: u64 = 6;
    pub const DURATION_NANOS: u64 = 10;
    pub const PERIOD_TYPE: u64 = 11;
    pub const PERIOD: u64 = 12;
}

pub(crate) fn message(profile: &Profile) -> Vec<u8> {
    let (mut strings, mut places) = (Strings::default(), Places::default());
    let period = 1_000_000_000 / u64::from(profile.hertz.max(1));
    let mut out = Message::default();
    let samples = value_type(&mut strings, "samples", "count");
    let time = value_type(&mut strings, "cpu", "nanoseconds");
    out.message(field::SAMPLE_TYPE, &samples);
    out.message(field::SAMPLE_TYPE, &time);
    for stack in &profile.stacks {
        let mut sample = Message::default();
        // The innermost comes first here.
        for frame in stack.frames.iter().rev() {
            sample.number(1, places.of(frame));
        }
        sample.number(2, stack.count);
        sample.number(2, stack.count * period);
        let mut label = Message::default();
        label.number(1, strings.of("thread"));
        label.number(2, strings.of(&stack.thread));
        sample.message(3, &label);
        out.message(field::SAMPLE, &sample);
    }
    places.write(&mut out, &mut strings);
    out.number(field::DURATION_NANOS, u64::try_from(profile.span.as_nanos()).unwrap_or(u64::MAX));
    out.message(field::PERIOD_TYPE, &time);
    out.number(field::PERIOD, period);
    for text in &strings.all {
        out.bytes(field::STRINGS, text.as_bytes());
    }
    out.0
}

fn value_type(strings: &mut Strings, kind: &str, unit: &str) -> Message {
    let mut value = Message::default();
    value.number(1, strings.of(kind));
    value.number(2, strings.of(unit));
    value
}

/// Every address, by its number from 1, with its function's.
#[derive(Default)]
struct Places {
    by_frame: HashMap<Frame, u64>,
    frames: Vec<Frame>,
}

impl Places {
    fn of(&mut self, frame: &Frame) -> u64 {
        if let Some(number) = self.by_frame.get(frame) {
            return *number;
        }
        self.frames.push(frame.clone());
        let number = self.frames.len() as u64;
        self.by_frame.insert(frame.clone(), number);
        number
    }

    fn write(&self, out: &mut Message, strings: &mut Strings) {
        let mut functions: HashMap<&str, u64> = HashMap::new();
        for (number, frame) in (1..).zip(&self.frames) {
            let next = functions.len() as u64 + 1;
            let function = *functions.entry(&frame.name).or_insert(next);
            if function == next {
                let mut of = Message::default();
                of.number(1, function);
                of.number(2, strings.of(&frame.name));
                of.number(3, strings.of(&frame.name));
                out.message(field::FUNCTION, &of);
            }
            let (mut location, mut line) = (Message::default(), Message::default());
            line.number(1, function);
            location.number(1, number);
            location.number(3, frame.address);
            location.message(4, &line);
            out.message(field::LOCATION, &location);
        }
    }
}

/// Texts by number; the first is empty, as the format has it.
struct Strings {
    by_text: HashMap<String, u64>,
    all: Vec<String>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { by_text: HashMap::from([(String::new(), 0)]), all: vec![String::new()] }
    }
}

impl Strings {
    fn of(&mut self, text: &str) -> u64 {
        let next = self.all.len() as u64;
        let number = *self.by_text.entry(text.to_owned()).or_insert(next);
        if number == next {
            self.all.push(text.to_owned());
        }
        number
    }
}

/// A message of protobuf, as its bytes.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
