//! A secret shows up nowhere: not in a fault, not in its drawing, not in what is printed or debugged.

use super::*;

/// Part of every secret of these tests.
const CANARY: &str = "CANARY";

#[track_caller]
fn assert_silent(what: &str, shown: &str) {
    assert!(!shown.contains(CANARY), "{what}: {shown}");
}

/// Everything that a refused configuration says of itself.
fn told(faults: &Faults) -> String {
    format!("{} {} {faults} {faults:?} {}", faults.render(false), faults.render(true), faults.to_json())
}

#[test]
fn faults_hold_no_secret() {
    let secret = "sk-CANARY-0123456789abcdef";
    let cases = [
        // Right keys, wrong values.
        format!("[providers.openai]\napi_key = '{secret} x'\nbase_url = 'nope'"),
        format!("[providers.openai]\napi_key = ['{secret}']"),
        format!("[providers.openai]\nbase_url = 'https://{CANARY}@host/'\napi_key = 'x'"),
        format!("[providers.openai]\nbase_url = 'https://host/?key={CANARY}'\napi_key = 'x'"),
        format!("[providers.openai]\nheaders = {{ a = '{CANARY}\\n', b = \"{CANARY}\\n\" }}\napi_key = 'x'"),
        format!("[providers.openai]\nheaders = '{CANARY}'"),
        format!("admin.key = 'short {CANARY}'"),
        format!("[[keys]]\nid = 'tg-AbCdEf123456-{CANARY}'\nhash = '{CANARY}'"),
        // Misspelt keys, and secrets in the wrong place.
        format!("[providers.openai]\napikey = '{secret}'"),
        format!("[provider.openai]\napi_key = '{secret}'\nmore = {{ deep = ['{secret}'] }}"),
        format!("openai_api_key = '{secret}'"),
        // A fault beside a secret on one line.
        format!("providers = {{ openai = {{ api_key = '{secret}', nope = 1 }} }}"),
        format!("nope = 1 # {secret}"),
    ];
    for text in cases {
        assert_silent(&text, &told(&Given::toml(&text).faults()));
    }
}

#[test]
fn syntax_faults_hold_no_secret() {
    let cases = [
        ("c.toml", format!("[providers.openai]\napi_key = \"sk-{CANARY}\n")),
        ("c.toml", format!("[providers.openai]\napi_key = sk-{CANARY}\n")),
        ("c.toml", format!("[providers.openai]\napi_key \"sk-{CANARY}\"\n")),
        ("c.toml", format!("[providers.openai.headers]\nx = '{CANARY}' y\n")),
        ("c.toml", format!("data = \"\"\"\n{CANARY}-0123456789 \\q\n\"\"\"\n")),
        ("c.yaml", format!("providers:\n  openai:\n    api_key: sk-{CANARY}: x\n")),
        ("c.yaml", format!("providers:\n  openai: {{api_key: \"sk-{CANARY}\"\n")),
        ("c.yaml", format!("providers:\n  openai:\n    api_key:\n    - sk-{CANARY}-0123456789: [\n")),
        ("c.json", format!("{{\"providers\": {{\"openai\": {{\"api_key\": \"sk-{CANARY}\" \"x\"}}}}}}")),
        ("c.json", format!("{{\"providers\": {{\"openai\": {{\n\"api_key\" \"sk-{CANARY}\"}}}}}}")),
        ("c.json", format!("{{\"providers\": {{\"openai\": {{\"api_key\": \"sk-{CANARY}\\ud800\"}}}}}}")),
    ];
    for (name, text) in cases {
        assert_silent(&text, &told(&Given::file(name, &text).faults()));
    }
}

#[test]
fn what_is_brought_in_is_not_repeated() {
    let keys = [
        "server.listen = 'V'",
        "server.hosts = ['V']",
        "server.workers = 'V'",
        "server.timeouts.idle = 'V'",
        "log.level = 'V'",
        "log.format = 'V'",
        "providers.x.preset = 'V'",
        "providers.vllm.base_url = 'V'",
        "providers.vllm.ca_file = 'V'",
        "models.a.targets = [{ model = 'V' }]",
        "models.a = { targets = [{ model = 'sim/x' }], fallback = ['V'], strategy = 'V' }",
        "guard.strategies.a.like = 'V'",
        "guard.concurrency.algorithm = 'V'",
        "keys = [{ id = 'V', hash = 'V', tenant = 'V V', models = ['V*V'] }]",
    ];
    // Of no key's form, so that every one of them is refused.
    let wrong = &format!("{CANARY} /x");
    for written in keys {
        for expansion in ["${SECRET}", "${file:secret}"] {
            let text = written.replace('V', expansion);
            let given = Given::toml(&text).variable("SECRET", wrong).beside("secret", wrong);
            assert_silent(&text, &told(&given.faults()));
        }
    }
    for variable in
        ["SERVER__LISTEN", "SERVER__WORKERS", "SERVER__HOSTS", "LOG__LEVEL", "LOG__FORMAT", "NOPE"]
    {
        let given = Given::toml("").variable(&format!("TIDEGATE__{variable}"), wrong);
        assert_silent(variable, &told(&given.faults()));
    }
}

#[test]
fn nothing_prints_a_secret() {
    let given = Given::toml(
        "[providers.openai]\napi_key = 'sk-CANARY'\nheaders = { authorization2 = 'CANARY' }\n[providers.groq]\n",
    )
    .variable("GROQ_API_KEY", "gsk-CANARY")
    .variable("TIDEGATE_ADMIN_KEY", "CANARY-0123456789-0123456789-0123456789");
    let loaded = given.loaded();
    assert_silent("toml", &loaded.to_toml());
    assert_silent("json", &loaded.to_json().to_string());
    assert_silent("debug", &format!("{:?} {:?}", loaded.config, given.sources));
    assert_eq!(loaded.to_toml().matches("[redacted]").count(), 1 + 3 + 1, "{}", loaded.to_toml());
}

#[test]
fn every_text_of_the_file_that_may_be_secret_is_typed_so() {
    // Whoever adds a key that sounds secret must give it the type that is never shown.
    fn walk(schema: &serde_json::Value, found: &mut Vec<String>) {
        for (key, value) in schema.get("properties").and_then(|known| known.as_object()).into_iter().flatten()
        {
            let secret = value["$ref"] == "#/$defs/Secret";
            if ["key", "hash", "secret", "password"].iter().any(|word| key.ends_with(word)) && !secret {
                found.push(key.clone());
            }
        }
        for value in
            schema.get("$defs").and_then(|defs| defs.as_object()).into_iter().flat_map(|defs| defs.values())
        {
            walk(value, found);
        }
    }
    let mut found = Vec::new();
    walk(schema(), &mut found);
    // The path of a TLS key's file is no secret.
    assert_eq!(found, ["key"]);
}
