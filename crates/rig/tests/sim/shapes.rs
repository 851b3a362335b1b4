//! Tools, structured output and embeddings.

use crate::support::{ask, call, post, read, sim, stream};
use serde_json::{Value, json};

fn weather() -> Value {
    json!({"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "additionalProperties": false, "required": ["city", "unit", "days"],
    "properties": {
        "city": {"type": "string", "minLength": 3},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
    }}}})
}

fn time() -> Value {
    json!({"type": "function", "function": {"name": "get_time", "parameters": {
        "type": "object", "required": ["zones"],
        "properties": {"zones": {"type": "array", "minItems": 2, "items": {"type": "string"}}}}}})
}

fn conforms(call: &Value) {
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    match call["function"]["name"].as_str().unwrap() {
        "get_weather" => {
            assert_eq!(arguments.as_object().unwrap().len(), 3);
            assert!(arguments["city"].as_str().unwrap().len() >= 3);
            assert!(["celsius", "fahrenheit"].contains(&arguments["unit"].as_str().unwrap()));
            assert!((1..=14).contains(&arguments["days"].as_u64().unwrap()));
        }
        _ => {
            let zones = arguments["zones"].as_array().unwrap();
            assert!(zones.len() >= 2 && zones.iter().all(Value::is_string));
        }
    }
}

#[tokio::test]
async fn required_tools_are_called_in_parallel_with_arguments_that_conform() {
    let sim = sim();
    for seed in 0..20 {
        let members = json!({"tools": [weather(), time()], "tool_choice": "required", "seed": seed});
        let reply = ask(&sim, "hello", members).await;
        let choice = &reply["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["message"]["content"], Value::Null);
        let calls = choice["message"]["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), 2);
        assert_ne!(calls[0]["id"], calls[1]["id"]);
        calls.iter().for_each(conforms);
    }
}

#[tokio::test]
async fn streamed_calls_say_the_same_as_whole_ones() {
    let sim = sim();
    let members = json!({"tools": [weather(), time()], "tool_choice": "required"});
    let whole = ask(&sim, "hello", members.clone()).await;
    let mut options = members;
    options["stream_options"] = json!({"include_usage": true});
    let frames = stream(&sim, "hello", options).await;
    let mut calls: Vec<Value> = Vec::new();
    let mut told = 0;
    for delta in frames.iter().filter_map(|frame| frame["choices"][0]["delta"]["tool_calls"].as_array()) {
        told += 1;
        let delta = &delta[0];
        let index = delta["index"].as_u64().unwrap() as usize;
        if index == calls.len() {
            // Id, type and name come once, with the first delta of a call.
            let mut call = delta.clone();
            call.as_object_mut().unwrap().remove("index");
            calls.push(call);
            continue;
        }
        assert!(delta.get("id").is_none() && delta["function"].get("name").is_none());
        let joined = format!(
            "{}{}",
            calls[index]["function"]["arguments"].as_str().unwrap(),
            delta["function"]["arguments"].as_str().unwrap()
        );
        calls[index]["function"]["arguments"] = json!(joined);
    }
    assert_eq!(json!(calls), whole["choices"][0]["message"]["tool_calls"]);
    assert_eq!(frames[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(frames[0]["choices"][0]["delta"]["content"], Value::Null);
    assert_eq!(frames[frames.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(frames.last().unwrap()["usage"]["completion_tokens"], told);
    assert_eq!(frames.last().unwrap()["usage"], whole["usage"]);
}

#[tokio::test]
async fn calls_too_are_cut_at_max_tokens() {
    let sim = sim();
    for limit in [1, 2, 9, 40] {
        let members = json!({"tools": [weather(), time()], "tool_choice": "required", "max_tokens": limit});
        let reply = ask(&sim, "hello", members).await;
        let whole = reply["choices"][0]["finish_reason"] == "tool_calls";
        let tokens = reply["usage"]["completion_tokens"].as_u64().unwrap();
        assert!(tokens == limit || (whole && tokens < limit), "{reply}");
    }
}

#[tokio::test]
async fn a_tool_is_called_when_the_message_names_it_and_answered_with_text() {
    let sim = sim();
    let reply = ask(&sim, "please use get_weather for Oslo", json!({"tools": [weather(), time()]})).await;
    let message = reply["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"].as_array().unwrap().len(), 1);
    conforms(&message["tool_calls"][0]);
    let id = message["tool_calls"][0]["id"].clone();
    let messages = json!([{"role": "user", "content": "please use get_weather for Oslo"}, message,
                          {"role": "tool", "tool_call_id": id, "content": "sunny"}]);
    let reply = ask(&sim, "", json!({"messages": messages, "tools": [weather(), time()]})).await;
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    assert!(reply["choices"][0]["message"]["content"].is_string());
}

#[tokio::test]
async fn structured_output_conforms_whole_and_streamed() {
    let sim = sim();
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["title", "rating", "author"],
        "properties": {"title": {"type": "string"}, "rating": {"type": "number", "minimum": 0, "maximum": 5},
                       "author": {"$ref": "#/$defs/person"}},
        "$defs": {"person": {"type": "object", "required": ["name", "born"], "additionalProperties": false,
                             "properties": {"name": {"type": "string"}, "born": {"anyOf": [{"type": "integer", "minimum": 1900}, {"type": "null"}]}}}}});
    let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "review", "strict": true, "schema": schema}}});
    let whole = ask(&sim, "review it", format.clone()).await;
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 3);
    assert!(value["title"].is_string() && (0.0..=5.0).contains(&value["rating"].as_f64().unwrap()));
    assert!(value["author"]["name"].is_string());
    assert!(value["author"]["born"].is_null() || value["author"]["born"].as_u64().unwrap() >= 1900);
    let frames = stream(&sim, "review it", format).await;
    let streamed: String =
        frames.iter().filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(streamed, text);
    let object = ask(&sim, "hi", json!({"response_format": {"type": "json_object"}})).await;
    let object: Value =
        serde_json::from_str(object["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert!(object.is_object());
}

#[tokio::test]
async fn embeddings_of_near_texts_are_near() {
    let sim = sim();
    let embed = async |input: Value| {
        let body = json!({"model": "embed", "input": input, "dimensions": 512});
        let reply: Value =
            serde_json::from_slice(&read(call(&sim, post("/v1/embeddings", &body)).await).await).unwrap();
        assert_eq!(reply["object"], "list");
        let vectors = reply["data"].as_array().unwrap().iter().map(|entry| {
            entry["embedding"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<f64>>()
        });
        vectors.collect::<Vec<_>>()
    };
    let vectors = embed(json!([
        "the ferry leaves at noon",
        "a ferry leaves the pier at noon",
        "noon bells",
        "quarterly revenue report"
    ]))
    .await;
    let near = |at: usize| vectors[0].iter().zip(&vectors[at]).map(|(a, b)| a * b).sum::<f64>();
    assert!(vectors.iter().all(|vector| vector.len() == 512));
    assert!(near(1) > 0.6 && near(1) > near(2) && near(2) > near(3), "{} {} {}", near(1), near(2), near(3));
    assert_eq!(embed(json!([[1, 2, 3], [4]])).await.len(), 2);
    assert_eq!(embed(json!([1, 2, 3])).await.len(), 1);
}
