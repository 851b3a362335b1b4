//! When to call for somebody, and whom.

use measure::alerts::{Kind, Limit, PAGE, Severity, TICKET, WINDOWS_MAX, WINDOWS_MIN};

use super::*;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn the_rules_of_the_house_are_on() {
    let alerts = default_config().alerts;
    assert!(alerts.enabled && alerts.receivers.is_empty());
    let found: Vec<_> =
        alerts.rules.iter().map(|rule| (rule.name.as_str(), &rule.of.figure[..], &rule.kind)).collect();
    let above = |limit| Kind::Threshold(Limit::Above(limit));
    let expected = [
        ("cpu", "cpu_share", &above(0.7)),
        ("errors", "error_share", &above(0.01)),
        ("failures", "failures", &above(0.0)),
        ("memory", "memory_share", &above(0.8)),
        ("response", "response_p95_seconds", &above(0.5)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_rule_of_the_house_is_changed_by_what_is_given_of_it() {
    let text = "[alerts.rules.response]\nabove = 20.0\n[alerts.rules.cpu]\nenabled = false\n[alerts.rules.memory]\nbelow = 0.1\n";
    let rules = Given::toml(text).config().alerts.rules;
    let rule = |name: &str| rules.iter().find(|rule| rule.name == name);
    let response = rule("response").unwrap();
    assert_eq!(response.kind, Kind::Threshold(Limit::Above(20.0)));
    assert_eq!(
        (response.hold, response.traffic.as_ref().unwrap().at_least),
        (Duration::from_secs(300), 20.0)
    );
    assert_eq!(rule("memory").unwrap().kind, Kind::Threshold(Limit::Below(0.1)));
    assert_eq!(rule("cpu"), None);
}

#[test]
fn a_burn_rate_pages_or_writes_a_ticket_by_its_severity() {
    for (severity, expected) in [("critical", &PAGE[..]), ("warning", &TICKET[..])] {
        let text =
            format!("[alerts.rules.b]\nkind = 'burn_rate'\nobjective = 0.99\nseverity = '{severity}'\n");
        let rules = Given::toml(&text).config().alerts.rules;
        let rule = rules.iter().find(|rule| rule.name == "b").unwrap();
        assert_eq!(rule.kind, Kind::BurnRate { objective: 0.99, burns: expected.to_vec() });
        assert_eq!(rule.of.figure, "error_share");
    }
}

#[test]
fn an_anomaly_waits_for_as_many_windows_as_are_asked_for() {
    for (given, windows_min) in
        [("", WINDOWS_MIN), ("windows_min = 5", 5), ("windows_min = 120", WINDOWS_MAX)]
    {
        let text = format!("[alerts.rules.a]\nkind = 'anomaly'\nfigure = 'errors'\n{given}\n");
        let rules = Given::toml(&text).config().alerts.rules;
        let rule = rules.iter().find(|rule| rule.name == "a").unwrap();
        assert_eq!(rule.kind, Kind::Anomaly { deviations: 4.0, windows_min });
    }
}

#[test]
fn receivers_are_what_their_kind_asks_for() {
    let text = format!(
        "[alerts.receivers.a]\nkind = 'alertmanager'\nurl = 'http://10.0.0.1:9093/am/'\nprivate = true\n\
         [alerts.receivers.b]\nkind = 'webhook'\nurl = 'https://h.example/p?q=1'\nsecret = '{SECRET}'\nseverity_min = 'critical'\n\
         [alerts.receivers.c]\nkind = 'email'\nserver = 'mail.example:465'\ntls = 'implicit'\nfrom = 'T <t@example.com>'\nto = ['o@example.com']\n"
    );
    let receivers = Given::toml(&text).config().alerts.receivers;
    let [a, b, c] = &receivers[..] else { panic!("{receivers:?}") };
    let Way::Alertmanager(spot) = &a.way else { panic!("{a:?}") };
    assert_eq!((spot.target.as_str(), spot.base.named_by_operator), ("/am/api/v2/alerts", true));
    assert_eq!((b.way.place().as_str(), b.severity_min), ("h.example", Severity::Critical));
    let Way::Email(mail) = &c.way else { panic!("{c:?}") };
    assert_eq!((mail.server.https, mail.server.port, mail.starttls, mail.to.len()), (true, 465, false, 1));
}

#[test]
fn what_cannot_be_is_told_with_its_mend() {
    let rule = |text: &str| format!("[alerts.rules.r]\n{text}");
    let receiver = |text: &str| format!("[alerts.receivers.r]\n{text}");
    let mail = |text: &str| {
        receiver(&format!("kind = 'email'\nserver = 'm.example:25'\nfrom = 'a@b.c'\nto = ['a@b.c']\n{text}"))
    };
    let cases = [
        (rule("above = 1.0"), "alerts.rules.r", "name one of requests,"),
        (rule("figure = 'error_shore'\nabove = 1.0"), "alerts.rules.r.figure", "error_share"),
        (rule("figure = 'errors'"), "alerts.rules.r", "either `above` or `below`"),
        (rule("figure = 'errors'\nabove = 1.0\nbelow = 2.0"), "alerts.rules.r", "either `above` or `below`"),
        (rule("figure = 'errors'\nabove = 1.0\nwithin = '1h'"), "alerts.rules.r.within", "another `kind`"),
        (rule("figure = 'errors'\nabove = 1.0\nby = ['modle']"), "alerts.rules.r.by[0]", "`model`?"),
        (
            rule("figure = 'cpu_share'\nabove = 1.0\nwhere = { x = 'y' }"),
            "alerts.rules.r.where.x",
            "leave it out",
        ),
        (rule("figure = 'errors'\nabove = 1.0\nwindow = '1ms'"), "alerts.rules.r.window", "within the range"),
        (rule("figure = 'errors'\nabove = 1.0\nfor = '9999h'"), "alerts.rules.r.for", "within the range"),
        (
            rule("figure = 'errors'\nabove = 1.0\nlabels = { '1' = 'y' }"),
            "alerts.rules.r.labels.1",
            "letters",
        ),
        (rule("kind = 'burn_rate'"), "alerts.rules.r", "0.999"),
        (rule("kind = 'burn_rate'\nobjective = 1.0"), "alerts.rules.r", "0.999"),
        (
            rule(
                "kind = 'burn_rate'\nobjective = 0.9\nburns = [{ factor = 1.0, long = '5m', short = '1h' }]",
            ),
            "alerts.rules.r.burns[0].short",
            "twelfth",
        ),
        (
            rule("kind = 'burn_rate'\nobjective = 0.8\nseverity = 'critical'"),
            "alerts.rules.r.objective",
            "never",
        ),
        (rule("kind = 'burn_rate'\nobjective = 0.9\nburns = []"), "alerts.rules.r.objective", "never"),
        (rule("kind = 'forecast'\nfigure = 'memory_share'\nabove = 1.0"), "alerts.rules.r", "how soon"),
        (
            rule("kind = 'forecast'\nfigure = 'errors'\nabove = 1.0\nwithin = '1h'\nwindow = '19s'"),
            "alerts.rules.r.window",
            "20s to 72h",
        ),
        (rule("kind = 'anomaly'\nfigure = 'errors'\nwindows_min = 4"), "alerts.rules.r.windows_min", "5"),
        (
            rule("figure = 'errors'\nabove = 1.0\nwindows_min = 5"),
            "alerts.rules.r.windows_min",
            "another `kind`",
        ),
        (
            "[alerts.rules.'a b']\nfigure = 'errors'\nabove = 1.0".to_owned(),
            "alerts.rules.\"a b\"",
            "letters",
        ),
        ("[alerts]\ngroup_by = ['a-b']".to_owned(), "alerts.group_by[0]", "letters"),
        ("[alerts]\nrepeat = '0s'".to_owned(), "alerts.repeat", "within the range"),
        ("[alerts]\nlink = 'gateway'".to_owned(), "alerts.link", "https://"),
        (receiver(""), "alerts.receivers.r.kind", "add `kind`"),
        (receiver("kind = 'slack'"), "alerts.receivers.r", "where it is"),
        (receiver("kind = 'slack'\nurl = 'http://127.0.0.1/x'"), "alerts.receivers.r.url", "private = true"),
        (receiver("kind = 'slack'\nurl = 'ftp://h.example/x'"), "alerts.receivers.r.url", "write a URL"),
        (
            receiver("kind = 'slack'\nurl = 'http://h.example/'\nto = ['a@b.c']"),
            "alerts.receivers.r.to",
            "leave it out",
        ),
        (receiver("kind = 'webhook'\nurl = 'http://h.example/'"), "alerts.receivers.r", "openssl rand"),
        (
            receiver("kind = 'webhook'\nurl = 'http://h.example/'\nsecret = 'x'"),
            "alerts.receivers.r.secret",
            "openssl rand",
        ),
        (
            receiver("kind = 'alertmanager'\nurl = 'http://h.example/?x'"),
            "alerts.receivers.r.url",
            "before /api/v2",
        ),
        (
            receiver("kind = 'email'\nfrom = 'a@b.c'\nto = ['a@b.c']"),
            "alerts.receivers.r.server",
            "host:port",
        ),
        (
            receiver("kind = 'email'\nserver = 'm.example:25'\nfrom = 'a@b.c'"),
            "alerts.receivers.r",
            "name them",
        ),
        (mail("username = 'u'"), "alerts.receivers.r", "both `username` and `password`"),
        (mail("username = 'u'\npassword = 'p'\ntls = 'none'"), "alerts.receivers.r.tls", "starttls"),
        (mail("timeout = '1h'"), "alerts.receivers.r.timeout", "within the range"),
        (
            mail("").replace("to = ['a@b.c']", "to = ['a at b']"),
            "alerts.receivers.r.to[0]",
            "name@example.com",
        ),
        (mail("").replace("m.example:25", "127.0.0.1:25"), "alerts.receivers.r.server", "private = true"),
    ];
    for (text, key, mend) in cases {
        let faults = Given::toml(&text).faults();
        let told: Vec<_> = faults.iter().map(|fault| (&fault.key, &fault.what, &fault.mend)).collect();
        let fault =
            faults.iter().find(|fault| fault.key == key).unwrap_or_else(|| panic!("{text}: {told:?}"));
        assert!(fault.mend.contains(mend) || fault.what.contains(mend), "{text}: {told:?}");
    }
}

#[test]
fn a_value_that_is_refused_is_not_also_missing() {
    for (text, key) in [
        ("[alerts.rules.r]\nfigure = 'foo'\nabove = 1.0", "alerts.rules.r.figure"),
        ("[alerts.rules.r]\nfigure = 'errors'\nabove = 'much'", "alerts.rules.r.above"),
        ("[alerts.rules.r]\nkind = 'burn_rate'\nobjective = 'x'", "alerts.rules.r.objective"),
        (
            "[alerts.rules.r]\nkind = 'forecast'\nfigure = 'errors'\nabove = 1.0\nwithin = 'soon'",
            "alerts.rules.r.within",
        ),
        ("[alerts.receivers.r]\nkind = 'slack'\nurl = 7", "alerts.receivers.r.url"),
        (
            "[alerts.receivers.r]\nkind = 'webhook'\nurl = 'http://h.example/'\nsecret = 7",
            "alerts.receivers.r.secret",
        ),
    ] {
        let faults = Given::toml(text).faults();
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, [key], "{}", faults.render(false));
    }
}

#[test]
fn no_receivers_secret_is_shown() {
    let text = format!(
        "[alerts.receivers.a]\nkind = 'slack'\nurl = 'https://hooks.example/services/hunter2'\n\
         [alerts.receivers.b]\nkind = 'webhook'\nurl = 'https://h.example/hunter2'\nsecret = '{SECRET}'\n\
         [alerts.receivers.c]\nkind = 'email'\nserver = 'm.example:25'\nfrom = 'a@b.c'\nto = ['a@b.c']\nusername = 'u'\npassword = 'hunter2'\n"
    );
    let loaded = Given::toml(&text).loaded();
    for shown in [loaded.to_toml(), loaded.to_json().to_string(), format!("{:?}", loaded.config)] {
        assert!(!shown.contains("hunter2") && !shown.contains(&SECRET[8..20]), "{shown}");
    }
}
