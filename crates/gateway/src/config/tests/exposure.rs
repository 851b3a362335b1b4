//! Nothing unguarded leaves loopback; certificates are looked at before they are needed.

use super::*;

const ADMIN_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A certificate and its key, as PEM.
pub(super) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_listener_beyond_loopback_needs_an_admin_key_and_callers_keys() {
    let short = &ADMIN_KEY[1..];
    // (listen, admin key, callers' keys, allowed)
    let cases = [
        ("127.0.0.1:1", "", false, true),
        ("127.9.9.9:1", "", false, true),
        ("[::1]:1", "", false, true),
        ("0.0.0.0:1", ADMIN_KEY, true, true),
        ("[::]:1", ADMIN_KEY, true, true),
        ("10.0.0.1:1", ADMIN_KEY, true, true),
        ("0.0.0.0:1", ADMIN_KEY, false, false),
        ("0.0.0.0:1", short, true, false),
        ("0.0.0.0:1", "", true, false),
        ("[::]:1", "", false, false),
        ("192.168.1.1:1", "", false, false),
        ("[::ffff:127.0.0.1]:1", "", false, false),
    ];
    for plane in ["server", "admin"] {
        for (listen, admin_key, keys, allowed) in cases {
            let keys = if keys { KEY } else { "" };
            let given = Given::toml(&format!("{plane}.listen = '{listen}'\n{keys}"));
            let given = given.variable("TIDEGATE_ADMIN_KEY", admin_key);
            match given.load() {
                Ok(_) => assert!(allowed, "{plane} {listen} {admin_key} {keys}"),
                Err(faults) => {
                    assert!(!allowed, "{}", faults.render(false));
                    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
                    assert_eq!(keys, [format!("{plane}.listen")]);
                    let mend = faults.iter().next().unwrap().mend.as_str();
                    assert_eq!(mend.contains("a longer admin key"), admin_key == short, "{mend}");
                }
            }
        }
    }
}

#[test]
fn a_flag_is_guarded_like_the_file() {
    let faults = Given::toml("").flag("--listen", "server.listen", "0.0.0.0:4000").faults();
    let fault = faults.iter().next().unwrap();
    assert_eq!(fault.given_by.as_deref(), Some("flag --listen"));
    assert!(
        fault.mend.contains("TIDEGATE_ADMIN_KEY") && fault.mend.contains("keys create"),
        "{}",
        fault.mend
    );
}

#[test]
fn two_listeners_never_share_an_address() {
    let cases = [
        ("127.0.0.1:4001", "127.0.0.1:4001", false),
        ("127.0.0.1:4001", "127.0.0.2:4001", true),
        ("127.0.0.1:4001", "[::1]:4001", true),
        ("0.0.0.0:4001", "127.0.0.1:4001", false),
        ("127.0.0.1:0", "127.0.0.1:0", true),
    ];
    for (server, admin, allowed) in cases {
        let text = format!("server.listen = '{server}'\nadmin.listen = '{admin}'\n{KEY}");
        let given = Given::toml(&text).variable("TIDEGATE_ADMIN_KEY", ADMIN_KEY);
        assert_eq!(given.load().is_ok(), allowed, "{server} {admin}");
    }
}

#[test]
fn a_short_admin_key_is_odd_and_a_callers_key_is_none() {
    let loaded = Given::toml("").variable("TIDEGATE_ADMIN_KEY", "short").loaded();
    assert_eq!(loaded.warnings[0].key, "admin.key");
    for key in [
        "tg-AbCdEf123456-0123456789abcdefghijABCDEFGHIJ0123456789abc",
        "with a space and more than 32 bytes",
        "ümlaut",
    ] {
        let faults = Given::toml("").variable("TIDEGATE_ADMIN_KEY", key).faults();
        assert_eq!(faults.iter().next().unwrap().key, "admin.key", "{key}");
    }
}

#[test]
fn certificates_and_keys_are_read_before_they_are_needed() {
    let (cert, key) = certificate();
    let (_, foreign) = certificate();
    // (cert file, key file, the keys at fault)
    let cases: [(&str, &str, &[&str]); 6] = [
        ("cert.pem", "key.pem", &[]),
        ("nope.pem", "key.pem", &["server.tls.cert"]),
        ("cert.pem", "cert.pem", &["server.tls.key"]),
        ("empty.pem", "nope.pem", &["server.tls.cert", "server.tls.key"]),
        (".", "key.pem", &["server.tls.cert"]),
        ("cert.pem", "foreign.pem", &["server.tls.key"]),
    ];
    for (cert_file, key_file, at_fault) in cases {
        let given = Given::toml(&format!("[server.tls]\ncert = '{cert_file}'\nkey = '{key_file}'\n"))
            .beside("cert.pem", &cert)
            .beside("key.pem", &key)
            .beside("foreign.pem", &foreign)
            .beside("empty.pem", "");
        match given.load() {
            Ok(loaded) => {
                assert!(at_fault.is_empty());
                let tls = loaded.config.server.tls.unwrap();
                assert_eq!((tls.cert, tls.key), (given.path(cert_file), given.path(key_file)));
            }
            Err(faults) => {
                let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
                assert_eq!(keys, at_fault, "{}", faults.render(false));
            }
        }
    }
}

#[test]
fn a_certificate_whose_time_has_passed_is_odd() {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    for (until, odd) in [(2021, true), (4000, false)] {
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let cert = params.self_signed(&key).unwrap();
        let loaded = Given::toml("[admin.tls]\ncert = 'cert.pem'\nkey = 'key.pem'\n")
            .beside("cert.pem", &cert.pem())
            .beside("key.pem", &key.serialize_pem())
            .loaded();
        let warned = loaded.warnings.iter().any(|warning| warning.key == "admin.tls.cert");
        assert_eq!(warned, odd, "{until}");
    }
}
