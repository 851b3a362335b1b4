//! Who runs batches: the gateway, or a provider's own API where it has one and asks less.

use super::*;

const OPENAI: &str = "providers.openai.api_key = 'sk-1'\n";

/// A provider that runs batches, if its owner is to be believed.
fn own(members: &str) -> String {
    format!("[providers.own]\npreset = 'openai-compatible'\nbase_url = 'http://127.0.0.1:9/v1'\n{members}\n")
}

fn alias(target: &str) -> String {
    format!("[models.a]\ntargets = [{{ model = '{target}' }}]\nbatch = 'provider'\n")
}

#[test]
fn a_batch_costs_what_the_price_or_the_preset_says() {
    let check = |text: &str, provider: &str, expected: Option<f64>| {
        assert_eq!(Given::toml(text).config().providers[provider].batch_factor("m"), expected, "{text}");
    };
    let price = |batch: &str| format!("prices = {{ m = {{ input = 1.0, output = 2.0{batch} }} }}");
    check(OPENAI, "openai", Some(0.5));
    check(&format!("{OPENAI}providers.openai.batches = false"), "openai", None);
    check(&format!("{OPENAI}providers.openai.{}", price(", batch = 0.25")), "openai", Some(0.25));
    check(&format!("{OPENAI}providers.openai.{}", price(", batch = 1.0")), "openai", None);
    check(&own(""), "own", None);
    check(&own("batches = true"), "own", None);
    check(&own(&price(", batch = 0.5")), "own", None);
    check(&own(&format!("batches = true\n{}", price(", batch = 0.5"))), "own", Some(0.5));
    check(&own(&format!("batches = true\n{}", price(""))), "own", None);
}

#[test]
fn an_alias_opts_in() {
    let says = |text: &str| Given::toml(text).config().models["a"].batch_at_provider;
    let text = format!("{OPENAI}{}", alias("openai/m"));
    assert!(says(&text));
    assert!(!says(&text.replace("'provider'", "'gateway'")));
    assert_eq!(Given::toml(&text).loaded().warnings, []);
}

#[test]
fn a_provider_without_such_an_api_is_a_fault_and_one_that_is_no_cheaper_is_odd() {
    let check = |text: &str, key: &str, what: &str, mend: &str| {
        let faults = Given::toml(text).faults();
        let fault =
            faults.iter().find(|fault| fault.key == key).unwrap_or_else(|| panic!("{text}: {faults:?}"));
        assert!(fault.what.contains(what) && fault.mend.contains(mend), "{fault:?}");
    };
    check(&alias("sim/m"), "models.a.batch", "`sim` runs no batches", "the gateway runs them");
    check(&format!("{}{}", own(""), alias("own/m")), "models.a.batch", "`own` runs no", "`batches = true`");
    check("providers.sim.batches = true", "providers.sim.batches", "no batches in the shape", "leave it out");
    check(&alias("sim/m").replace("'provider'", "'elsewhere'"), "models.a.batch", "unknown value", "gateway");
    let loaded = Given::toml(&format!("{}{}", own("batches = true"), alias("own/m"))).loaded();
    let odd: Vec<_> = loaded.warnings.iter().map(|odd| (odd.key.as_str(), odd.mend.as_str())).collect();
    assert_eq!(odd, [("models.a.batch", "say so: `prices = { \"m\" = { …, batch = 0.5 } }`")]);
}
