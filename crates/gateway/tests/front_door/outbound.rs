//! Where the gateway goes, and where it does not.

use crate::client::{chat, post};
use crate::gateway::Gateway;
use crate::provider::{Canary, Fickle, Whim, fixed};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

fn provider(address: SocketAddr) -> String {
    format!(
        "[providers.far]\npreset = \"openai-compatible\"\nbase_url = \"http://{address}/v1\"\napi_key = \"canary-provider-secret\"\nconnections = {{ warm = 0 }}\n"
    )
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let canary = Canary::start().await;
    let location = format!("http://{}/v1/chat/completions", canary.address);
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let far = fixed(move || {
            Response::builder().status(status).header("location", &location).body(Full::default()).unwrap()
        })
        .await;
        let gateway = Gateway::start(&provider(far));
        let (answered, body) = post(gateway.data, chat("far/any")).await;
        assert_eq!(answered, StatusCode::BAD_GATEWAY, "{status}: {body}");
    }
    assert_eq!(canary.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_caller_cannot_name_an_upstream() {
    let canary = Canary::start().await;
    let far = fixed(|| Response::new(Full::new(Bytes::from_static(b"{\"choices\":[]}")))).await;
    let gateway = Gateway::start(&provider(far));
    let url = format!("http://{}/v1", canary.address);
    for body in [
        format!(r#"{{"model":"far/any","base_url":"{url}","messages":[{{"role":"user","content":"x"}}]}}"#),
        format!(r#"{{"model":"far/any","api_base":"{url}","messages":[{{"role":"user","content":"x"}}]}}"#),
        format!(
            r#"{{"model":"far/any","metadata":{{"base_url":"{url}"}},"messages":[{{"role":"user","content":"x"}}]}}"#
        ),
        format!(r#"{{"model":"{url}","messages":[{{"role":"user","content":"x"}}]}}"#),
        format!(r#"{{"model":"far/../../{url}","messages":[{{"role":"user","content":"x"}}]}}"#),
    ] {
        post(gateway.data, body).await;
    }
    assert_eq!(canary.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn our_credentials_refused_are_not_the_callers_fault_and_are_not_repeated() {
    for status in [401, 402, 403, 400] {
        let far = fixed(move || {
            let said = r#"{"error":{"message":"Incorrect API key provided: canary-provider-secret"}}"#;
            Response::builder().status(status).body(Full::new(Bytes::from_static(said.as_bytes()))).unwrap()
        })
        .await;
        let gateway = Gateway::start(&provider(far));
        let (answered, body) = post(gateway.data, chat("far/any")).await;
        assert_eq!(answered, StatusCode::BAD_GATEWAY, "{status}: {body}");
        assert!(!body.contains("canary-provider-secret"), "{status}: {body}");
    }
}

#[tokio::test]
async fn a_fault_of_the_request_goes_through_in_the_providers_own_bytes() {
    const SAID: &str = r#"{ "error": {"message":"too hot","type":"invalid_request_error","param":"temperature","code":null,"innererror":{"x":1}} }"#;
    for status in [400, 404, 409, 413, 422] {
        let far = fixed(move || {
            Response::builder().status(status).body(Full::new(Bytes::from_static(SAID.as_bytes()))).unwrap()
        })
        .await;
        let gateway = Gateway::start(&provider(far));
        let (answered, body) = post(gateway.data, chat("far/any")).await;
        assert_eq!((answered.as_u16(), body.as_str()), (status, SAID));
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    let far = Fickle::start(Whim::AnswerAndClose).await;
    let gateway = Gateway::start(&provider(far.address));
    for sent in 1..=8 {
        let (status, body) = post(gateway.data, chat("far/any")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(far.requests.load(Ordering::SeqCst), sent);
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_accepted_is_not_sent_again() {
    for whim in [Whim::Close, Whim::CutShort] {
        let far = Fickle::start(whim).await;
        let gateway = Gateway::start(&provider(far.address));
        let (status, body) = post(gateway.data, chat("far/any")).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{whim:?}: {body}");
        assert_eq!(far.requests.load(Ordering::SeqCst), 1, "{whim:?}");
    }
}
