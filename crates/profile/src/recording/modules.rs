//! The files that the process' code comes from: where each lies in memory, how its stacks are walked, what its functions
//! are called. A file that cannot be read, as the kernel's own pages cannot, has neither walk nor names.

use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ReadCache, SymbolKind};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// What can be told of an address.
#[derive(Default)]
pub struct Modules {
    modules: Vec<Module>,
}

/// One file of code.
pub struct Module {
    /// The file's name without its folders.
    name: String,
    /// Where it is mapped, from its first byte to its last.
    pub range: std::ops::Range<u64>,
    /// What is added to the file's addresses.
    pub bias: u64,
    /// Its sections of use here, by name: address and bytes.
    pub sections: BTreeMap<&'static str, (u64, Vec<u8>)>,
    /// First address, end and name of each function, ascending.
    functions: Vec<(u64, u64, String)>,
    /// Whether it is the program.
    is_program: bool,
}

const SECTIONS: [&str; 4] = [".text", ".eh_frame", ".eh_frame_hdr", ".got"];

/// One line of `/proc/self/maps`.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    range: std::ops::Range<u64>,
    is_writable: bool,
    is_code: bool,
    offset: u64,
    path: &'a str,
}

fn mapping(line: &str) -> Option<Mapping<'_>> {
    let mut fields = line.splitn(6, ' ').map(str::trim);
    let (range, rights, offset) = (fields.next()?, fields.next()?, fields.next()?);
    let path = fields.nth(2).unwrap_or_default();
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let (first, end) = range.split_once('-')?;
    Some(Mapping {
        range: number(first)?..number(end)?,
        is_writable: rights.contains('w'),
        is_code: rights.contains('x'),
        offset: number(offset)?,
        path,
    })
}

/// Where memory is writable: first address and end of each such range, from `/proc/self/maps`.
pub fn writable(maps: &str) -> Vec<(u64, u64)> {
    let writable = maps.lines().filter_map(mapping).filter(|mapping| mapping.is_writable);
    writable.map(|mapping| (mapping.range.start, mapping.range.end)).collect()
}

impl Modules {
    /// All files that code is mapped from, from `/proc/self/maps`. Reads their sections, and the names of functions.
    pub fn load(maps: &str) -> Self {
        let mut files: BTreeMap<&str, Vec<Mapping<'_>>> = BTreeMap::new();
        for mapping in maps.lines().filter_map(mapping).filter(|mapping| mapping.path.starts_with('/')) {
            files.entry(mapping.path).or_default().push(mapping);
        }
        let program = std::env::current_exe().unwrap_or_default();
        let modules =
            files.into_iter().filter(|(_, mappings)| mappings.iter().any(|mapping| mapping.is_code));
        let modules = modules.filter_map(|(path, mappings)| module(path, &mappings, &program)).collect();
        Self { modules }
    }

    /// Each file.
    pub fn iter(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter()
    }

    /// Whether the program's own functions have names.
    pub fn named(&self) -> bool {
        self.modules.iter().any(|module| module.is_program && module.functions.len() > 100)
    }

    /// The function at an address, or the file and the offset in it, or the address.
    pub fn name(&self, address: u64) -> String {
        let Some(module) = self.modules.iter().find(|module| module.range.contains(&address)) else {
            return format!("0x{address:x}");
        };
        let within = address.wrapping_sub(module.bias);
        let at = module.functions.partition_point(|(first, _, _)| *first <= within);
        match module.functions[..at].last() {
            Some((_, end, name)) if within < *end => format!("{:#}", rustc_demangle::demangle(name)),
            _ => format!("{}+0x{within:x}", module.name),
        }
    }
}

fn module(path: &str, mappings: &[Mapping<'_>], program: &Path) -> Option<Module> {
    let is_program = Path::new(path) == program;
    // The program's own file may have been replaced since, by the next release.
    let file = if is_program { File::open("/proc/self/exe") } else { File::open(path) }.ok()?;
    let cache = ReadCache::new(file);
    let file = object::File::parse(&cache).ok()?;
    let first = mappings.first()?;
    let within = |segment: &object::Segment<'_, '_, _>| {
        let (offset, size) = segment.file_range();
        (offset & !0xfff..offset + size).contains(&first.offset)
    };
    let segment = file.segments().find(within)?;
    let address = segment.address().wrapping_sub(segment.file_range().0).wrapping_add(first.offset);
    let section = |name: &'static str| {
        let section = file.section_by_name(name)?;
        // Only where code lies is of interest of the code itself, which may be large.
        let bytes = if name == ".text" { Vec::new() } else { section.data().ok()?.to_vec() };
        Some((name, (section.address(), bytes)))
    };
    Some(Module {
        name: Path::new(path).file_name()?.to_string_lossy().into_owned(),
        range: first.range.start..mappings.last()?.range.end,
        bias: first.range.start.wrapping_sub(address),
        sections: SECTIONS.into_iter().filter_map(section).collect(),
        functions: functions(&file),
        is_program,
    })
}

fn functions<'data, R: object::ReadRef<'data>>(file: &object::File<'data, R>) -> Vec<(u64, u64, String)> {
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let functions = symbols.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.address() > 0);
    let function = |symbol: object::Symbol<'data, '_, R>| {
        let (address, size) = (symbol.address(), symbol.size().max(1));
        Some((address, address + size, symbol.name().ok()?.to_owned()))
    };
    let mut functions: Vec<_> = functions.filter_map(function).collect();
    functions.sort_unstable();
    functions.dedup_by_key(|(first, _, _)| *first);
    functions
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Modules, mapping, writable};
    use std::fs;

    #[test]
    fn lines_of_maps_are_understood() {
        let line = "7f00-7f10 r-xp 00001000 fe:00 1234                     /usr/lib/a b.so";
        let found = mapping(line).unwrap();
        assert_eq!((found.range, found.offset, found.path), (0x7f00..0x7f10, 0x1000, "/usr/lib/a b.so"));
        assert!(found.is_code && !found.is_writable);
        assert_eq!(mapping("nonsense"), None);
        let maps = "1000-2000 rw-p 00000000 00:00 0 \n2000-3000 r--p 00000000 00:00 0 \n5000-6000 rw-p 00000000 00:00 0 [stack]\n";
        assert_eq!(writable(maps), [(0x1000, 0x2000), (0x5000, 0x6000)]);
    }

    #[test]
    fn a_function_of_this_program_is_found_by_its_address() {
        let modules = Modules::load(&fs::read_to_string("/proc/self/maps").unwrap());
        assert!(modules.named());
        let address = a_function_of_this_program_is_found_by_its_address as fn() as usize as u64;
        let name = modules.name(address);
        assert!(name.contains("a_function_of_this_program"), "{name}");
        assert_eq!(modules.name(0x10), "0x10");
    }
}
