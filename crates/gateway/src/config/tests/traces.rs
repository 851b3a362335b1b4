//! Traces: where they go, and what OpenTelemetry's own variables say of it.

use super::*;

/// `protocol URL`, or `off`.
fn shown(config: &Config) -> String {
    match &config.traces.collector {
        None => "off".to_owned(),
        Some(Collector { url, protocol, .. }) => format!("{protocol:?} {url}"),
    }
}

#[test]
fn a_collector_is_where_the_file_says_and_spoken_to_as_its_port_says() {
    for (lines, expected) in [
        ("", "off"),
        ("endpoint = ''", "off"),
        ("ratio = 0.5", "off"),
        ("endpoint = 'http://c:4317'", "Grpc http://c:4317"),
        ("endpoint = 'http://c:4318'", "Http http://c:4318/v1/traces"),
        ("endpoint = 'https://c'", "Http https://c/v1/traces"),
        ("endpoint = 'https://c/otlp/'", "Http https://c/otlp/v1/traces"),
        ("endpoint = 'https://c/v1/traces'", "Http https://c/v1/traces"),
        ("endpoint = 'https://c'\nprotocol = 'grpc'", "Grpc https://c"),
        ("endpoint = 'http://c:4317'\nprotocol = 'http'", "Http http://c:4317/v1/traces"),
    ] {
        assert_eq!(shown(&Given::toml(&format!("[traces]\n{lines}")).config()), expected, "{lines}");
    }
}

#[test]
fn what_goes_to_another_machine_is_compressed_unless_it_is_said() {
    let coding = |coding| ("OTEL_EXPORTER_OTLP_COMPRESSION", coding);
    let (near, far) = ("http://localhost:4317", "https://c");
    let endpoint = |endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    for (lines, variables, expected) in [
        ("endpoint = 'https://c'", vec![], true),
        ("endpoint = 'http://10.0.0.7:4317'", vec![], true),
        ("endpoint = 'http://localhost:4317'", vec![], false),
        ("endpoint = 'http://127.0.0.1:4318'", vec![], false),
        ("endpoint = 'http://[::1]:4318'", vec![], false),
        ("endpoint = 'http://localhost:4317'\ncompress = true", vec![], true),
        ("endpoint = 'https://c'\ncompress = false", vec![], false),
        ("", vec![endpoint(near)], false),
        ("", vec![endpoint(near), coding("gzip")], true),
        ("", vec![endpoint(far)], true),
        ("", vec![endpoint(far), coding("none")], false),
        ("", vec![endpoint(far), coding("lzma")], true),
        ("compress = false", vec![endpoint(far), coding("gzip")], false),
    ] {
        let given = Given::toml(&format!("[traces]\n{lines}"));
        let given = variables.into_iter().fold(given, |given, (name, value)| given.variable(name, value));
        assert_eq!(given.config().traces.collector.unwrap().gzip, expected, "{lines}");
    }
}

#[test]
fn opentelemetrys_variables_fill_in_what_the_file_does_not_say() {
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://base:4318");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:4318/in");
    let file = "[traces]\nendpoint = 'http://file:4317'\n";
    for (text, variables, expected) in [
        ("", vec![base], "Http http://base:4318/v1/traces"),
        ("", vec![base, own], "Http http://own:4318/in"),
        ("", vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "base:4317")], "Grpc http://base:4317"),
        ("", vec![base, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "Grpc http://base:4318"),
        (
            "",
            vec![base, ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon")],
            "Http http://base:4318/v1/traces",
        ),
        (
            "",
            vec![
                base,
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ],
            "Http http://base:4318/v1/traces",
        ),
        ("", vec![base, ("OTEL_SDK_DISABLED", "true")], "off"),
        ("", vec![base, ("OTEL_TRACES_EXPORTER", "none")], "off"),
        ("", vec![base, ("OTEL_TRACES_EXPORTER", "otlp")], "Http http://base:4318/v1/traces"),
        (file, vec![base, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], "Grpc http://file:4317"),
    ] {
        let given =
            variables.iter().fold(Given::toml(text), |given, (name, value)| given.variable(name, value));
        assert_eq!(shown(&given.config()), expected, "{variables:?}");
    }
}

