//! What is seen of requests: what holds without a word, and what is refused.

use std::time::Duration;

use super::*;

#[test]
fn the_defaults_look_and_keep_little() {
    let observe = default_config().observe;
    assert!(observe.enabled);
    assert_eq!(observe.slow, Duration::from_secs(5));
    assert_eq!((observe.requests, observe.requests_slow, observe.requests_failed), (2000, 500, 500));
    assert_eq!((observe.requests_bytes_max, observe.figures_bytes_max), (4 << 20, 8 << 20));
    assert_eq!((observe.history_days, observe.history_bytes_max), (30, 512 << 20));
}

#[test]
fn what_cannot_be_is_told_with_its_mend() {
    let cases = [
        ("slow = '0s'", "observe.slow", "within the range"),
        ("slow = '2h'", "observe.slow", "within the range"),
        ("requests_bytes_max = '1KiB'", "observe.requests_bytes_max", "within the range"),
        ("figures_bytes_max = '1KiB'", "observe.figures_bytes_max", "within the range"),
        ("history_bytes_max = '1KiB'", "observe.history_bytes_max", "within the range"),
        ("history_days = 367", "observe.history_days", "366"),
        ("requests = 100001", "observe.requests", "100000"),
        ("request = 5", "observe.request", "requests"),
    ];
    for (text, key, mend) in cases {
        let faults = Given::toml(&format!("[observe]\n{text}")).faults();
        let fault = faults.iter().find(|fault| fault.key == key).unwrap_or_else(|| panic!("{text}"));
        assert!(format!("{} {}", fault.what, fault.mend).contains(mend), "{text}: {fault:?}");
    }
}
