//! What lasts and what is done later.

use super::*;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn the_database_is_a_file_in_the_data_folder_unless_somebody_says_otherwise() {
    let check = |given: Given, expected: &str| {
        assert_eq!(given.config().store.url.expose(), expected);
    };
    check(Given::toml("data = '/d'"), "sqlite:/d/tidegate.db");
    check(Given::toml("data = '/d'\n[store]\nurl = ''"), "sqlite:/d/tidegate.db");
    let beside = Given::toml("[store]\nurl = 'sqlite:jobs.db'");
    let path = format!("sqlite:{}", beside.path("jobs.db").display());
    check(beside, &path);
    check(Given::toml("[store]\nurl = 'sqlite:///j.db'"), "sqlite:/j.db");
    let url = "postgres://u:p@h:5432/n";
    check(Given::toml("").variable("DATABASE_URL", url), url);
    check(Given::toml("[store]\nurl = 'sqlite:/j.db'").variable("DATABASE_URL", url), "sqlite:/j.db");
}

#[test]
fn what_was_used_is_kept_for_more_than_a_year_unless_somebody_says_otherwise() {
    let kept = |text: &str| Given::toml(text).config().store.keep_usage.as_secs() / 86_400;
    assert_eq!((kept(""), kept("[store]\nkeep_usage = '48h'")), (400, 2));
}

#[test]
fn queues_are_those_that_are_named_and_two_more() {
    let text = "[jobs.queues.reports]\nrate_per_second = 0.5\n[jobs.queues.default]\nworkers_max = 3\n";
    let queues = Given::toml(text).config().jobs.queues;
    assert_eq!(queues.keys().collect::<Vec<_>>(), ["default", "reports", "webhooks"]);
    assert_eq!((queues["default"].workers_max, queues["webhooks"].workers_max), (3, 100));
    let rate = queues["reports"].rate.unwrap();
    assert_eq!((rate.per_second, rate.burst), (0.5, 1.0));
}

#[test]
fn what_cannot_be_is_told_with_its_mend() {
    let cases = [
        ("[store]\nurl = 'mysql://h'", "store.url", "sqlite:PATH"),
        ("[store]\nurl = 'sqlite:'", "store.url", "lacks the path"),
        ("[store]\nreplica = 'postgres://h/n'", "store.replica", "DATABASE_URL"),
        ("[store]\nurl = 'postgres://h/n'\nreplica = 'sqlite:x'", "store.replica", "postgres://"),
        ("[store]\nconnections = 0", "store.connections", "within the range"),
        ("[store]\noverflow = 5000", "store.overflow", "within the range"),
        ("[store]\nrecycle = '1s'", "store.recycle", "within the range"),
        ("[store]\nwait = '1ms'", "store.wait", "within the range"),
        ("[store]\nkeep_usage = '23h'", "store.keep_usage", "within the range"),
        ("[jobs.queues.Reports]", "jobs.queues.Reports", "lower-case"),
        ("[jobs.queues.q]\nburst = 2.0", "jobs.queues.q.burst", "rate_per_second"),
        ("[jobs.queues.q]\nattempt_max = '1ms'", "jobs.queues.q.attempt_max", "within the range"),
        ("[jobs]\nbacklog_max = 0", "jobs.backlog_max", "within the range"),
        ("[jobs]\nkeep_done = '1s'", "jobs.keep_done", "within the range"),
        ("[jobs]\npayload_bytes_max = '1GiB'", "jobs.payload_bytes_max", "within the range"),
        ("[jobs.webhook]\nsecret = 'plain'", "jobs.webhook.secret", "openssl rand"),
        ("[jobs.webhook]\nsecret = 'whsec_AAAA'", "jobs.webhook.secret", "openssl rand"),
    ];
    for (text, key, mend) in cases {
        let faults = Given::toml(text).faults();
        let fault = faults.iter().find(|fault| fault.key == key).unwrap_or_else(|| panic!("{text}"));
        assert!(fault.mend.contains(mend), "{text}: {}", fault.mend);
    }
}

#[test]
fn neither_the_databases_password_nor_the_webhooks_secret_is_shown() {
    let store = "[store]\nurl = 'postgres://u:hunter2@h/n'\nreplica = 'postgres://u:hunter2@r/n'\n";
    let loaded = Given::toml(&format!("{store}[jobs.webhook]\nsecret = '{SECRET}'\n")).loaded();
    assert_eq!(loaded.config.jobs.webhook.secret.as_ref().unwrap().expose(), (0..32).collect::<Vec<u8>>());
    for shown in [loaded.to_toml(), loaded.to_json().to_string(), format!("{:?}", loaded.config)] {
        assert!(!shown.contains("hunter2") && !shown.contains(&SECRET[8..20]), "{shown}");
    }
}
