//! The names of a file's functions, from its symbol tables. The tables are read whole and looked into: an entry is 24
//! bytes (System V ABI, *Symbol Table*), and of hundreds of thousands of names a few hundred are asked for.

use object::{Object as _, ObjectSection as _, ReadCache};
use std::fs::File;

/// The symbol tables and their texts: the whole one, which stripped files have not, and the one for the linker.
const TABLES: [(&str, &str); 2] = [(".symtab", ".strtab"), (".dynsym", ".dynstr")];
const ENTRY_BYTES: usize = 24;
/// The kinds of symbols that are functions: `STT_FUNC`, `STT_GNU_IFUNC`.
const FUNCTIONS: [u8; 2] = [2, 10];

/// A file's functions.
#[derive(Default)]
pub struct Functions {
    /// Ascending by address.
    found: Vec<Function>,
    /// The texts of either table.
    texts: [Vec<u8>; TABLES.len()],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    address: u64,
    bytes: u64,
    table: usize,
    /// Where its name begins among the table's texts.
    name: u32,
}

impl Functions {
    /// Reads a file's tables; those that it has not, or that are damaged, are empty.
    pub fn read(file: File) -> Self {
        let cache = ReadCache::new(file);
        let Ok(file) = object::File::parse(&cache) else { return Self::default() };
        let mut functions = Self::default();
        for (table, (symbols, texts)) in TABLES.into_iter().enumerate() {
            let bytes =
                |name| file.section_by_name(name).and_then(|section| section.data().ok()).unwrap_or_default();
            functions
                .found
                .extend(bytes(symbols).chunks_exact(ENTRY_BYTES).filter_map(|entry| function(entry, table)));
            functions.texts[table] = bytes(texts).to_vec();
        }
        functions.found.sort_unstable();
        functions
    }

    /// Whether the whole table was there: the linker's alone has what others call, which is next to nothing of a
    /// program.
    pub fn are_known(&self) -> bool {
        self.found.iter().any(|function| function.table == 0)
    }

    /// The name of the function at an address of the file's, for people to read.
    pub fn name(&self, address: u64) -> Option<String> {
        let after = self.found.partition_point(|function| function.address <= address);
        let function = self.found[..after]
            .last()
            .filter(|function| address - function.address < function.bytes.max(1))?;
        let text = self.texts[function.table].get(usize::try_from(function.name).ok()?..)?;
        let name = text.split(|byte| *byte == 0).next()?;
        Some(format!("{:#}", rustc_demangle::demangle(&String::from_utf8_lossy(name))))
    }
}

/// A table's entry, where it is a function that is in this file.
fn function(entry: &[u8], table: usize) -> Option<Function> {
    let number = |at: usize| Some(u64::from_le_bytes(entry.get(at..at + 8)?.try_into().ok()?));
    let name = u32::from_le_bytes(entry.get(..4)?.try_into().ok()?);
    let (address, bytes) = (number(8)?, number(16)?);
    (address > 0 && FUNCTIONS.contains(&(entry[4] & 0xf))).then_some(Function { address, bytes, table, name })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Function, Functions, function};

    #[test]
    fn entries_that_are_functions_are_known_by_their_addresses() {
        let entry = |kind: u8, address: u64, bytes: u64| {
            [&1_u32.to_le_bytes()[..], &[kind, 0, 7, 0], &address.to_le_bytes(), &bytes.to_le_bytes()]
                .concat()
        };
        let found = |kind, address| function(&entry(kind, address, 16), 0).map(|function| function.address);
        assert_eq!((found(0x12, 0x40), found(0x11, 0x40), found(0x12, 0)), (Some(0x40), None, None));
        let at = |address| Function { address, bytes: 16, table: 0, name: 1 };
        let functions =
            Functions { found: vec![at(0x40), at(0x80)], texts: [b"\0_ZN1a1bE\0rest".to_vec(), Vec::new()] };
        for (address, name) in [(0x3f, None), (0x40, Some("a::b")), (0x4f, Some("a::b")), (0x50, None)] {
            assert_eq!(functions.name(address).as_deref(), name, "{address:x}");
        }
    }
}
