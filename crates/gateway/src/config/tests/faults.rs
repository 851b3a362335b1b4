//! What is wrong is told in full: each fault with its key, its place and its mend.

use super::*;

/// Loads a TOML file and compares every fault: line, column, key, part of the message, part of the mend.
#[track_caller]
fn check(text: &str, expected: &[(usize, usize, &str, &str, &str)]) {
    let faults = Given::toml(text).faults();
    let drawing = faults.render(false);
    let found: Vec<(usize, usize, &str)> = faults
        .iter()
        .map(|fault| {
            let place = fault.place.as_ref().unwrap_or_else(|| panic!("no place: {fault}"));
            (place.line, place.column, fault.key.as_str())
        })
        .collect();
    let places: Vec<(usize, usize, &str)> =
        expected.iter().map(|(line, column, key, ..)| (*line, *column, *key)).collect();
    assert_eq!(found, places, "{drawing}");
    for (fault, (.., what, mend)) in faults.iter().zip(expected) {
        assert!(fault.what.contains(what), "{what}: {drawing}");
        assert!(fault.mend.contains(mend), "{mend}: {drawing}");
    }
}

#[test]
fn all_faults_are_told_at_once_each_with_its_place() {
    let text = r#"
profle = "production"
[server]
listen = "localhost:4000"
workers = 0
hosts = ["a b", 5]
[server.timeouts]
drain = "3d"
idle = 75
[models.smart]
targets = [{ model = "sim/fast", weigth = 2 }, { weight = 1 }]
"#;
    check(
        text,
        &[
            (2, 1, "profle", "unknown key `profle`", "did you mean `profile`?"),
            (4, 10, "server.listen", "not an address", "write 127.0.0.1:4000"),
            (5, 11, "server.workers", "out of range: 1 to 1024", ""),
            (6, 10, "server.hosts[0]", "`a b` is not a host name", ""),
            (6, 17, "server.hosts[1]", "expected text, found a whole number", ""),
            (8, 9, "server.timeouts.drain", "unit is missing or unknown", "ns, us, ms, s, m, h"),
            (9, 8, "server.timeouts.idle", "expected a duration such as \"5s\"", ""),
            (11, 34, "models.smart.targets[0].weigth", "unknown key", "did you mean `weight`?"),
            (11, 48, "models.smart.targets[1].model", "`model` is missing here", "add `model`"),
        ],
    );
}

#[test]
fn a_table_or_a_list_that_is_none_is_told_with_what_would_do() {
    for (text, mend) in [
        ("models.a.targets = ['openai/x']", "write a table: { model = \"…\" }"),
        ("models.a.targets = 'openai/x'", "write a list: [{ model = \"…\" }]"),
        ("server = 5", "write a table"),
    ] {
        let faults = Given::toml(text).faults();
        let mends: Vec<&str> = faults.iter().map(|fault| fault.mend.as_str()).collect();
        assert_eq!(mends, [mend], "{text}");
    }
}

