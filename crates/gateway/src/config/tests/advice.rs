//! Advice: what holds without a word, and what is refused.

use super::*;

#[test]
fn the_defaults_advise() {
    assert_eq!(default_config().advice, Advice { enabled: true, requests_min: 200 });
}

#[test]
fn what_is_said_holds_and_what_cannot_be_is_told() {
    let said = Given::toml("[advice]\nenabled = false\nrequests_min = 20").config();
    assert_eq!(said.advice, Advice { enabled: false, requests_min: 20 });
    for (text, key, mend) in [
        ("requests_min = 0", "advice.requests_min", "1"),
        ("requests_min = 1000001", "advice.requests_min", "1000000"),
        ("requests = 5", "advice.requests", "requests_min"),
    ] {
        let faults = Given::toml(&format!("[advice]\n{text}")).faults();
        let fault = faults.iter().find(|fault| fault.key == key).unwrap_or_else(|| panic!("{text}"));
        assert!(format!("{} {}", fault.what, fault.mend).contains(mend), "{text}: {fault:?}");
    }
}
