//! The mock over TCP, as a socket sees it.

use crate::support::{chat, mock, raw, read_reply, read_to_end, status};
use http::Method;
use rig::sim::Outcome;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let mock = mock().await;
    let mut stream = mock.connect().await;
    for message in ["one", "two"] {
        let request = raw(&Method::POST, "/v1/chat/completions", &chat(message, json!({})).to_string());
        stream.write_all(request.as_bytes()).await.unwrap();
        let (head, body) = read_reply(&mut stream).await;
        assert_eq!(status(&head), 200);
        let reply: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(reply["usage"]["completion_tokens"], 64);
    }
}

#[tokio::test]
async fn bodies_may_come_in_pieces_and_be_large() {
    let mock = mock().await;
    let text = "the tide turns ".repeat(20_000);
    let body = chat(&text, json!({})).to_string();
    let mut stream = mock.connect().await;
    let request = raw(&Method::POST, "/v1/chat/completions", &body);
    let (first, rest) = request.as_bytes().split_at(200);
    stream.write_all(first).await.unwrap();
    stream.flush().await.unwrap();
    stream.write_all(rest).await.unwrap();
    let reply: Value = serde_json::from_slice(&read_reply(&mut stream).await.1).unwrap();
    assert_eq!(reply["usage"]["prompt_tokens"], 60_000 + 1 + 7);
}

#[tokio::test]
async fn a_reset_before_the_head_sends_nothing_but_a_reset() {
    let mock = mock().await;
    let mut stream = mock.send_chat("[[sim: reset]]", json!({})).await;
    let (bytes, ended) = read_to_end(&mut stream).await;
    assert_eq!((bytes.len(), ended.unwrap_err().kind()), (0, ErrorKind::ConnectionReset));
    assert_eq!(mock.last_outcome().await.outcome, Some(Outcome::Reset));
}

