//! What is said: its length, its end, its number, its determinism.

use crate::support::{ask, call, chat, get, post, read, sim, stream};
use rig::sim::{MODELS, Settings, Sim};
use serde_json::{Value, json};

fn content(reply: &Value) -> &str {
    reply["choices"][0]["message"]["content"].as_str().unwrap()
}

#[tokio::test]
async fn a_reply_has_the_shape_of_openais_own() {
    let reply = ask(&sim(), "hello", json!({})).await;
    assert!(reply["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(reply["object"], "chat.completion");
    assert_eq!(reply["model"], "instant");
    assert!(reply["created"].is_u64());
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["logprobs"], Value::Null);
    assert!(content(&reply).ends_with('.'));
    let usage = &reply["usage"];
    assert_eq!(usage["completion_tokens"], 64);
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn one_prompt_model_and_seed_give_the_same_bytes_in_every_process() {
    let bytes = async |body: Value, settings: Settings| {
        read(call(&Sim::new(settings), post("/v1/chat/completions", &body)).await).await
    };
    let body = chat("hello", json!({}));
    let one = bytes(body.clone(), Settings::default()).await;
    assert_eq!(one, bytes(body.clone(), Settings::default()).await);
    for other in [
        bytes(chat("hello!", json!({})), Settings::default()).await,
        bytes(chat("hello", json!({"seed": 1})), Settings::default()).await,
        bytes(
            chat("hello", json!({"model": "other"})),
            Settings { first_token: Default::default(), ..Settings::default() },
        )
        .await,
        bytes(body, Settings { seed: 1, ..Settings::default() }).await,
    ] {
        assert_ne!(one, other);
    }
}

#[tokio::test]
async fn max_tokens_cuts_the_same_text_short() {
    let sim = sim();
    let whole = ask(&sim, "hello", json!({})).await;
    for name in ["max_tokens", "max_completion_tokens"] {
        let cut = ask(&sim, "hello", json!({name: 7})).await;
        assert_eq!(cut["choices"][0]["finish_reason"], "length");
        assert_eq!(cut["usage"]["completion_tokens"], 7);
        assert!(content(&whole).starts_with(content(&cut)));
    }
    let long = ask(&sim, "hello", json!({"max_tokens": 1000})).await;
    assert_eq!(long["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_stop_sequence_ends_the_text_before_itself() {
    let sim = sim();
    let whole = ask(&sim, "hello", json!({})).await;
    let whole = content(&whole);
    let (at, _) = whole.char_indices().nth(100).unwrap();
    let stop = &whole[at..at + 12];
    for stops in [json!(stop), json!(["not there", stop])] {
        let cut = ask(&sim, "hello", json!({"stop": stops})).await;
        assert_eq!(content(&cut), &whole[..whole.find(stop).unwrap()]);
        assert_eq!(cut["choices"][0]["finish_reason"], "stop");
    }
    let streamed =
        stream(&sim, "hello", json!({"stop": stop, "stream_options": {"include_usage": true}})).await;
    let text: String =
        streamed.iter().filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, &whole[..whole.find(stop).unwrap()]);
}

#[tokio::test]
async fn n_answers_differ_and_the_first_stays_the_same() {
    let sim = sim();
    let one = ask(&sim, "hello", json!({})).await;
    let three = ask(&sim, "hello", json!({"n": 3})).await;
    let texts: Vec<&str> = three["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["message"]["content"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 3);
    assert_eq!(texts[0], content(&one));
    assert!(texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2]);
    assert_eq!(three["usage"]["completion_tokens"], 3 * 64);
    assert_eq!(three["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"]);
}

#[tokio::test]
async fn a_text_may_be_given_its_length() {
    let sim = sim();
    let bytes = ask(&sim, "[[sim: bytes=1024]]", json!({})).await;
    assert_eq!(content(&bytes).len(), 1024);
    let tokens = ask(&sim, "[[sim: tokens=5]]", json!({})).await;
    assert_eq!(tokens["usage"]["completion_tokens"], 5);
}

#[tokio::test]
async fn prompt_tokens_grow_with_every_part_of_the_prompt() {
    let sim = sim();
    let tokens = async |body: Value| {
        let reply = read(call(&sim, post("/v1/chat/completions", &body)).await).await;
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        reply["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    let base = tokens(chat("four words of text", json!({}))).await;
    assert_eq!(base, 3 + 4 + 4);
    assert_eq!(tokens(chat("four words of text and two more", json!({}))).await, base + 3);
    let parts = json!([{"type": "text", "text": "four words of text"}, {"type": "image_url", "image_url": {"url": "x"}}]);
    assert_eq!(
        tokens(json!({"model": "instant", "messages": [{"role": "user", "content": parts}]})).await,
        base + 85
    );
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    assert!(tokens(chat("four words of text", json!({"tools": tools}))).await > base);
}

#[tokio::test]
async fn completions_answer_every_prompt_n_times() {
    let sim = sim();
    let body = json!({"model": "instant", "prompt": ["one", "two"], "n": 2, "max_tokens": 5, "logprobs": 2});
    let reply: Value =
        serde_json::from_slice(&read(call(&sim, post("/v1/completions", &body)).await).await).unwrap();
    assert_eq!(reply["object"], "text_completion");
    let choices = reply["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 4);
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], index);
        assert_eq!(choice["finish_reason"], "length");
        let tokens: Vec<&str> =
            choice["logprobs"]["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
        assert_eq!(tokens.concat(), choice["text"].as_str().unwrap());
        assert_eq!(choice["logprobs"]["text_offset"][1], tokens[0].len());
        assert_eq!(choice["logprobs"]["top_logprobs"][0].as_object().unwrap().len(), 2);
    }
    assert_eq!(reply["usage"]["completion_tokens"], 20);
    let tokens = json!({"model": "instant", "prompt": [1, 2, 3], "max_tokens": 1});
    let reply: Value =
        serde_json::from_slice(&read(call(&sim, post("/completions", &tokens)).await).await).unwrap();
    assert_eq!(reply["usage"]["prompt_tokens"], 3);
}

#[tokio::test]
async fn log_probabilities_rank_the_token_said_first() {
    let reply = ask(&sim(), "hello", json!({"logprobs": true, "top_logprobs": 20, "max_tokens": 10})).await;
    let list = reply["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(list.len(), 10);
    let joined: String = list.iter().map(|entry| entry["token"].as_str().unwrap()).collect();
    assert_eq!(joined, content(&reply));
    for entry in list {
        let top = entry["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 20);
        assert_eq!(top[0]["token"], entry["token"]);
        let falling = top.windows(2).all(|pair| pair[0]["logprob"].as_f64() > pair[1]["logprob"].as_f64());
        assert!(falling && top[0]["logprob"].as_f64().unwrap() <= 0.0);
        let bytes: Vec<u8> =
            entry["bytes"].as_array().unwrap().iter().map(|b| b.as_u64().unwrap() as u8).collect();
        assert_eq!(bytes, entry["token"].as_str().unwrap().as_bytes());
    }
}

#[tokio::test]
async fn models_are_listed_and_any_name_is_one() {
    let sim = sim();
    let list: Value = serde_json::from_slice(&read(call(&sim, get("/v1/models")).await).await).unwrap();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, MODELS);
    for path in ["/v1/models/sim/fast", "/models/sim%2Ffast", "/v1/models/sim%2ffast"] {
        let model: Value = serde_json::from_slice(&read(call(&sim, get(path)).await).await).unwrap();
        assert_eq!((&model["id"], &model["object"]), (&json!("sim/fast"), &json!("model")));
    }
}

#[tokio::test]
async fn wrong_requests_get_openais_errors() {
    let sim = sim();
    for (request, status) in [
        (get("/v1/nothing"), 404),
        (get("/v1/chat/completions"), 405),
        (post("/v1/models", &json!({})), 405),
        (get("/sim/log"), 404),
        (post("/v1/chat/completions", &json!({"model": "instant"})), 400),
        (post("/v1/chat/completions", &chat("[[sim: explode]]", json!({}))), 400),
        (post("/v1/chat/completions", &chat("hi", json!({"n": 128, "max_tokens": 5}))), 200),
        (post("/v1/chat/completions", &chat("[[sim: tokens=100000]]", json!({"n": 128}))), 400),
    ] {
        let name = format!("{} {}", request.method(), request.uri());
        let response = call(&sim, request).await;
        assert_eq!(response.status(), status, "{name}");
        assert!(response.headers().contains_key("x-request-id"));
        let body: Value = serde_json::from_slice(&read(response).await).unwrap();
        assert_eq!(body["error"].is_object(), status != 200, "{name}: {body}");
    }
}

#[tokio::test]
async fn a_call_may_move_between_threads_and_its_body_in_memory() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    fn is_free<T: Send + Unpin>(_: &T) {}
    let sim = sim();
    let future = is_send(sim.call(post("/v1/chat/completions", &chat("hello", json!({"stream": true})))));
    is_free(future.await.unwrap().body());
}

/// Bodies one, two or three bytes away from a good one, the same in every run.
#[tokio::test(start_paused = true)]
async fn no_body_brings_it_down() {
    let sim = sim();
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"$ref": "#/$defs/a", "$defs": {"a": {
        "type": "object", "required": ["b"], "properties": {"b": {"type": "array", "minItems": 2, "items": {"enum": [1, "é"]}}}}}}}});
    let good = chat(
        "use f \u{e9}[[sim: tokens=5]]",
        json!({"stop": ["x"], "n": 2, "logprobs": true, "top_logprobs": 2,
        "seed": -7, "tools": [tool], "tool_choice": "auto", "response_format": {"type": "json_object"}}),
    );
    let good = good.to_string().into_bytes();
    let mut state = 7u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % bound
    };
    let mut answered = [0, 0];
    for _ in 0..3000 {
        let mut body = good.clone();
        for _ in 0..=below(3) {
            let at = below(body.len());
            match below(4) {
                0 => drop(body.remove(at)),
                1 => body[at] = below(256) as u8,
                2 => body[at] = b"\"{}[]:,0-1.eE\\"[below(14)],
                _ => body.truncate(at.max(1)),
            }
        }
        let request = http::Request::post("/v1/chat/completions").body(body.into()).unwrap();
        let response = call(&sim, request).await;
        let status = response.status().as_u16();
        let reply: Value = serde_json::from_slice(&read(response).await).unwrap();
        match status {
            200 => answered[0] += 1,
            _ => {
                assert!(status == 400 && reply["error"]["message"].is_string(), "{status} {reply}");
                answered[1] += 1;
            }
        }
    }
    assert!(answered.into_iter().all(|count| count > 100), "{answered:?}");
}
