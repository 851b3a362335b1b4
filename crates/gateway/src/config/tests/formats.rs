//! The three formats say the same, and hostile files of each are refused in bounded time.

use std::time::{Duration, Instant};

use super::*;

const TOML: &str = r#"
profile = "staging"
[server]
listen = "127.0.0.1:4100"
workers = 2
hosts = ["a.example"]
timeouts = { idle = "9s" }
[[keys]]
id = "tg-AbCdEf123456"
hash = "b3:1b08558cbaea47c750e53ea5f7c8c05310beb23a249bd452641f7c6fc0208055"
[providers.sim.sim]
errors = 0.25
tokens = 7
[providers.vllm]
http2 = false
headers = { "x-über" = "no", x-team = "a \"b\" é" }
[models.smart]
targets = [{ model = "sim/fast", weight = 3 }]
fallback = ["sim/slow"]
[guard]
strategies.mine = { like = "critical", open = "9s" }
queue.size = 7
[limits.default]
tokens_per_minute = 1000
"#;

const YAML: &str = r#"
# The same.
profile: staging
server: {listen: "127.0.0.1:4100", workers: 2, hosts: [a.example], timeouts: {idle: 9s}}
log: ~
admin:
keys:
- id: tg-AbCdEf123456
  hash: b3:1b08558cbaea47c750e53ea5f7c8c05310beb23a249bd452641f7c6fc0208055
providers:
  sim:
    sim: {errors: 2.5e-1, tokens: 0x7}
  vllm:
    http2: false
    headers: {x-team: 'a "b" é'}
models:
  smart:
    targets:
      - model: sim/fast
        weight: 3
    fallback: [sim/slow]
guard:
  strategies: {mine: {like: critical, open: 9s}}
  queue: {size: 7}
limits: {default: {tokens_per_minute: 1000}}
"#;

const JSON: &str = r#"{
  "profile": "staging", "log": null,
  "server": {"listen": "127.0.0.1:4100", "workers": 2, "hosts": ["a.example"], "timeouts": {"idle": "9s"}},
  "keys": [{"id": "tg-AbCdEf123456",
            "hash": "b3:1b08558cbaea47c750e53ea5f7c8c05310beb23a249bd452641f7c6fc0208055"}],
  "providers": {"sim": {"sim": {"errors": 0.25, "tokens": 7}},
                "vllm": {"http2": false, "headers": {"x-team": "a \"b\" \u00e9"}}},
  "models": {"smart": {"targets": [{"model": "sim\/fast", "weight": 3}],
                       "fallback": ["sim\/slow"]}},
  "guard": {"strategies": {"mine": {"like": "critical", "open": "9s"}}, "queue": {"size": 7}},
  "limits": {"default": {"tokens_per_minute": 1000}}
}"#;

#[test]
fn the_three_formats_say_the_same() {
    let toml = TOML.replace("\"x-über\" = \"no\", ", "").replace('é', "e");
    let config = Given::toml(&toml).config();
    assert_eq!(config.providers["sim"].sim.tokens, 7);
    for name in ["c.yaml", "c.yml", "c.YAML"] {
        assert_eq!(Given::file(name, YAML.replace('é', "e")).config(), config, "{name}");
    }
    assert_eq!(Given::file("c.json", JSON.replace("\\u00e9", "\\u0065")).config(), config);
    assert_eq!(Given::file("no-ending", toml).config(), config);
}

#[test]
fn emptiness_is_the_defaults_in_every_format() {
    let byte_order_mark = "\u{feff}";
    let cases = [
        ("c.toml", "# nothing\n"),
        ("c.toml", byte_order_mark),
        ("c.yaml", "# nothing\n"),
        ("c.yaml", "---\n"),
        ("c.yaml", "server:\n"),
        ("c.json", ""),
        ("c.json", " \n"),
        ("c.json", "null"),
        ("c.json", "{}"),
    ];
    for (name, text) in cases {
        assert_eq!(Given::file(name, text).config(), default_config(), "{name} {text:?}");
    }
}

#[test]
fn the_same_fault_has_its_place_in_every_format() {
    let cases = [
        ("c.toml", "[server]\nhosts = [\"é\", 5]\n", (2, 15)),
        ("c.yaml", "server:\n  hosts: [\"é\", 5]\n", (2, 16)),
        ("c.yaml", "server:\n  hosts:\n  - é\n  - 5\n", (4, 5)),
        ("c.json", "{\"server\":\n {\"hosts\": [\"é\", 5]}}", (2, 18)),
    ];
    for (name, text, place) in cases {
        let faults = Given::file(name, text).faults();
        let fault = faults.iter().find(|fault| fault.key == "server.hosts[1]").expect(text);
        let found = fault.place.as_ref().unwrap();
        assert_eq!((found.line, found.column), place, "{name} {text}");
    }
}

#[test]
fn anchors_aliases_and_merge_keys_are_followed() {
    let text =
        "providers:\n  a: &a {preset: vllm, http2: false}\n  b: *a\n  c:\n    <<: *a\n    http2: true\n";
    let config = Given::file("c.yaml", text).config();
    let http2 = |name: &str| config.providers[name].http2;
    assert_eq!((http2("a"), http2("b"), http2("c")), (false, false, true));
}

