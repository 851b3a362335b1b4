//! Answers compressed for callers who accept it, on the wire.

use crate::client::{Answer, ask};
use crate::gateway::Gateway;
use crate::provider::fixed;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use std::io::Read;

/// A chat with `model` that is answered by a text of so many bytes, where the model is a simulated one.
fn chat(model: &str, bytes: usize, more: &str) -> String {
    format!(
        r#"{{"model":"{model}",{more}"messages":[{{"role":"user","content":"[[sim: bytes={bytes}]]"}}]}}"#
    )
}

fn answered_with(bytes: usize) -> String {
    chat("sim/instant", bytes, "")
}

async fn post(gateway: &Gateway, accept: Option<&str>, body: String) -> Answer {
    ask(gateway.data, Method::POST, "/v1/chat/completions", accept, body).await
}

fn decode(coding: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    match coding {
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_string(&mut text),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_string(&mut text),
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text),
        "deflate" => flate2::read::ZlibDecoder::new(bytes).read_to_string(&mut text),
        other => panic!("no coding of ours: {other}"),
    }
    .unwrap();
    text
}

/// What the model said, from an answer's JSON: its head holds an id and a time of its own.
fn content(text: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(text).unwrap();
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_long_answer_comes_in_the_coding_that_the_caller_likes_best() {
    let gateway = Gateway::start("");
    // The second is too long to be encoded on the worker's own thread.
    for bytes in [20_000, 1_000_000] {
        let plain = post(&gateway, None, answered_with(bytes)).await;
        assert_eq!((plain.status, header(&plain, "content-encoding")), (StatusCode::OK, None));
        assert_eq!(header(&plain, "vary"), Some("accept-encoding"));
        let said = content(std::str::from_utf8(&plain.body).unwrap());
        assert_eq!(said.len(), bytes);

        for (accept, coding) in [
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip, deflate, br", "br"),
            ("gzip, deflate", "gzip"),
            ("deflate", "deflate"),
            ("gzip;q=1, zstd;q=0.1", "gzip"),
        ] {
            let answer = post(&gateway, Some(accept), answered_with(bytes)).await;
            assert_eq!(header(&answer, "content-encoding"), Some(coding), "{accept}");
            assert_eq!(header(&answer, "vary"), Some("accept-encoding"));
            assert_eq!(header(&answer, "content-type"), Some("application/json"));
            assert_eq!(header(&answer, "content-length"), Some(answer.body.len().to_string().as_str()));
            assert_eq!(header(&answer, "x-tidegate-target"), Some("sim/instant"));
            assert!(answer.body.len() * 10 < bytes * 7, "{coding}: {}", answer.body.len());
            assert!(content(&decode(coding, &answer.body)) == said, "{coding} {bytes}");
        }
    }
}

#[tokio::test]
async fn short_answers_streams_and_errors_are_left_alone() {
    let gateway = Gateway::start("");
    for (body, status, media) in [
        (chat("sim/instant", 3000, ""), 200, "application/json"),
        (chat("sim/instant", 20_000, r#""stream":true,"#), 200, "text/event-stream"),
        (chat("elsewhere/instant", 20_000, ""), 404, "application/json"),
    ] {
        let answer = post(&gateway, Some("gzip, zstd"), body).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (status, Some(media)));
        assert_eq!((header(&answer, "content-encoding"), header(&answer, "vary")), (None, None));
        assert!(std::str::from_utf8(&answer.body).is_ok());
    }
}

#[tokio::test]
async fn a_provider_s_own_coding_and_its_refusals_go_through_as_they_are() {
    for (status, coding) in [(200, Some("identity")), (400, None)] {
        let body = format!(r#"{{"choices":[],"error":{{"message":"{}"}}}}"#, "long ".repeat(2000));
        let said = body.clone();
        let far = fixed(move || {
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            if let Some(coding) = coding {
                response = response.header("content-encoding", coding);
            }
            response.body(Full::new(Bytes::from(body.clone()))).unwrap()
        })
        .await;
        let gateway = Gateway::start(&format!(
            "[providers.far]\npreset = \"openai-compatible\"\nbase_url = \"http://{far}/v1\"\nconnections = {{ warm = 0 }}\n"
        ));
        let answer = post(&gateway, Some("zstd"), chat("far/any", 0, "")).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "content-encoding")), (status, coding));
        assert_eq!(answer.body, said);
    }
}

#[tokio::test]
async fn the_configuration_moves_the_threshold_and_switches_it_off() {
    for (config, coding, vary) in [
        ("", None, None),
        ("server.compress_above = \"100B\"", Some("gzip"), Some("accept-encoding")),
        ("server.compress_above = \"100B\"\nserver.compress = false", None, None),
    ] {
        let gateway = Gateway::start(config);
        let answer = post(&gateway, Some("gzip"), answered_with(1000)).await;
        assert_eq!(
            (header(&answer, "content-encoding"), header(&answer, "vary")),
            (coding, vary),
            "{config}"
        );
    }
}

#[tokio::test]
async fn lists_metrics_and_the_configuration_are_compressed_too() {
    let gateway = Gateway::start("server.compress_above = \"200B\"");
    for (address, path, part) in [
        (gateway.data, "/v1/models", r#""sim/instant""#),
        (gateway.admin, "/metrics", "tidegate_build_info"),
        (gateway.admin, "/admin/config", r#""compress_above""#),
    ] {
        let get = async |accept| ask(address, Method::GET, path, accept, String::new()).await;
        let plain = get(None).await;
        assert!(std::str::from_utf8(&plain.body).unwrap().contains(part), "{path}");
        let answer = get(Some("br")).await;
        assert_eq!(header(&answer, "content-encoding"), Some("br"), "{path}");
        assert_eq!(header(&answer, "content-type"), header(&plain, "content-type"), "{path}");
        assert!(decode("br", &answer.body).contains(part), "{path}");
    }
}

#[tokio::test]
async fn a_head_tells_of_the_body_that_a_get_would_bring() {
    let gateway = Gateway::start("server.compress_above = \"200B\"");
    for (address, path) in [(gateway.data, "/v1/models"), (gateway.admin, "/admin/config")] {
        let of = async |method| ask(address, method, path, Some("gzip"), String::new()).await;
        let (get, head) = (of(Method::GET).await, of(Method::HEAD).await);
        assert!(!get.body.is_empty() && head.body.is_empty(), "{path}");
        for name in ["content-encoding", "content-length", "vary"] {
            assert!(header(&get, name).is_some(), "{path} {name}");
            assert_eq!(header(&get, name), header(&head, name), "{path} {name}");
        }
    }
}