#[test]
fn a_services_name_its_attributes_and_its_share_come_from_variables_too() {
    let config = Given::toml("")
        .variable("OTEL_SERVICE_NAME", "front")
        .variable("OTEL_RESOURCE_ATTRIBUTES", "service.name=other, team=a%20b,odd,=none")
        .variable("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .variable("OTEL_TRACES_SAMPLER_ARG", "0.25")
        .config();
    assert_eq!((config.traces.service_name.as_str(), config.traces.ratio), ("front", 0.25));
    assert_eq!(config.traces.attributes, [("team".to_owned(), "a b".to_owned())].into());
    let of = |sampler, file: &str| {
        Given::toml(file).variable("OTEL_TRACES_SAMPLER", sampler).config().traces.ratio
    };
    assert_eq!(
        (of("always_on", ""), of("parentbased_always_off", ""), of("jaeger_remote", "")),
        (1.0, 0.0, 0.1)
    );
    assert_eq!(of("always_on", "[traces]\nratio = 0.5"), 0.5);
}

#[test]
fn what_of_opentelemetrys_variables_cannot_be_read_is_told_and_passed_over() {
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://base:4318");
    let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
    for (first, odd, value, what) in [
        (base, "OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon", "is no protocol"),
        (base, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s", "is no time"),
        (base, "OTEL_EXPORTER_OTLP_COMPRESSION", "lzma", "is no coding"),
        (ratio, "OTEL_TRACES_SAMPLER_ARG", "1.5", "is no share"),
        (base, "OTEL_TRACES_SAMPLER", "jaeger_remote", "is no sampler"),
    ] {
        let loaded = Given::toml("").variable(first.0, first.1).variable(odd, value).loaded();
        let told: Vec<&str> = loaded.warnings.iter().map(|warning| warning.what.as_str()).collect();
        assert!(matches!(told[..], [told] if told.starts_with(&format!("{odd} {what}"))), "{told:?}");
        assert!(!format!("{:?}", loaded.warnings).contains(value), "it may be a secret");
    }
}

#[test]
fn credentials_go_to_the_collector_they_came_with_and_to_no_other() {
    let headers = |file: &str| {
        let config = Given::toml(file)
            .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "https://base")
            .variable("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20hunter2,x-team=a")
            .config();
        let headers = config.traces.collector.unwrap().headers;
        headers.iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect::<Vec<_>>()
    };
    assert_eq!(headers(""), ["authorization: Bearer hunter2", "x-team: a"]);
    assert_eq!(headers("[traces]\nendpoint = 'https://file'"), Vec::<String>::new());
}

#[test]
fn what_cannot_be_is_told_with_its_mend() {
    for (lines, key, mend) in [
        ("endpoint = 'c:4317'", "traces.endpoint", "http://host:4317"),
        ("endpoint = 'http://u:hunter2@c'", "traces.endpoint", "http://host:4317"),
        ("protocol = 'thrift'", "traces.protocol", "grpc"),
        ("ratio = 1.5", "traces.ratio", "within the range"),
        ("slow = '0s'", "traces.slow", "within the range"),
        ("timeout = '1h'", "traces.timeout", "within the range"),
        ("service_name = ''", "traces.service_name", "1 to 1024"),
        ("ca_file = 'none.pem'", "traces.ca_file", ""),
        ("headers = { te = 'x' }", "traces.headers.te", "leave it out"),
        ("headers = { 'a b' = 'x' }", "traces.headers.a b", "letters"),
    ] {
        let faults = Given::toml(&format!("[traces]\n{lines}\n")).faults();
        let told = faults.render(false);
        let fault = faults.iter().find(|fault| fault.key.replace('"', "") == key);
        let fault = fault.unwrap_or_else(|| panic!("{lines}: {told}"));
        assert!(fault.mend.contains(mend), "{lines}: {}", fault.mend);
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn headers_are_never_shown() {
    let text = "[traces]\nendpoint = 'https://c'\nheaders = { authorization = 'Bearer hunter2' }\n";
    let loaded = Given::toml(text).loaded();
    for shown in [loaded.to_toml(), loaded.to_json().to_string(), format!("{:?}", loaded.config)] {
        assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
    }
}