#[test]
fn syntax_faults_have_their_place() {
    let cases = [
        ("c.toml", "[server\nx = 1\n[a]\ny = ", 2, (1, 8)),
        ("c.toml", "a = 1\na = 2", 1, (2, 1)),
        ("c.yaml", "server:\n  listen: [1\n", 1, (2, 11)),
        ("c.yaml", "a: 1\nb: 2\na: 3", 1, (3, 1)),
        ("c.yaml", "a: 1\n---\nb: 1", 1, (3, 1)),
        ("c.yaml", "é: *nobody", 1, (1, 4)),
        ("c.yaml", "a: !custom 1", 1, (1, 12)),
        ("c.yaml", "- 1", 1, (1, 1)),
        ("c.json", "{\"a\": 1,}", 1, (1, 9)),
        ("c.json", "{\"a\": 1} x", 1, (1, 10)),
        ("c.json", "{\"a\": {\"b\": 1, \"b\": 2, \"c\": 1, \"c\": 1}}", 2, (1, 17)),
        ("c.json", "[]", 1, (1, 1)),
        ("c.json", "{\"data\": \"\\ud800\"}", 1, (1, 10)),
        ("c.json", "{\"server\": {\"workers\": 1e999}}", 1, (1, 24)),
    ];
    for (name, text, count, place) in cases {
        let faults = Given::file(name, text).faults();
        let first = faults.iter().next().unwrap();
        let found = first.place.as_ref().map(|place| (place.line, place.column));
        assert_eq!((faults.iter().count(), found), (count, Some(place)), "{name} {text}: {faults}");
    }
}

#[test]
fn what_is_no_configuration_file_is_refused() {
    let (large, invalid) = ("#".repeat((1 << 20) + 1), b"data = '\xff'".as_slice());
    let cases: [(&str, &[u8], &str); 3] = [
        ("c.toml", large.as_bytes(), "larger than 1048576 bytes"),
        ("c.toml", invalid, "not UTF-8: byte 8"),
        ("c.ini", b"", "no known format"),
    ];
    for (name, bytes, what) in cases {
        let faults = Given::file(name, bytes).faults();
        assert!(faults.to_string().contains(what), "{faults}");
    }
    let just_fits = Given::toml(&"#".repeat(1 << 20));
    assert_eq!(just_fits.config(), default_config());
    for path in ["/dev/zero", "/", "/nonexistent/tidegate.toml"] {
        let sources = Sources { path: Some(path.into()), ..Sources::default() };
        assert!(Config::load(&sources).is_err(), "{path}");
    }
}

/// Files made to cost much (a quarter of the largest size read): every one is refused, or harmless, in bounded time.
fn bombs() -> Vec<(&'static str, String)> {
    let laughs = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let before = format!("*a{},", n - 1).repeat(9);
        format!("{text}a{n}: &a{n} [{}]\n", before.trim_end_matches(','))
    });
    let merges = (1..12).fold("m0: &m0 {k0: 1}\n".to_owned(), |text, n| {
        let before = format!("*m{},", n - 1).repeat(9);
        format!("{text}m{n}: &m{n} {{<<: [{}], k{n}: 1}}\n", before.trim_end_matches(','))
    });
    let many = |piece: &str| piece.repeat((1 << 18) / piece.len());
    let numbered = |piece: fn(usize) -> String| (0..10_000).map(piece).collect::<String>();
    vec![
        ("c.yaml", laughs),
        ("c.yaml", merges),
        ("c.yaml", "a: &a [*a]".to_owned()),
        ("c.yaml", many("[")),
        ("c.yaml", many("{a: ")),
        ("c.yaml", many("- ")),
        ("c.yaml", many("? ")),
        ("c.yaml", format!("server: {{hosts: [{}]}}", many("*a,"))),
        ("c.yaml", numbered(|n| format!("a{n}: &x{n} 1\n"))),
        ("c.yaml", format!("data: {}", many("'"))),
        ("c.yaml", format!("server: {{hosts: [{}x]}}", many("x,"))),
        ("c.json", many("[")),
        ("c.json", many("{\"a\":")),
        ("c.json", format!("{{\"server\":{{\"hosts\":[{}0]}}}}", many("0,"))),
        ("c.json", format!("{{{}\"a\":1}}", numbered(|n| format!("\"a{n}\":1,")))),
        ("c.json", format!("{{{}\"a\":1}}", many("\"a\":1,"))),
        ("c.toml", format!("a = {}", many("["))),
        ("c.toml", format!("a = {}", many("{a="))),
        ("c.toml", many("a.")),
        ("c.toml", many("[[a.b]]\n")),
        ("c.toml", numbered(|n| format!("[a{n}.b.c]\n"))),
        ("c.toml", many("= =\n")),
        ("c.toml", format!("server.hosts = [{}]", many("'${A}',"))),
        ("c.toml", format!("server.hosts = [{}]", many("'${BIG}',"))),
        ("c.toml", many("[[keys]]\n")),
        ("c.toml", numbered(|n| format!("[providers.p{n}]\n"))),
        ("c.toml", format!("{}=1", "k".repeat(1 << 19))),
    ]
}

#[test]
fn bombs_are_refused_in_bounded_time() {
    for (name, text) in bombs() {
        let given = Given::file(name, &text).variable("BIG", &"x".repeat(60_000));
        let start = Instant::now();
        let drawing = given.load().map_or_else(|faults| faults.render(false), |_| String::new());
        let took = start.elapsed();
        let shown: String = text.chars().take(40).collect();
        // Generous for a machine under load and an unoptimised build: the point is that it ends.
        assert!(took < Duration::from_secs(20), "{name} {shown}: {took:?}");
        assert!(drawing.len() < 200_000, "{name} {shown}: {} bytes", drawing.len());
    }
}
