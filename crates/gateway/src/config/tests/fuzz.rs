//! No input panics, in any format, from any layer; and what the shape check passes always deserialises.

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::super::read::Format;
use super::super::{raw, shape};
use super::*;

const SEEDS: [(&str, &str); 3] = [
    ("c.toml", include_str!("../../../../../tidegate.example.toml")),
    (
        "c.yaml",
        "server: {listen: '127.0.0.1:1', hosts: [a, *x]}\nkeys:\n- &x {id: tg-AbCdEf123456, hash: 'b3:0'}\nproviders:\n  a: {preset: vllm}\n",
    ),
    (
        "c.json",
        r#"{"server": {"listen": "127.0.0.1:1", "workers": 1.5e3}, "models": {"a": {"targets": [{"model": "sim/x"}]}}}"#,
    ),
];

/// Pieces of which a file may be made: syntax of all three formats, keys, and hostile values.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "server",
        "listen",
        "keys",
        "id",
        "hash",
        "providers",
        "models",
        "targets",
        "sim",
        "openai",
        "cache",
        "data",
        "timeouts",
        "idle",
        "weight",
        "[",
        "]",
        "{",
        "}",
        "[[",
        "]]",
        "=",
        ":",
        ": ",
        ",",
        ".",
        "\n",
        "\n  ",
        "- ",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "#",
        "&a",
        "*a",
        "<<",
        "? ",
        "|",
        ">",
        "!!str ",
        "---\n",
        "null",
        "true",
        "0x",
        "1e999",
        "-1",
        "99999999999999999999",
        "nan",
        "inf",
        "\"5s\"",
        "'127.0.0.1:0'",
        "${",
        "}",
        "${A}",
        "${A:-x}",
        "${file:/etc/hostname}",
        "$$",
        "\\u0000",
        "\\ud800",
        "\u{0}",
        "\u{feff}",
        "é",
        "\u{202e}",
        "2026-01-01",
    ]);
    prop_oneof![8 => words.prop_map(str::to_owned), 1 => "\\PC{0,6}", 1 => any::<char>().prop_map(|c| c.to_string())]
}

fn load(name: &str, text: impl AsRef<[u8]>) {
    let given = Given::file(name, text).variable("A", "a\nb = 1").variable("OPENAI_API_KEY", "k");
    match given.load() {
        Ok(loaded) => {
            let _ = (loaded.to_toml(), loaded.to_json());
        }
        Err(faults) => {
            let _ = (faults.render(true), faults.to_json(), faults.to_string());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (name, _) in SEEDS {
            load(name, &bytes);
        }
    }

    #[test]
    fn no_heap_of_pieces_panics(pieces in prop::collection::vec(piece(), 0..60)) {
        for (name, _) in SEEDS {
            load(name, pieces.concat());
        }
    }

    #[test]
    fn no_damaged_file_panics(seed in 0..3_usize, at in any::<prop::sample::Index>(), cut in 0..30_usize, put in piece()) {
        let (name, text) = SEEDS[seed];
        let mut text: Vec<char> = text.chars().collect();
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, put.chars());
        load(name, text.into_iter().collect::<String>());
    }

    #[test]
    fn no_variable_panics(steps in prop::collection::vec("(SERVER|KEYS|PROVIDERS|SIM|MODELS|LOG|GUARD|STRATEGIES|LIKE|LIMITS|A|é|0|)", 0..5), value in "\\PC{0,30}") {
        let given = Given::toml("").variable(&format!("TIDEGATE__{}", steps.join("__")), &value);
        let _ = given.load().map_err(|faults| faults.render(false));
    }

    #[test]
    fn what_the_shape_check_passes_deserialises(json in tree()) {
        let mut tree = Format::Json.parse(&json.to_string()).unwrap();
        shape::check(&mut tree);
        let value = tree.to_value();
        prop_assert!(serde_json::from_value::<raw::File>(value.clone()).is_ok(), "{value}");
    }
}

/// Trees of the schema's own keys with values of every type.
fn tree() -> impl Strategy<Value = serde_json::Value> {
    let keys = prop::sample::select(vec![
        "profile",
        "data",
        "log",
        "level",
        "format",
        "server",
        "listen",
        "workers",
        "body_bytes_max",
        "hosts",
        "timeouts",
        "idle",
        "tls",
        "cert",
        "admin",
        "key",
        "keys",
        "id",
        "hash",
        "models",
        "providers",
        "preset",
        "base_url",
        "connections",
        "warm",
        "http2",
        "headers",
        "sim",
        "errors",
        "seed",
        "tokens",
        "targets",
        "model",
        "weight",
        "fallback",
        "priority",
        "guard",
        "strategies",
        "like",
        "concurrency",
        "algorithm",
        "initial",
        "queue",
        "limits",
        "tenants",
        "default",
        "requests_per_minute",
        "other",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (0..5_u64).prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(vec!["5s", "10MiB", "sim", "json", "staging", "", "${X}", "x"])
            .prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(keys.clone(), inner, 0..6).prop_map(|entries| {
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}