#[test]
fn values_of_the_wrong_form_are_told() {
    let cases = [
        ("server = 5", "server", "expected a table, found a whole number"),
        ("keys = {}", "keys", "expected a list, found a table"),
        ("keys = [1]", "keys[0]", "expected a table"),
        ("server.workers = 'four'", "server.workers", "expected a whole number, found text"),
        ("server.workers = 1.5", "server.workers", "expected a whole number, found a number"),
        ("server.workers = -1", "server.workers", "out of range"),
        ("server.workers = 99999999999999999999", "server.workers", "out of range"),
        ("server.connections_max = 1000001", "server.connections_max", "out of range: 1 to 1000000"),
        ("server.body_bytes_max = -5", "server.body_bytes_max", "out of range: 0 or more"),
        ("server.body_bytes_max = 5", "server.body_bytes_max", "out of range: 1KiB to 1GiB"),
        ("server.body_bytes_max = '2GiB'", "server.body_bytes_max", "out of range: 1KiB to 1GiB"),
        ("server.header_bytes_max = '1KB'", "server.header_bytes_max", "out of range: 8KiB to 1MiB"),
        ("server.compress = 'gzip'", "server.compress", "expected true or false, found text"),
        ("server.compress_above = '65MiB'", "server.compress_above", "out of range: 0B to 64MiB"),
        ("server.timeouts.header = '0s'", "server.timeouts.header", "out of range: 10ms to 24h"),
        ("server.timeouts.drain = '2h'", "server.timeouts.drain", "out of range: 0s to 1h"),
        ("log.format = 'xml'", "log.format", "unknown value"),
        ("log.format = 'jsn'", "log.format", "did you mean `json`?"),
        ("log.level = 'inof'", "log.level", "`inof` is no log level"),
        ("log.level = 'info,hyper=loud'", "log.level", "does not parse as a log filter"),
        ("log.level = ''", "log.level", "is no log level"),
        ("data = ''", "data", "not a path"),
        ("data = '~/x'", "data", "`~` has no meaning here"),
        ("data = 2026-01-01", "", "no key takes a date"),
        ("server.hosts = ['http://x']", "server.hosts[0]", "not a host name"),
        ("server.hosts = ['x:80']", "server.hosts[0]", "not a host name"),
        ("providers.sim.sim.errors = nan", "providers.sim.sim.errors", "out of range: 0 to 1"),
        ("providers.sim.sim.errors = 1.1", "providers.sim.sim.errors", "out of range: 0 to 1"),
        ("providers.sim.sim.errors = inf", "providers.sim.sim.errors", "out of range"),
        ("providers.sim.sim.seed = -1", "providers.sim.sim.seed", "out of range"),
        ("providers.sim.sim.first_token = '2h'", "providers.sim.sim.first_token", "out of range"),
    ];
    for (text, key, what) in cases {
        let faults = Given::toml(text).faults();
        let found: Vec<(&str, &str)> = faults.iter().map(|f| (f.key.as_str(), f.what.as_str())).collect();
        assert!(matches!(found[..], [(k, w)] if k == key && w.contains(what)), "{text}: {found:?}");
        assert!(faults.iter().all(|fault| fault.place.is_some() && !fault.mend.is_empty()), "{text}");
    }
}

#[test]
fn hosts_are_kept_as_requests_name_them() {
    let hosts = Given::toml("server.hosts = ['API.Example.', '*', '2001:DB8::1', '[::2]', '10.0.0.1']")
        .config()
        .server
        .hosts;
    assert_eq!(hosts, ["api.example", "*", "[2001:db8::1]", "[::2]", "10.0.0.1"]);
}

