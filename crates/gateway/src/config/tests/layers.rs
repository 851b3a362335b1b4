//! Which layer wins, and what the well-known variables bring.

use std::time::Duration;

use super::*;

#[test]
fn an_empty_file_is_the_defaults() {
    let config = default_config();
    assert_eq!(config.profile, Profile::Production);
    assert_eq!(config.server.listen, "127.0.0.1:4000".parse().unwrap());
    assert_eq!(config.server.body_bytes_max, 10 << 20);
    assert_eq!(config.server.header_bytes_max, 32 << 10);
    assert_eq!((config.server.connections_max, config.server.upstream_connections_max), (10_000, 65_536));
    assert_eq!(config.server.compress_above, Some(4 << 10));
    assert_eq!(config.server.timeouts.drain, Duration::from_secs(30));
    assert_eq!(config.admin.listen, "127.0.0.1:4001".parse().unwrap());
    assert_eq!((config.admin.key, config.keys), (None, vec![]));
    assert_eq!(config.log, Log { level: "info".to_owned(), format: LogFormat::Auto });
    assert_eq!(config.providers.keys().collect::<Vec<_>>(), ["sim"]);
    let sim = &config.providers["sim"];
    assert_eq!((sim.preset.name, &sim.base_url, &sim.sim), ("sim", &None, &rig::sim::Settings::default()));
    assert_eq!(sim.timeouts.first_token, Duration::from_secs(30));
    let connections = sim.connections;
    assert_eq!((connections.max, connections.per_host, connections.warm, sim.http2), (65_536, 256, 2, true));
}

#[test]
fn no_file_at_all_is_the_defaults_too() {
    let folder = tempfile::tempdir().unwrap();
    assert!(super::super::load::well_known(folder.path()).is_none());
}

#[test]
fn the_first_well_known_name_is_read_and_the_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tidegate.json", "tidegate.yaml"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let (found, warnings) = super::super::load::well_known(folder.path()).unwrap();
    assert_eq!(found, folder.path().join("tidegate.yaml"));
    let warnings: Vec<String> = warnings.into_iter().map(|warning| warning.told(None).what).collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("tidegate.json is not read"), "{warnings:?}");
}

#[test]
fn later_layers_win() {
    let given = Given::toml("profile = \"development\"\n");
    assert_eq!(given.config().server.timeouts.drain, Duration::from_secs(2));
    assert_eq!(given.config().log.format, LogFormat::Text);

    let given =
        Given::toml("profile = \"development\"\nserver.timeouts.drain = \"5s\"\nserver.workers = 3\n");
    assert_eq!(given.config().server.timeouts.drain, Duration::from_secs(5));

    let given = given.variable("TIDEGATE__SERVER__TIMEOUTS__DRAIN", "7s");
    assert_eq!(given.config().server.timeouts.drain, Duration::from_secs(7));
    assert_eq!(given.config().server.workers, Some(3));

    let given = given.flag("--drain", "server.timeouts.drain", "9s");
    assert_eq!(given.config().server.timeouts.drain, Duration::from_secs(9));
}

#[test]
fn the_profile_itself_may_come_by_a_variable() {
    let given = Given::toml("profile = \"staging\"").variable("TIDEGATE__PROFILE", "development");
    assert_eq!(given.config().profile, Profile::Development);
    assert_eq!(given.config().log.format, LogFormat::Text);
}

