//! The files that the process' code comes from: where each lies in memory, how its stacks are walked, what its functions
//! are called. A file that cannot be read, as the kernel's own pages cannot, has neither walk nor names.

mod functions;

use functions::Functions;
use object::{Object as _, ObjectSection as _, ObjectSegment as _, ReadCache};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What can be told of an address.
#[derive(Default)]
pub struct Modules {
    modules: Vec<Module>,
}

/// One file of code.
pub struct Module {
    /// The file as `/proc/self/maps` has it.
    path: PathBuf,
    /// Where it is mapped, from its first byte to its last.
    pub range: std::ops::Range<u64>,
    /// What is added to the file's addresses.
    pub bias: u64,
    /// Its sections of use here, by name: address and bytes.
    pub sections: BTreeMap<&'static str, (u64, Vec<u8>)>,
    /// Its functions, once they are read.
    functions: Functions,
    /// Whether it is the program.
    is_program: bool,
}

const SECTIONS: [&str; 3] = [".eh_frame", ".eh_frame_hdr", ".got"];

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
    /// All files that code is mapped from, from `/proc/self/maps`. Reads what stacks are walked by.
    pub fn load(maps: &str) -> Self {
        let mut files: BTreeMap<&str, Vec<Mapping<'_>>> = BTreeMap::new();
        for mapping in maps.lines().filter_map(mapping).filter(|mapping| mapping.path.starts_with('/')) {
            files.entry(mapping.path).or_default().push(mapping);
        }
        let program = std::env::current_exe().unwrap_or_default();
        let modules =
            files.into_iter().filter(|(_, mappings)| mappings.iter().any(|mapping| mapping.is_code));
        let modules =
            modules.filter_map(|(path, mappings)| module(Path::new(path), &mappings, &program)).collect();
        Self { modules }
    }

    /// Reads the names of functions, megabytes of them: when all else is done.
    pub fn read_names(&mut self) {
        for module in &mut self.modules {
            module.functions = open(&module.path, module.is_program).map(Functions::read).unwrap_or_default();
        }
    }

    /// Each file.
    pub fn iter(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter()
    }

    /// Whether the program's own functions have names.
    pub fn named(&self) -> bool {
        self.modules.iter().any(|module| module.is_program && module.functions.are_known())
    }

    /// The function at an address, or the file and the offset in it, or the address; 0 is where a walk ended too soon.
    pub fn name(&self, address: u64) -> String {
        if address == 0 {
            return "(cut short)".to_owned();
        }
        let Some(module) = self.modules.iter().find(|module| module.range.contains(&address)) else {
            return format!("0x{address:x}");
        };
        let within = address.wrapping_sub(module.bias);
        module.functions.name(within).unwrap_or_else(|| {
            let file = module.path.file_name().unwrap_or_default().to_string_lossy();
            format!("{file}+0x{within:x}")
        })
    }
}

/// The program's own file may have been replaced since, by the next release.
fn open(path: &Path, is_program: bool) -> Option<File> {
    File::open(if is_program { Path::new("/proc/self/exe") } else { path }).ok()
}

fn module(path: &Path, mappings: &[Mapping<'_>], program: &Path) -> Option<Module> {
    let is_program = path == program;
    let cache = ReadCache::new(open(path, is_program)?);
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
        Some((name, (section.address(), section.data().ok()?.to_vec())))
    };
    Some(Module {
        path: path.to_owned(),
        range: first.range.start..mappings.last()?.range.end,
        bias: first.range.start.wrapping_sub(address),
        sections: SECTIONS.into_iter().filter_map(section).collect(),
        functions: Functions::default(),
        is_program,
    })
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
        let mut modules = Modules::load(&fs::read_to_string("/proc/self/maps").unwrap());
        assert!(!modules.named());
        modules.read_names();
        assert!(modules.named());
        let address = a_function_of_this_program_is_found_by_its_address as fn() as usize as u64;
        let name = modules.name(address);
        assert!(name.contains("a_function_of_this_program"), "{name}");
        assert_eq!((modules.name(0x10).as_str(), modules.name(0).as_str()), ("0x10", "(cut short)"));
    }
}