#[test]
fn providers_are_judged() {
    let cases = [
        ("[providers.x]", "providers.x.preset", "`x` is no preset's name"),
        ("[providers.x]\npreset = 'opnai'", "providers.x.preset", "did you mean `openai`?"),
        ("[providers.openai]", "providers.openai.api_key", "OpenAI asks for a key"),
        ("[providers.openai]\napi_key = ''", "providers.openai.api_key", "OpenAI asks for a key"),
        ("[providers.openai]\napi_key = \"a\\nb\"", "providers.openai.api_key", "no header can carry"),
        ("[providers.openai-compatible]", "providers.openai-compatible.base_url", "no address of its own"),
        ("[providers.vllm]\nbase_url = 'host/v1'", "providers.vllm.base_url", "does not begin with https://"),
        ("[providers.vllm]\nbase_url = 'http://u:p@h'", "providers.vllm.base_url", "holds credentials"),
        ("[providers.vllm]\nbase_url = 'http://h?k=v'", "providers.vllm.base_url", "holds a query"),
        ("[providers.vllm]\nca_file = 'nope.pem'", "providers.vllm.ca_file", "cannot read"),
        ("[providers.vllm]\nmodels = ['']", "providers.vllm.models[0]", "not a model's name"),
        ("[providers.vllm]\nsim = {}", "providers.vllm.sim", "vLLM is not simulated"),
        (
            "[providers.vllm]\nconnections.warm = 257",
            "providers.vllm.connections.warm",
            "more warm connections",
        ),
        (
            "[providers.vllm]\nconnections.max = 1",
            "providers.vllm.connections.warm",
            "more warm connections than may be open (1)",
        ),
        ("[server]\nupstream_connections_max = 0", "server.upstream_connections_max", "out of range"),
        ("[providers.vllm]\nconnections.max = 0", "providers.vllm.connections.max", "out of range"),
        ("[providers.vllm]\nconnections.per_host = 0", "providers.vllm.connections.per_host", "out of range"),
        (
            "[providers.vllm]\ntimeouts.total = '0s'",
            "providers.vllm.timeouts.total",
            "out of range: 1ms to 24h",
        ),
        ("[providers.vllm]\nheaders.Host = 'x'", "providers.vllm.headers.Host", "belongs to the connection"),
        ("[providers.vllm]\nheaders.'a b' = 'x'", "providers.vllm.headers.\"a b\"", "not a header's name"),
        ("[providers.vllm]\nheaders.x = \"a\\r\\nb: c\"", "providers.vllm.headers.x", "not a header's value"),
        ("[providers.vllm]\nheaders.X = '1'\nheaders.x = '2'", "providers.vllm.headers.x", "a second time"),
        (
            "[providers.vllm]\napi_key = 'k'\nheaders.authorization = 'x'",
            "providers.vllm.headers.authorization",
            "sent in this header already",
        ),
        ("[providers.sim]\nbase_url = 'http://h'", "providers.sim.base_url", "runs in process"),
        ("[providers.sim]\napi_key = 'k'", "providers.sim.api_key", "takes no key"),
        ("[providers.'a b']\npreset = 'vllm'", "providers.\"a b\"", "no provider's name"),
        ("[providers.'a/b']\npreset = 'vllm'", "providers.a/b", "no provider's name"),
    ];
    for (text, key, what) in cases {
        let faults = Given::toml(text).faults();
        let found: Vec<(&str, &str)> = faults.iter().map(|f| (f.key.as_str(), f.what.as_str())).collect();
        let key = if key == "providers.a/b" { "providers.\"a/b\"" } else { key };
        assert!(matches!(found[..], [(k, w)] if k == key && w.contains(what)), "{text}: {found:?}");
    }
}

#[test]
fn aliases_are_judged() {
    let target = |model: &str| format!("[models.a]\ntargets = [{{ model = '{model}' }}]\n");
    let cases = [
        (target("openai/x"), "models.a.targets[0].model", "no such provider", "set OPENAI_API_KEY"),
        (target("smi/x"), "models.a.targets[0].model", "no such provider", "did you mean `sim/…`?"),
        (target("elsewhere/x"), "models.a.targets[0].model", "no such provider", "add it under"),
        (target("ollama/x"), "models.a.targets[0].model", "no such provider", "add `[providers.ollama]`"),
        (
            target("azure/x"),
            "models.a.targets[0].model",
            "no such provider",
            "add `[providers.azure]` with `base_url`",
        ),
        (target("a"), "models.a.targets[0].model", "aliases do not lead to aliases", "provider/model"),
        (target("fast"), "models.a.targets[0].model", "names no provider", "provider/model"),
        (target("sim/"), "models.a.targets[0].model", "names no model", "provider/model"),
        (target("sim/a b"), "models.a.targets[0].model", "names no model", "provider/model"),
        ("[models.a]".to_owned(), "models.a.targets", "`targets` is missing", "add"),
        ("[models.a]\ntargets = []".to_owned(), "models.a.targets", "0 items, where 1 to 64", "add"),
        (
            "[models.a]\ntargets = [{model='sim/x', weight=0}, {model='sim/y', weight=0}]".to_owned(),
            "models.a.targets",
            "every weight is 0",
            "weight",
        ),
        (
            "[models.'a/b']\ntargets = [{model='sim/x'}]".to_owned(),
            "models.\"a/b\"",
            "cannot hold a `/`",
            "without one",
        ),
        ("[models.'']\ntargets = [{model='sim/x'}]".to_owned(), "models.\"\"", "no alias' name", "1 to 128"),
    ];
    for (text, key, what, mend) in cases {
        let faults = Given::toml(&text).faults();
        let found: Vec<(&str, &str, &str)> =
            faults.iter().map(|f| (f.key.as_str(), f.what.as_str(), f.mend.as_str())).collect();
        let fits = matches!(found[..], [(k, w, m)] if k == key && w.contains(what) && m.contains(mend));
        assert!(fits, "{text}: {found:?}");
    }
}

