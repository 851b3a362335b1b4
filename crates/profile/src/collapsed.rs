//! Stacks as lines: `thread;outermost;…;innermost count`.

use crate::Profile;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The lines, in the order of their text. Addresses of one function are one.
pub fn of(profile: &Profile) -> String {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for stack in &profile.stacks {
        let names = stack.frames.iter().map(|frame| frame.name.as_str());
        // What parts frames and counts may not stand in a name.
        let words =
            std::iter::once(stack.thread.as_str()).chain(names).map(|name| name.replace([';', '\n'], ":"));
        *lines.entry(words.collect::<Vec<_>>().join(";")).or_default() += stack.count;
    }
    let mut text = String::new();
    for (line, count) in lines {
        let _ = writeln!(text, "{line} {count}");
    }
    text
}
