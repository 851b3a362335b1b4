//! Which files a configuration is read from, and that none of their changes is lost.

use super::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::io::Write as _;

#[test]
fn every_file_read_is_among_the_inputs() {
    let given = Given::toml("[providers.openai]\napi_key = '${file:key}'\nca_file = 'ca.pem'\n")
        .beside("key", "sk-1\n")
        .beside("ca.pem", &exposure::certificate().0);
    let loaded = given.loaded();
    assert!(loaded.inputs.paths().eq(["ca.pem", "key", "tidegate.toml"].map(|name| given.path(name))));
    assert_eq!(loaded.path, Some(given.path("tidegate.toml")));
}

#[test]
fn a_refused_configuration_still_says_what_to_watch() {
    let cases: [(&str, &[&str]); 4] = [
        ("nope = 1\ndata = '${file:key}'\n", &["key", "tidegate.toml"]),
        ("[server", &["tidegate.toml"]),
        ("data = '${file:missing}'\n", &["missing", "tidegate.toml"]),
        ("[server.tls]\ncert = 'missing.pem'\nkey = 'key'\n", &["key", "missing.pem", "tidegate.toml"]),
    ];
    for (text, watched) in cases {
        let given = Given::toml(text).beside("key", "x");
        let faults = given.faults();
        assert!(faults.inputs().paths().eq(watched.iter().map(|name| given.path(name))), "{faults}");
    }
    let given = Given::toml("");
    let missing = Sources { path: Some(given.path("missing.toml")), ..Sources::default() };
    assert!(Config::load(&missing).err().unwrap().inputs().paths().eq([given.path("missing.toml")]));
}

#[test]
fn what_is_written_while_a_configuration_is_read_has_changed_since() {
    for (text, is_sound) in [("", true), ("nope = 1\n", false)] {
        let text = format!("{text}data = '${{file:pipe}}'\n");
        let given = Given::toml(&text);
        let pipe = given.path("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let loaded = std::thread::scope(|threads| {
            let file = given.path("tidegate.toml");
            threads.spawn(move || {
                // Opened once the other end is: the file itself has been read by then.
                let mut pipe = std::fs::File::options().write(true).open(pipe).unwrap();
                std::fs::write(file, "data = 'elsewhere'\n").unwrap();
                pipe.write_all(b"here").unwrap();
            });
            given.load()
        });
        assert_eq!(loaded.is_ok(), is_sound);
        let inputs = loaded.map_or_else(|faults| faults.inputs().clone(), |loaded| loaded.inputs);
        assert!(inputs.have_changed());
    }
}