#[test]
fn keys_are_judged() {
    let hash = "b3:1b08558cbaea47c750e53ea5f7c8c05310beb23a249bd452641f7c6fc0208055";
    let block = |id: &str, more: &str| format!("[[keys]]\nid = '{id}'\nhash = '{hash}'\n{more}\n");
    let cases = [
        (block("tg-short", ""), "keys[0].id", "not a key's id"),
        (block("tg-AbCdEf123456-and-the-secret-as-well", ""), "keys[0].id", "not a key's id"),
        (format!("{KEY}{KEY}"), "keys[1].id", "the same id as keys[0]"),
        ("[[keys]]\nid = 'tg-AbCdEf123456'".to_owned(), "keys[0].hash", "`hash` is missing"),
        (format!("[[keys]]\nhash = '{hash}'"), "keys[0].id", "`id` is missing"),
        (block("tg-AbCdEf123456", "tenant = 'a b'"), "keys[0].tenant", "not a tenant's name"),
        (block("tg-AbCdEf123456", "tenant = ''"), "keys[0].tenant", "not a tenant's name"),
        (block("tg-AbCdEf123456", "models = ['a*b']"), "keys[0].models[0]", "no model's name or pattern"),
        (block("tg-AbCdEf123456", "models = ['']"), "keys[0].models[0]", "no model's name or pattern"),
        ("[[keys]]\nid = 'tg-AbCdEf123456'\nhash = 'b3:12'".to_owned(), "keys[0].hash", "not a key's hash"),
    ];
    for (text, key, what) in cases {
        let faults = Given::toml(&text).faults();
        let found: Vec<(&str, &str)> = faults.iter().map(|f| (f.key.as_str(), f.what.as_str())).collect();
        assert!(matches!(found[..], [(k, w)] if k == key && w.contains(what)), "{text}: {found:?}");
    }
}

#[test]
fn an_unknown_key_points_to_where_it_belongs() {
    let cases = [
        ("listn = 'x'\n[server]\nlistn = 'x'", "server.listn", "did you mean `listen`?"),
        ("api_key = 'x'", "api_key", "`providers.*.api_key`"),
        ("server.base-url = 'x'", "server.base-url", "`providers.*.base_url`"),
        ("[log]\nLevel = 'x'", "log.Level", "did you mean `level`?"),
        ("zzz = 1", "zzz", "known here are admin, advice, alerts, cache, data, guard, jobs"),
    ];
    for (text, key, mend) in cases {
        let faults = Given::toml(text).faults();
        let fault = faults.iter().find(|fault| fault.key == key).expect(key);
        assert!(fault.mend.contains(mend), "{text}: {}", fault.mend);
    }
}

#[test]
fn what_cannot_be_expanded_is_told_once() {
    let cases = [
        ("server.timeouts.idle = '${UNSET}'", "server.timeouts.idle", "UNSET is not set", "${UNSET:-…}"),
        ("server.listen = '${UNSET}'", "server.listen", "UNSET is not set", "set it"),
        ("data = '${'", "data", "without its `}`", "$$"),
        ("data = '${a b}'", "data", "no variable's name", "${NAME}"),
        ("data = '${}'", "data", "no variable's name", "${NAME}"),
        ("data = '${1A}'", "data", "no variable's name", "${NAME}"),
        ("data = '${A:-${B}}'", "data", "a default within a default", "plain text"),
        ("data = '${file:nope}'", "data", "cannot read", "check the path"),
        ("data = '${file:.}'", "data", "it is not a file", "name a file"),
    ];
    for (text, key, what, mend) in cases {
        let faults = Given::toml(text).faults();
        let found: Vec<(&str, &str, &str)> =
            faults.iter().map(|f| (f.key.as_str(), f.what.as_str(), f.mend.as_str())).collect();
        let fits = matches!(found[..], [(k, w, m)] if k == key && w.contains(what) && m.contains(mend));
        assert!(fits, "{text}: {found:?}");
    }
}

