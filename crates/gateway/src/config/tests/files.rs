//! How many connections there may be where nobody says, and what is told where the system does not allow them.

use super::*;

/// The bound of all connections to providers, that of one provider, and what is warned of.
fn bounds(given: &Given) -> (usize, usize, Vec<String>) {
    let loaded = given.loaded();
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    let provider = loaded.config.providers["sim"].connections.max;
    (loaded.config.server.upstream_connections_max, provider, warnings)
}

#[test]
fn connections_to_providers_get_what_callers_leave() {
    for (open_files, file, expected, warned) in [
        (1_048_576, "", 65_536, false),
        (65_536, "", 55_280, false),
        (20_000, "", 9_744, false),
        // Callers would leave next to nothing: a third is kept.
        (12_256, "", 4_000, true),
        (1_024, "", 256, true),
        (10, "", 16, true),
        (1_024, "[server]\nconnections_max = 256", 512, false),
        (1_024, "[server]\nupstream_connections_max = 900", 900, true),
        (20_000, "[server]\nupstream_connections_max = 12", 12, false),
    ] {
        let (all, one, warnings) = bounds(&Given::toml(file).open_files(open_files));
        assert_eq!((all, one), (expected, expected), "{open_files} {file}");
        let tells = |warning: &String| warning.contains(&format!("more than the {open_files} files"));
        assert_eq!(warnings.iter().any(tells), warned, "{open_files} {file}: {warnings:?}");
    }
    let (all, one, _) = bounds(&Given::toml("[providers.sim]\nconnections.max = 7").open_files(20_000));
    assert_eq!((all, one), (9_744, 7), "each may be given less");
}

#[test]
fn what_was_shared_out_is_shown() {
    let json = Given::toml("").open_files(20_000).loaded().to_json();
    assert_eq!(json["server"]["upstream_connections_max"], 9_744);
    assert_eq!(json["providers"]["sim"]["connections"]["max"], 9_744);
}

#[test]
fn a_small_bound_of_all_asks_for_no_change_of_what_is_warm() {
    let config = Given::toml("[server]\nupstream_connections_max = 1").config();
    let connections = config.providers["sim"].connections;
    assert_eq!((connections.max, connections.warm), (1, 1));
}
