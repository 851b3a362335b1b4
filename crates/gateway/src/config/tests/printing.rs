//! What is printed loads again and says where each value came from.

use super::*;

#[test]
fn every_value_names_who_set_it() {
    let given = Given::toml("profile = 'development'\n[server]\nworkers = 2\nhosts = ['${H}']\n")
        .variable("H", "h")
        .variable("OPENAI_API_KEY", "k")
        .variable("TIDEGATE__SERVER__CONNECTIONS_MAX", "5")
        .flag("--listen", "server.listen", "127.0.0.1:9");
    let printed = given.loaded().to_toml();
    let file = given.path("tidegate.toml").display().to_string();
    let cases = [
        ("profile = ", Some(format!("{file}:1"))),
        ("workers = ", Some(format!("{file}:3"))),
        ("connections_max = ", Some("TIDEGATE__SERVER__CONNECTIONS_MAX".to_owned())),
        ("api_key = ", Some("OPENAI_API_KEY".to_owned())),
        ("drain = ", Some("profile development".to_owned())),
        ("body_bytes_max = ", None),
    ];
    for (start, origin) in cases {
        let line = printed.lines().find(|line| line.starts_with(start)).expect(start);
        assert_eq!(line.split_once(" # ").map(|(_, origin)| origin.to_owned()), origin, "{line}");
    }
    assert!(printed.contains("listen = \"127.0.0.1:9\"") && printed.contains("# --listen"), "{printed}");
}

#[test]
fn what_is_printed_loads_to_the_same() {
    let text = format!(
        "{KEY}models = ['sim/*']\nserver.hosts = ['a', \"b\"]\n[providers.'we.ird-1']\npreset = 'vllm'\nheaders = {{ x = 'y' }}\n\
         [models.'a \"b']\ntargets = []\n"
    )
    .replace("server.hosts", "[server]\nhosts")
    .replace("[models.'a \"b']\ntargets = []\n", "[models.'q\"uote']\ntargets = [{ model = 'sim/x', weight = 2 }]\n");
    let loaded = Given::toml(&text).loaded();
    let printed = loaded.to_toml();
    let hash = "b3:1b08558cbaea47c750e53ea5f7c8c05310beb23a249bd452641f7c6fc0208055";
    let again = Given::toml(
        &printed
            .replacen("[redacted]\"", &format!("{hash}\""), 2)
            .replace(&format!("x = \"{hash}\""), "x = \"y\""),
    );
    // Redaction is what differs: put back, all is the same.
    let again = again.loaded();
    assert_eq!(again.config.keys, loaded.config.keys);
    assert_eq!(again.config.models, loaded.config.models);
    assert_eq!(again.config.server, loaded.config.server);
    assert_eq!(again.config.providers.keys().collect::<Vec<_>>(), ["sim", "we.ird-1"]);
    assert_eq!(again.to_json(), loaded.to_json());
}

#[test]
fn json_holds_every_default() {
    let json = Given::toml("").variable("XDG_DATA_HOME", "/of/mine").loaded().to_json();
    assert_eq!(json["server"]["timeouts"]["idle"], "75s");
    assert_eq!(json["providers"]["sim"]["connections"]["per_host"], 256);
    assert_eq!(json["providers"]["sim"]["sim"]["first_token"], "20ms");
    assert_eq!(json["data"], "/of/mine/tidegate");
    assert!(!json.to_string().contains("null"), "{json}");
}
