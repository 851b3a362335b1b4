//! What OpenTelemetry's own variables say of `[traces]`, where nobody says otherwise: those that its specification
//! names for every exporter and every service. What of them cannot be read is told and passed over, as it asks.

use super::super::fault::{Finding, Findings};
use super::super::tree::{Kind, Node, Origin, Path};
use super::{Environment, put};

/// The address that is taken as it is, unlike the one for all signals.
pub(in crate::config) const OTLP_TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// What may be said of `OTEL_TRACES_SAMPLER`.
const SAMPLERS: &str = "write always_on, always_off or traceidratio, perhaps with parentbased_ before it";
/// Most members of a list that are read.
const MEMBERS_MAX: usize = 64;

/// Adds what the variables say.
pub(super) fn add(tree: &mut Node, environment: &Environment, warnings: &mut Findings) {
    let is_off = environment.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || environment.filled("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
    // What belongs to a collector, credentials above all, goes to the one of the same source and to no other.
    if !is_off && tree.at(&Path::of(&["traces", "endpoint"])).is_none() {
        add_collector(tree, environment, warnings);
    }
    if let Some(name) = environment.filled("OTEL_SERVICE_NAME") {
        add_text(tree, &["traces", "service_name"], name, "OTEL_SERVICE_NAME");
    }
    let attributes = "OTEL_RESOURCE_ATTRIBUTES";
    for (key, value) in environment.filled(attributes).map(pairs).unwrap_or_default() {
        match key.as_str() {
            "service.name" => add_text(tree, &["traces", "service_name"], &value, attributes),
            key => add_text(tree, &["traces", "attributes", key], &value, attributes),
        }
    }
    if let Some((ratio, variable)) = ratio(environment, warnings) {
        let kind = Kind::Untyped(ratio);
        put(tree, &["traces", "ratio"], kind, Origin::Variable(variable.to_owned()));
    }
}

fn add_collector(tree: &mut Node, environment: &Environment, warnings: &mut Findings) {
    let Some((variable, endpoint)) = [OTLP_TRACES_ENDPOINT, OTLP_ENDPOINT]
        .into_iter()
        .find_map(|name| Some((name, environment.filled(name)?.trim())))
    else {
        return;
    };
    // gRPC's clients take `host:port` as well.
    let endpoint = match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false => format!("http://{endpoint}"),
    };
    add_text(tree, &["traces", "endpoint"], &endpoint, variable);
    if let Some((variable, protocol)) = of_signal(environment, "PROTOCOL") {
        match protocol {
            "grpc" => add_text(tree, &["traces", "protocol"], "grpc", &variable),
            "http/protobuf" | "http/json" => add_text(tree, &["traces", "protocol"], "http", &variable),
            _ => pass_over(&variable, "is no protocol", "write grpc or http/protobuf", warnings),
        }
    }
    if let Some((variable, list)) = of_signal(environment, "HEADERS") {
        for (name, value) in pairs(list) {
            add_text(tree, &["traces", "headers", &name], &value, &variable);
        }
    }
    if let Some((variable, file)) = of_signal(environment, "CERTIFICATE") {
        add_text(tree, &["traces", "ca_file"], file, &variable);
    }
    if let Some((variable, millis)) = of_signal(environment, "TIMEOUT") {
        match millis.parse::<u32>() {
            Ok(millis) => add_text(tree, &["traces", "timeout"], &format!("{millis}ms"), &variable),
            Err(_) => pass_over(&variable, "is no time", "write milliseconds: 10000", warnings),
        }
    }
    if let Some((variable, coding)) = of_signal(environment, "COMPRESSION") {
        match coding {
            "gzip" | "none" => {
                put(tree, &["traces", "compress"], Kind::Bool(coding == "gzip"), Origin::Variable(variable));
            }
            _ => pass_over(&variable, "is no coding that is known", "write gzip or none", warnings),
        }
    }
}

/// Its value is not told: it may be a secret that was put in the wrong place.
fn pass_over(variable: &str, what: &str, mend: &str, warnings: &mut Findings) {
    let finding = Finding::new(format!("{variable} {what}, and is passed over"), mend);
    warnings.push(finding.given_at(Origin::Variable(variable.to_owned())));
}

/// The variable for traces, or else the one for all signals.
fn of_signal<'e>(environment: &'e Environment, option: &str) -> Option<(String, &'e str)> {
    ["TRACES_", ""].into_iter().find_map(|signal| {
        let name = format!("OTEL_EXPORTER_OTLP_{signal}{option}");
        let value = environment.filled(&name)?.trim();
        Some((name, value))
    })
}

/// The share that the variables ask for, and which of them says so.
fn ratio(environment: &Environment, warnings: &mut Findings) -> Option<(String, &'static str)> {
    let (sampler, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
    match environment.filled(sampler)? {
        "always_on" | "parentbased_always_on" => Some(("1.0".to_owned(), sampler)),
        "always_off" | "parentbased_always_off" => Some(("0.0".to_owned(), sampler)),
        "traceidratio" | "parentbased_traceidratio" => {
            let share = environment.filled(argument).unwrap_or("1.0");
            let is_share = share.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share));
            if !is_share {
                pass_over(argument, "is no share", "write a number from 0 to 1: 0.1", warnings);
            }
            is_share.then(|| (share.to_owned(), argument))
        }
        _ => {
            pass_over(sampler, "is no sampler that is known", SAMPLERS, warnings);
            None
        }
    }
}

/// `key=value` pairs with commas between, values percent-encoded.
fn pairs(list: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then(|| Some((key.to_owned(), percent_decoded(value.trim())?)))?
    };
    list.split(',').filter_map(pair).take(MEMBERS_MAX).collect()
}

/// `None` where it is no text afterwards.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = others.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn add_text(tree: &mut Node, keys: &[&str], text: &str, variable: &str) {
    put(tree, keys, Kind::Text(text.to_owned()), Origin::Variable(variable.to_owned()));
}