#[tokio::test]
async fn a_reset_in_the_body_comes_after_exactly_the_bytes_before_it() {
    let mock = mock().await;
    for streamed in [false, true] {
        let mut stream = mock.send_chat("[[sim: reset_after=100]]", json!({"stream": streamed})).await;
        let (bytes, ended) = read_to_end(&mut stream).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(status(head), 200);
        // A chunk of 0x64 bytes, or plain bytes under a declared length.
        let body =
            if streamed { body.strip_prefix("64\r\n").unwrap().strip_suffix("\r\n").unwrap() } else { body };
        assert_eq!(body.len(), 100);
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_reset_waits_until_a_slow_reader_has_room() {
    let mock = mock().await;
    let bytes = 12_000_000;
    let mut stream = mock.send_chat(&format!("[[sim: bytes=16000000 reset_after={bytes}]]"), json!({})).await;
    // More than the buffers of the system hold: the rest waits for us.
    let (mut count, mut buffer) = (0, vec![0; 65536]);
    let ended = loop {
        tokio::task::yield_now().await;
        match stream.read(&mut buffer).await {
            Ok(0) => break None,
            Ok(read) => count += read,
            Err(error) => break Some(error.kind()),
        }
    };
    assert_eq!(ended, Some(ErrorKind::ConnectionReset));
    // What the system still held at the reset is lost, as on any network.
    assert!(count > bytes / 2, "{count}");
}

#[tokio::test]
async fn streams_end_with_done_or_are_cut_without_a_word() {
    let mock = mock().await;
    for (directive, done, terminated) in [
        ("tokens=5", true, true),
        ("no_done", false, true),
        ("cut_after=3", false, true),
        ("garbage_after=1", false, true),
    ] {
        let body = chat(&format!("[[sim: {directive}]]"), json!({"stream": true})).to_string();
        let request = raw(&Method::POST, "/v1/chat/completions", &body)
            .replace("host: sim", "host: sim\r\nconnection: close");
        let mut stream = mock.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let (bytes, ended) = read_to_end(&mut stream).await;
        ended.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.contains("data: [DONE]\n\n"), done, "{directive}");
        assert_eq!(text.ends_with("0\r\n\r\n"), terminated, "{directive}");
    }
}

#[tokio::test]
async fn a_whole_reply_cut_short_ends_before_its_declared_length() {
    let mock = mock().await;
    let mut stream = mock.send_chat("[[sim: cut_after=1]]", json!({})).await;
    let (bytes, _) = read_to_end(&mut stream).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let declared = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(body.len() < declared.parse().unwrap());
}

#[tokio::test]
async fn a_drip_arrives_byte_by_byte() {
    let mock = mock().await;
    let mut stream = mock.send_chat("[[sim: drip=1ms]]", json!({})).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let (mut buffer, mut reads) = ([0; 64], Vec::new());
    for _ in 0..10 {
        reads.push(stream.read(&mut buffer).await.unwrap());
    }
    assert!(reads.iter().sum::<usize>() < 64, "{reads:?}");
}

/// A peer that leaves is noticed wherever the request was.
#[tokio::test]
async fn a_caller_who_leaves_is_recorded_at_once() {
    let mock = mock().await;
    for (message, members, head) in [
        ("[[sim: hang]]", json!({}), false),
        ("[[sim: hang]]", json!({"stream": true}), false),
        ("hello", json!({"model": "slow"}), false),
        ("hello", json!({"model": "slow", "stream": true}), true),
        ("[[sim: hang_after=3]]", json!({"stream": true}), true),
        ("[[sim: hang_after=1]]", json!({}), true),
        ("[[sim: drip=1s]]", json!({}), true),
        ("[[sim: tokens=1000000]]", json!({"stream": true}), true), // more than the buffers hold
    ] {
        mock.sim.clear_log();
        let mut stream = mock.send_chat(message, members).await;
        if head {
            stream.read_u8().await.unwrap();
        } else {
            while mock.sim.log().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        let left = tokio::time::Instant::now();
        drop(stream);
        let entry = tokio::time::timeout(Duration::from_secs(5), mock.last_outcome()).await.expect(message);
        assert_eq!(entry.outcome, Some(Outcome::Cancelled), "{message}");
        assert!(left.elapsed() < Duration::from_millis(100), "{message}: {:?}", left.elapsed());
    }
}

#[tokio::test]
async fn the_script_and_the_log_are_steered_over_http() {
    let mock = mock().await;
    let script = r#"[{"status": 503, "retry_after": 2}, {"tokens": 3}]"#;
    assert_eq!(mock.exchange(Method::POST, "/sim/script", script).await, (200, json!({"queued": 2})));
    let body = chat("hello", json!({})).to_string();
    let (status, error) = mock.exchange(Method::POST, "/v1/chat/completions", &body).await;
    assert_eq!((status, error["error"]["type"].as_str()), (503, Some("server_error")));
    assert_eq!(mock.exchange(Method::DELETE, "/sim/script", "").await, (200, json!({"removed": 1})));
    let (status, error) = mock.exchange(Method::POST, "/sim/script", r#"[{"explode": true}]"#).await;
    assert_eq!(status, 400);
    assert!(error["error"]["message"].as_str().unwrap().contains("explode"));
    let (status, log) = mock.exchange(Method::GET, "/sim/log", "").await;
    assert_eq!((status, log.as_array().unwrap().len()), (200, 1));
    assert_eq!(
        (&log[0]["outcome"], &log[0]["status"], &log[0]["headers"]),
        (&json!("failed"), &json!(503), &json!(["host", "content-length"]))
    );
    assert_eq!(mock.exchange(Method::GET, "/sim/log?after=0", "").await.1, log);
    assert_eq!(mock.exchange(Method::GET, "/sim/log?after=1", "").await.1, json!([]));
    for wrong in ["after", "after=", "after=-1", "after=1&after=2", "before=1"] {
        assert_eq!(mock.exchange(Method::GET, &format!("/sim/log?{wrong}"), "").await.0, 400, "{wrong}");
    }
    assert_eq!(mock.exchange(Method::DELETE, "/sim/log", "").await.0, 200);
    assert_eq!(mock.exchange(Method::GET, "/sim/log", "").await.1, json!([]));
    assert_eq!(mock.exchange(Method::GET, "/sim/nothing", "").await.0, 404);
    assert_eq!(mock.exchange(Method::PUT, "/sim/log", "").await.0, 405);
}

#[tokio::test]
async fn a_drain_lets_a_reply_under_way_end_and_takes_no_new_connection() {
    let mock = mock().await;
    let mut stream = mock.send_chat("[[sim: tokens=5 first_token=50ms]]", json!({"model": "any"})).await;
    while mock.sim.log().is_empty() {
        tokio::task::yield_now().await;
    }
    let idle = mock.connect().await;
    mock.drain.cancel();
    assert_eq!(status(&read_reply(&mut stream).await.0), 200);
    mock.task.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(mock.address).await.is_err());
    drop(idle);
}
