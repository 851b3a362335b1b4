//! Reads a scenario, runs it, and holds its figures against their ranges: as it is written, and once more
//! broken as it says.

use super::figures::Figures;
use super::file::{Expect, File};
use super::world::World;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the scenario of this name as it is, where every figure must be in its range, and broken, where at
/// least one must not.
pub fn scenario(name: &str) {
    let table = read(name);
    let misses = misses(name, &table);
    assert!(misses.is_empty(), "{name}: {}", misses.join("; "));
    let broken = format!("{name}, broken");
    let misses = self::misses(&broken, &merged(&table, &file(name, &table).fails_with));
    assert!(!misses.is_empty(), "{broken}: holds all the same, so it shows nothing");
}

/// The names of all scenarios.
pub fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("a folder of scenarios").map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// Everything that happens in the scenario of this name.
pub fn run(name: &str) -> Figures {
    World::run(file(name, &read(name)))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn read(name: &str) -> toml::Table {
    let path = folder().join(name).with_extension("toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn file(name: &str, table: &toml::Table) -> File {
    table.clone().try_into().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs it and tells which figures miss their range.
fn misses(name: &str, table: &toml::Table) -> Vec<String> {
    let file = file(name, table);
    println!("\n{name}: {}", file.about);
    let expectations = file.expect.clone();
    let figures = World::run(file);
    expectations.iter().filter_map(|expect| miss(expect, figures.figure(expect))).collect()
}

fn miss(expect: &Expect, figure: Option<f64>) -> Option<String> {
    let (least, most) = expect.is;
    let holds = figure.is_some_and(|figure| (least..=most).contains(&figure));
    let whose = [
        expect.tenant.map(|tenant| format!("tenant {tenant}")),
        expect.band.map(|band| format!("{band:?}")),
        (expect.upstream > 0).then(|| format!("upstream {}", expect.upstream)),
    ];
    let whose = whose.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let until = expect.until.map_or(String::new(), |until| format!("{until}"));
    let span = format!("{}..{until} s", expect.from);
    let told = figure.map_or("nothing".to_owned(), |figure| format!("{figure:.4}"));
    let line = format!("{:18} {whose:9} {span:12} {told:>10} in {least} to {most}", expect.what);
    println!("{} {line}", if holds { "  " } else { "✗ " });
    (!holds).then_some(line)
}

/// The table with another laid over it: tables go into tables, all else replaces what was there; in a list
/// of tables the first is meant.
fn merged(below: &toml::Table, above: &toml::Table) -> toml::Table {
    let mut table = below.clone();
    for (key, value) in above {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => *old = merged(old, new),
            (Some(toml::Value::Array(old)), toml::Value::Table(new)) => {
                let Some(toml::Value::Table(first)) = old.first_mut() else { panic!("{key}: not tables") };
                *first = merged(first, new);
            }
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
    table
}