#[test]
fn variables_are_typed_by_the_schema() {
    let config = Given::toml("[providers.my-own]\npreset = \"vllm\"\n")
        .variable("TIDEGATE__SERVER__WORKERS", " 4 ")
        .variable("TIDEGATE__SERVER__BODY_BYTES_MAX", "2048")
        .variable("TIDEGATE__SERVER__HOSTS", r#"["a.example", "B.example"]"#)
        .variable("TIDEGATE__PROVIDERS__MY_OWN__HTTP2", "false")
        .variable("TIDEGATE__PROVIDERS__MY_OWN__CONNECTIONS", r#"{"warm": 1}"#)
        .variable("TIDEGATE__PROVIDERS__MY_OWN__CONNECTIONS__PER_HOST", "7")
        .variable("TIDEGATE__PROVIDERS__OPENAI_COMPATIBLE__BASE_URL", "http://127.0.0.1:9/v1")
        .variable("TIDEGATE__PROVIDERS__SIM__SIM__ERRORS", "0.5")
        .variable("TIDEGATE__MODELS", r#"{"smart": {"targets": [{"model": "sim/fast"}]}}"#)
        .variable("TIDEGATE_SOMETHING", "is not ours")
        .config();
    assert_eq!(config.server.workers, Some(4));
    assert_eq!(config.server.body_bytes_max, 2048);
    assert_eq!(config.server.hosts, ["a.example", "b.example"]);
    let own = &config.providers["my-own"];
    assert_eq!((own.http2, own.connections.warm, own.connections.per_host), (false, 1, 7));
    assert_eq!(config.providers["openai-compatible"].base_url.as_ref().unwrap().port, 9);
    assert_eq!(config.providers["sim"].sim.errors, 0.5);
    assert_eq!(config.models["smart"].targets.len(), 1);
}

#[test]
fn a_variable_is_taken_as_it_is() {
    let key = "sk-${HOME}$$x";
    let config = Given::toml("").variable("TIDEGATE__PROVIDERS__OPENAI__API_KEY", key).config();
    assert_eq!(config.providers["openai"].api_key.as_ref().unwrap().expose(), key);
}

#[test]
fn strings_of_the_file_are_expanded() {
    let cases = [
        ("${NAME}", "value"),
        ("a-${NAME}-b", "a-value-b"),
        ("${NAME:-other}", "value"),
        ("${UNSET:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${file:text}", "from.a.file"),
        ("x${UNSET:-}y", "xy"),
    ];
    for (written, expected) in cases {
        let given = Given::toml(&format!("{KEY}tenant = '{written}'\n"))
            .beside("text", "from.a.file\n")
            .variable("NAME", "value")
            .variable("EMPTY", "");
        assert_eq!(given.config().keys[0].tenant.as_deref(), Some(expected), "{written}");
    }
}

#[test]
fn dollars_are_escaped_and_brought_in_text_is_not_expanded_again() {
    let cases =
        [("a$$b", "a$b"), ("$$${NAME}", "$${B}"), ("$x", "$x"), ("$${NAME}", "${NAME}"), ("end$", "end$")];
    for (written, expected) in cases {
        let text = format!("[providers.openai]\napi_key = '{written}'\n");
        let config = Given::toml(&text).variable("NAME", "${B}").config();
        assert_eq!(config.providers["openai"].api_key.as_ref().unwrap().expose(), expected, "{written}");
    }
}

#[test]
fn an_expansion_may_be_a_number() {
    let given = Given::toml("[server]\nworkers = \"${N}\"\nhosts = '${HOSTS}'\n");
    let config = given.variable("N", "5").variable("HOSTS", r#"["h"]"#).config();
    assert_eq!((config.server.workers, config.server.hosts), (Some(5), vec!["h".to_owned()]));
}

#[test]
fn a_providers_variable_switches_it_on() {
    let given = Given::toml("").variable("OPENAI_API_KEY", "sk-1").variable("GROQ_API_KEY", "");
    let config = given.config();
    assert_eq!(config.providers.keys().collect::<Vec<_>>(), ["openai", "sim"]);
    let openai = &config.providers["openai"];
    let url = openai.base_url.as_ref().unwrap();
    assert_eq!((url.host.as_str(), url.named_by_operator), ("api.openai.com", false));
    assert_eq!(openai.api_key.as_ref().unwrap().expose(), "sk-1");
}

#[test]
fn every_preset_with_a_variable_and_an_address_can_be_switched_on() {
    for preset in wire::preset::all() {
        let Some(variable) = preset.key_env else { continue };
        let loaded = Given::toml("").variable(variable, "k").loaded();
        assert_eq!(
            loaded.config.providers.contains_key(preset.name),
            preset.base_url.is_some(),
            "{}",
            preset.name
        );
        assert_eq!(loaded.warnings.is_empty(), preset.base_url.is_some(), "{}", preset.name);
    }
}

#[test]
fn every_preset_has_an_address_that_parses() {
    for preset in wire::preset::all() {
        let text = match preset.base_url {
            Some(_) => format!("[providers.p]\npreset = '{}'\n", preset.name),
            None if preset.name == "sim" => continue,
            None => format!("[providers.p]\npreset = '{}'\nbase_url = 'http://h/v1'\n", preset.name),
        };
        let key = if preset.key_required { "api_key = 'k'" } else { "" };
        let config = Given::toml(&format!("{text}{key}")).config();
        let url = config.providers["p"].base_url.clone().unwrap();
        assert_eq!(url.named_by_operator, preset.base_url.is_none() || url.is_loopback(), "{}", preset.name);
    }
}

#[test]
fn what_the_file_says_of_a_provider_wins_over_its_variable() {
    let table = |body: &str| format!("[providers.openai]\n{body}\n");
    // (the file's table, the key that results)
    let cases = [
        (table("http2 = false"), Some("env")),
        (table("api_key = 'file'"), Some("file")),
        (table("preset = 'vllm'"), None),
        (table("base_url = 'https://elsewhere.example/v1'\napi_key = 'file'"), Some("file")),
    ];
    for (text, key) in cases {
        let config = Given::toml(&text).variable("OPENAI_API_KEY", "env").config();
        let found = config.providers["openai"].api_key.as_ref().map(Secret::expose);
        assert_eq!(found, key, "{text}");
    }
}

#[test]
fn a_providers_variable_never_goes_to_another_address_unsaid() {
    let given = Given::toml("[providers.openai]\nbase_url = 'https://elsewhere.example/v1'\n");
    let faults = given.variable("OPENAI_API_KEY", "sk-1").faults();
    assert_eq!(
        faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(),
        ["providers.openai.api_key"]
    );
}

#[test]
fn an_address_of_the_operators_own_takes_the_variable_where_the_preset_has_none() {
    let given = Given::toml("[providers.azure]\nbase_url = 'https://x.openai.azure.com/openai/v1'\n");
    let config = given.variable("AZURE_OPENAI_API_KEY", "az").config();
    assert_eq!(config.providers["azure"].api_key.as_ref().unwrap().expose(), "az");
}

#[test]
fn the_admin_key_comes_by_its_variable_unless_said_otherwise() {
    let long = "0123456789abcdef0123456789abcdef";
    let cases = [
        ("", Some(long)),
        ("[admin]\nkey = 'said-otherwise-0123456789abcdef0123'", Some("said-otherwise-0123456789abcdef0123")),
    ];
    for (text, expected) in cases {
        let config = Given::toml(text).variable("TIDEGATE_ADMIN_KEY", long).config();
        assert_eq!(config.admin.key.as_ref().map(Secret::expose), expected);
    }
    assert_eq!(Given::toml("[admin]\nkey = '${TIDEGATE_ADMIN_KEY:-}'").config().admin.key, None);
}

#[test]
fn the_simulated_provider_may_be_changed() {
    let config = Given::toml("[providers.sim.sim]\ntokens = 5\nfirst_token = '1ms'\n").config();
    let expected = rig::sim::Settings {
        tokens: 5,
        first_token: Duration::from_millis(1),
        ..rig::sim::Settings::default()
    };
    assert_eq!(config.providers["sim"].sim, expected);
    let config = Given::toml("[providers.sim]\npreset = 'vllm'\n").config();
    assert_eq!(config.providers["sim"].preset.name, "vllm");
}

#[test]
fn the_data_folder_follows_the_base_directories() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")], "/x/tidegate"),
        (&[("XDG_DATA_HOME", "relative"), ("HOME", "/h")], "/h/.local/share/tidegate"),
        (&[("HOME", "/h")], "/h/.local/share/tidegate"),
        (&[], "/var/lib/tidegate"),
    ];
    for (variables, expected) in cases {
        let given =
            variables.iter().fold(Given::toml(""), |given, (name, value)| given.variable(name, value));
        assert_eq!(given.config().data, PathBuf::from(expected), "{variables:?}");
    }
    let given = Given::toml("data = 'here'");
    assert_eq!(given.config().data, given.path("here"));
}

#[test]
fn aliases_and_keys_arrive_whole() {
    let text = format!(
        "{KEY}tenant = 'search'\nmodels = ['smart', 'sim/*']\n[models.smart]\ntargets = [{{model='sim/a/b', weight=9}}, {{model='sim/fast'}}]\n"
    );
    let config = Given::toml(&text).config();
    let target = |model: &str, weight| AliasTarget {
        provider: "sim".to_owned(),
        model: model.to_owned(),
        weight,
        priority: 0,
    };
    assert_eq!(config.models["smart"].targets, [target("a/b", 9), target("fast", 1)]);
    let key = &config.keys[0];
    assert_eq!((key.id.as_str(), key.tenant.as_deref()), ("tg-AbCdEf123456", Some("search")));
    let cases = [
        ("smart", true),
        ("sim/fast", true),
        ("sim/a/b", true),
        ("openai/gpt-4o", false),
        ("simulated", false),
    ];
    for (model, allowed) in cases {
        assert_eq!(key.allows(model), allowed, "{model}");
    }
}

#[test]
fn a_variable_that_is_nearly_one_of_ours_is_told() {
    for (name, meant) in [
        ("TIDEGATE_ADMNI_KEY", Some("TIDEGATE_ADMIN_KEY")),
        ("TIDEGATE_ADMIN_TOKEN", Some("TIDEGATE_ADMIN_KEY")),
        ("TIDEGATE_KEY", Some("TIDEGATE_API_KEY")),
        ("TIDEGATE_ADMIN__KEY", Some("TIDEGATE__ADMIN__KEY")),
        ("TIDEGATE_SERVER_LISTEN", Some("TIDEGATE__SERVER__LISTEN")),
        ("TIDEGATE_SERVER__TIMEOUTS__DRAIN", Some("TIDEGATE__SERVER__TIMEOUTS__DRAIN")),
        ("TIDEGATE_ADMIN_KEY", None),
        ("TIDEGATE_API_KEY", None),
        // What a cluster sets for a service called `tidegate`.
        ("TIDEGATE_SERVICE_HOST", None),
        ("TIDEGATE_SERVICE_PORT_HTTP", None),
        ("TIDEGATE_PORT_4000_TCP_ADDR", None),
        ("TIDEGATE_PORT", None),
        ("TIDEGATE_ADMIN_PORT", None),
        ("TIDEGATE_ADMIN_PORT_4001_TCP_ADDR", None),
        ("TIDEGATE_ADMIN_SERVICE_HOST", None),
        ("TIDEGATE_ADMIN_SERVICE_PORT", None),
        ("TIDEGATE_ADMIN_SERVICE_PORT_HTTP", None),
    ] {
        let value = "a-key-of-thirty-two-bytes-or-more";
        let warnings = Given::toml("").variable(name, value).loaded().warnings;
        let mends: Vec<&str> = warnings.iter().map(|warning| warning.mend.as_str()).collect();
        let expected: Vec<String> = meant.map(|meant| format!("did you mean {meant}?")).into_iter().collect();
        assert_eq!(mends, expected, "{name}");
        assert!(!format!("{warnings:?}").contains(value), "{name}");
    }
}