#[test]
fn faults_from_variables_and_flags_name_them() {
    let faults = Given::toml("")
        .variable("TIDEGATE__SERVER__LISTN", "x")
        .variable("TIDEGATE__SERVER__WORKERS", "many")
        .variable("TIDEGATE__SERVER__HOSTS", "not json")
        .variable("TIDEGATE__ALERTS__MEMORY", "1")
        .variable("TIDEGATE____X", "1")
        .variable("TIDEGATE__A__A__A__A__A__A__A__A__A", "1")
        .flag("--listen", "server.listen", "nowhere")
        .faults();
    let mut found: Vec<(String, &str)> = faults
        .iter()
        .map(|fault| (fault.given_by.clone().unwrap(), fault.what.split(':').next().unwrap()))
        .collect();
    found.sort();
    let expected = [
        ("environment variable TIDEGATE__ALERTS__MEMORY", "unknown key `memory`"),
        ("environment variable TIDEGATE__A__A__A__A__A__A__A__A__A", "this names no key"),
        ("environment variable TIDEGATE__SERVER__HOSTS", "not a list"),
        ("environment variable TIDEGATE__SERVER__LISTN", "unknown key `listn`"),
        ("environment variable TIDEGATE__SERVER__WORKERS", "not a whole number"),
        ("environment variable TIDEGATE____X", "this names no key"),
        ("flag --listen", "this is not an address with a port"),
    ];
    assert_eq!(found, expected.map(|(giver, what)| (giver.to_owned(), what)));
}

#[test]
fn odd_but_allowed_is_warned_of() {
    let cases = [
        (
            "[providers.vllm]\nbase_url = 'http://10.0.0.1/v1'\napi_key = 'k'",
            "providers.vllm.base_url",
            "in clear text",
        ),
        (
            "[providers.vllm.timeouts]\ntotal = '1s'\nconnect = '1s'",
            "providers.vllm.timeouts.first_token",
            "never reached",
        ),
        (&format!("{KEY}models = ['opnai/*']"), "keys[0].models[0]", "allows nothing"),
        (&format!("{KEY}models = ['nope']"), "keys[0].models[0]", "allows nothing"),
    ];
    for (text, key, what) in cases {
        let loaded = Given::toml(text).loaded();
        let found: Vec<(&str, &str)> =
            loaded.warnings.iter().map(|f| (f.key.as_str(), f.what.as_str())).collect();
        assert!(matches!(found[..], [(k, w)] if k == key && w.contains(what)), "{text}: {found:?}");
    }
    for text in ["[providers.vllm]\napi_key = 'k'", &format!("{KEY}models = ['*', 'sim/x', 's*']")] {
        assert_eq!(Given::toml(text).loaded().warnings, [], "{text}");
    }
}

#[test]
fn a_fault_is_drawn_with_its_line_and_told_to_machines() {
    let given = Given::toml("# first\n[server]\n  lisTen = \"127.0.0.1:80\" # why\n");
    let faults = given.faults();
    let file = given.path("tidegate.toml");
    let expected = format!(
        "  × unknown key `lisTen`
   ╭─[{file}:3:3]
 3 │   lisTen = \"*********:**\" # why
   ·   ──────
   ╰────
  help: did you mean `listen`?

1 fault in the configuration ({file})
",
        file = file.display()
    );
    assert_eq!(faults.render(false), expected);
    assert!(faults.render(true).contains('\u{1b}'));
    let json = serde_json::json!([{
        "file": file.display().to_string(), "line": 3, "column": 3, "given_by": null,
        "key": "server.lisTen", "message": "unknown key `lisTen`", "mend": "did you mean `listen`?",
    }]);
    assert_eq!(faults.to_json(), json);
    let line = format!("{}:3:3: unknown key `lisTen`; did you mean `listen`?", file.display());
    assert_eq!(faults.to_string(), line);
}

#[test]
fn columns_count_characters() {
    check(
        "providers = { 'é' = { preset = 'vllm' }, y = 5 }",
        &[
            (1, 15, "providers.\"é\"", "no provider's name", ""),
            (1, 46, "providers.y", "expected a table", ""),
        ],
    );
}
