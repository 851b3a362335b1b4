//! Files and batches: brought, run, and fetched.

use crate::support::{call, get, post, read, sim};
use bytes::Bytes;
use http::{Method, Request};
use rig::sim::Sim;
use serde_json::{Value, json};
use std::time::Duration;

/// A line that says `message`.
fn line(id: &str, message: &str) -> String {
    let body = json!({"model": "instant", "messages": [{"role": "user", "content": message}]});
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
}

async fn told(sim: &Sim, request: Request<Bytes>) -> Value {
    serde_json::from_slice(&read(call(sim, request).await).await).unwrap()
}

/// The name of a file with these lines.
async fn brought(sim: &Sim, lines: &[String]) -> String {
    let parts = [
        "--edge\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n",
        "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n",
        &lines.join("\n"),
        "\r\n--edge--\r\n",
    ];
    let request = Request::post("/v1/files").header("content-type", "multipart/form-data; boundary=edge");
    let file = told(sim, request.body(parts.concat().into()).unwrap()).await;
    assert_eq!((&file["purpose"], &file["filename"]), (&json!("batch"), &json!("in.jsonl")));
    file["id"].as_str().unwrap().to_owned()
}

async fn begun(sim: &Sim, file: &str) -> Value {
    let order = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"whose": "ours"},
    });
    told(sim, post("/v1/batches", &order)).await
}

async fn seen(sim: &Sim, batch: &Value) -> Value {
    told(sim, get(&format!("/v1/batches/{}", batch["id"].as_str().unwrap()))).await
}

/// The lines of a file that a batch has made, by their ids.
async fn lines(sim: &Sim, file: &Value) -> Vec<Value> {
    let Some(file) = file.as_str() else { return Vec::new() };
    let text = read(call(sim, get(&format!("/v1/files/{file}/content"))).await).await;
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_done_when_its_last_line_is() {
    let sim = sim();
    let input = [
        line("a", "hello"),
        line("b", "[[sim: status=400]]"),
        line("c", "[[sim: first_token=10s]] later"),
        line("d", "[[sim: hang]]"),
    ];
    let batch = begun(&sim, &brought(&sim, &input).await).await;
    assert_eq!((&batch["status"], &batch["metadata"]["whose"]), (&json!("in_progress"), &json!("ours")));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(seen(&sim, &batch).await["request_counts"], json!({"total": 4, "completed": 1, "failed": 2}));
    tokio::time::sleep(Duration::from_secs(6)).await;
    let batch = seen(&sim, &batch).await;
    assert_eq!(batch["status"], "completed");
    let output = lines(&sim, &batch["output_file_id"]).await;
    assert_eq!(output.iter().map(|line| &line["custom_id"]).collect::<Vec<_>>(), ["c", "a"]);
    assert_eq!(output[1]["response"]["body"]["object"], "chat.completion");
    let errors = lines(&sim, &batch["error_file_id"]).await;
    assert_eq!(
        (&errors[0]["error"]["code"], &errors[0]["response"]),
        (&json!("batch_expired"), &Value::Null)
    );
    assert_eq!(errors[1]["response"]["status_code"], 400);
    let asked: Vec<_> = sim.log().into_iter().filter(|entry| entry.path.contains("chat")).collect();
    assert!(asked.is_empty(), "lines are no calls");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_batch_has_what_was_done() {
    let sim = sim();
    let input = [line("a", "hello"), line("b", "[[sim: first_token=10s]] later")];
    let batch = begun(&sim, &brought(&sim, &input).await).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap());
    let batch = told(&sim, post(&path, &json!({}))).await;
    assert_eq!(batch["status"], "cancelled");
    assert_eq!(lines(&sim, &batch["output_file_id"]).await.len(), 1);
    assert_eq!(batch["error_file_id"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_faulty_input_fails_as_a_whole() {
    let sim = sim();
    let mut endless: Vec<_> = (0..50_001).map(|number| line(&number.to_string(), "x")).collect();
    endless[1] = endless[0].clone();
    for (input, code) in [
        (vec!["{".to_owned()], "invalid_json_line"),
        (vec![line("a", "x"), "{".to_owned()], "invalid_json_line"),
        (endless, "too_many_tasks"),
        (vec![line("a", "x"), line("a", "y")], "duplicate_custom_id"),
        (vec![line("a", "x").replace("chat/", "")], "invalid_url"),
        (vec![], "empty_file"),
    ] {
        let batch = begun(&sim, &brought(&sim, &input).await).await;
        assert_eq!((&batch["status"], &batch["errors"]["data"][0]["code"]), (&json!("failed"), &json!(code)));
        assert_eq!((&batch["request_counts"]["total"], &batch["output_file_id"]), (&json!(0), &Value::Null));
    }
}

#[tokio::test(start_paused = true)]
async fn the_script_speaks_of_the_calls() {
    let sim = sim();
    let file = brought(&sim, &[line("a", "hello")]).await;
    sim.load_script(r#"[{"status": 503}, {"reset": true}, {"first_token": "3s"}]"#).unwrap();
    let order = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    assert_eq!(call(&sim, post("/v1/batches", &order)).await.status(), 503);
    assert!(sim.call(post("/v1/batches", &order)).await.is_err(), "it is done, and its answer lost");
    let slow = begun(&sim, &file).await;
    let list = told(&sim, get("/v1/batches?limit=1")).await;
    assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&slow["id"], &json!(true)));
    let after = told(&sim, get(&format!("/v1/batches?after={}", slow["id"].as_str().unwrap()))).await;
    assert_eq!((after["data"].as_array().unwrap().len(), &after["has_more"]), (1, &json!(false)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seen(&sim, &slow).await["status"], "in_progress");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(seen(&sim, &slow).await["status"], "completed");
}

#[tokio::test]
async fn what_is_removed_is_gone() {
    let sim = sim();
    let file = brought(&sim, &[line("a", "hello")]).await;
    let path = format!("/v1/files/{file}");
    let remove = || Request::builder().method(Method::DELETE).uri(&path).body(Bytes::new()).unwrap();
    assert_eq!(told(&sim, remove()).await["deleted"], true);
    assert_eq!(call(&sim, remove()).await.status(), 404);
    let order = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    assert_eq!(call(&sim, post("/v1/batches", &order)).await.status(), 404);
    let wrong = Request::builder().method(Method::PUT).uri("/v1/batches").body(Bytes::new()).unwrap();
    assert_eq!(call(&sim, wrong).await.status(), 405);
}
