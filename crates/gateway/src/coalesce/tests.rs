#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod gathering;

use crate::desk::{Answer, Commission, Principal};
use crate::keys::KeyHash;
use crate::stand::{Stand, commission};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use wire::operation::Operation;

/// Longer than any test: a gathering departs because it is full, or not at all.
const LONG: Duration = Duration::from_secs(120);

/// An alias of `target` whose requests wait for each other until there are so many inputs. Nothing is tried twice.
fn stand(target: &str, items: usize, wait: Duration, more: &str) -> Stand {
    let config = format!(
        "[models.v]\ntargets = [{{ model = '{target}' }}]\ncoalesce = {{ items = {items} }}\nretry = {{ tries = 1 }}\n{more}"
    );
    Stand::start_with(&config, |config| {
        let alias = config.models.get_mut("v").unwrap();
        alias.coalesce.as_mut().unwrap().wait = wait;
    })
}

fn embed(input: &Value) -> Commission {
    commission(Operation::Embeddings, json!({ "model": "v", "input": input }).to_string())
}

async fn ask_all(stand: &Stand, asked: impl IntoIterator<Item = Commission>) -> Vec<Answer> {
    join_all(asked.into_iter().map(|asked| stand.gateway.desk.ask(asked))).await
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status.as_u16()).collect()
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[track_caller]
fn shows(stand: &Stand, lines: &[&str]) {
    let shown = stand.metrics();
    for line in lines {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
}

#[tokio::test]
async fn each_gets_its_own_part_of_one_answer() {
    let stand = stand("sim/embed", 7, LONG, "");
    let inputs =
        [json!("a tide"), json!(["two", "three words here"]), json!("a \"tide\"\n"), json!(["x", "y", "z"])];
    let answers = ask_all(&stand, inputs.iter().map(embed)).await;
    shows(
        &stand,
        &[
            r#"tidegate_upstream_attempts_total{provider="sim",model="embed",result="ok"} 1"#,
            r#"tidegate_coalesced_requests_total{provider="sim",result="answered"} 4"#,
            r#"tidegate_coalesced_batch_size_sum{provider="sim",model="embed"} 4"#,
            r#"tidegate_requests_total{operation="embeddings",model="v",outcome="ok"} 4"#,
        ],
    );

    let plain = Stand::start("models.v.targets = [{ model = 'sim/embed' }]");
    let alone = ask_all(&plain, inputs.iter().map(embed)).await;
    let tokens = |answers: &[Answer]| -> u64 {
        answers.iter().map(|answer| body(answer)["usage"]["total_tokens"].as_u64().unwrap()).sum()
    };
    assert_eq!(tokens(&answers), tokens(&alone));
    for (answer, alone) in answers.iter().zip(&alone) {
        assert_eq!(header(answer, "x-tidegate-cache"), "miss");
        assert_eq!(header(answer, "x-tidegate-attempts"), "1");
        let (mut answer, mut alone) = (body(answer), body(alone));
        answer["usage"].take();
        alone["usage"].take();
        assert_eq!(answer, alone);
    }

    // Each is remembered by itself, as it was given.
    for (input, first) in inputs.iter().zip(&answers) {
        let again = stand.gateway.desk.ask(embed(input)).await;
        assert_eq!(header(&again, "x-tidegate-cache"), "hit; tier=memory");
        assert_eq!(again.body, first.body);
    }
}

#[tokio::test]
async fn what_is_not_looked_up_is_joined_too() {
    let stand = stand("sim/embed", 3, LONG, "");
    let asked = ["a", "b", "c"].map(|text| {
        let mut asked = embed(&json!(text));
        asked.headers.insert("cache-control", "no-store".parse().unwrap());
        asked
    });
    assert_eq!(statuses(&ask_all(&stand, asked).await), [200; 3]);
    shows(&stand, &[r#"tidegate_upstream_attempts_total{provider="sim",model="embed",result="ok"} 1"#]);
}

#[tokio::test]
async fn who_asks_differently_is_not_waited_for() {
    let one = json!({ "model": "v", "input": "a" });
    let others = [
        json!({ "model": "v", "input": "b", "dimensions": 8 }),
        json!({ "model": "v", "input": "b", "encoding_format": "base64" }),
        json!({ "model": "v", "input": "b", "user": "u" }),
        json!({ "model": "v", "input": [1, 2] }),
        json!({ "model": "w", "input": "b" }),
    ];
    for other in others {
        let same = "[models.w]\ntargets = [{ model = 'sim/embed' }]\ncoalesce = { wait = '1ms' }\n";
        let stand = stand("sim/embed", 2, Duration::from_millis(1), same);
        let asked = [&one, &other].map(|body| commission(Operation::Embeddings, body.to_string()));
        assert_eq!(statuses(&ask_all(&stand, asked).await), [200; 2]);
        shows(&stand, &[r#"tidegate_coalesced_requests_total{provider="sim",result="alone"} 2"#]);
    }
}

#[tokio::test]
async fn tenants_are_never_joined() {
    let tenants =
        [("tg-AAAAAAAAAAAA", "search"), ("tg-BBBBBBBBBBBB", "sales"), ("tg-CCCCCCCCCCCC", "search")];
    let keys = tenants.map(|(id, tenant)| {
        format!("[[keys]]\nid = '{id}'\nhash = '{}'\ntenant = '{tenant}'\n", KeyHash::of(id, b"secret"))
    });
    let asked = |tenants: &[(&str, &str)]| {
        let asked = tenants.iter().map(|(key, tenant)| Commission {
            principal: Principal { key: Some((*key).into()), tenant: (*tenant).into() },
            ..embed(&json!(key))
        });
        asked.collect::<Vec<_>>()
    };
    let short = stand("sim/embed", 2, Duration::from_millis(1), &keys.concat());
    assert_eq!(statuses(&ask_all(&short, asked(&tenants[..2])).await), [200; 2]);
    shows(&short, &[r#"tidegate_coalesced_requests_total{provider="sim",result="alone"} 2"#]);

    // Two keys of one tenant are.
    let long = stand("sim/embed", 2, LONG, &keys.concat());
    assert_eq!(statuses(&ask_all(&long, asked(&[tenants[0], tenants[2]])).await), [200; 2]);
    shows(&long, &[r#"tidegate_coalesced_requests_total{provider="sim",result="answered"} 2"#]);
}

/// A provider that says what it was asked, when its caller is gone, and answers with what `reply` makes of the input:
/// a status and a body;
/// `None`: never.
async fn provider(
    reply: impl Fn(&Value) -> Option<(u16, String)> + Clone + Send + 'static,
) -> (String, mpsc::Receiver<Value>) {
    slow_provider(&Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), reply).await
}

/// The same, which takes a permit of `permits` for each answer.
async fn slow_provider(
    permits: &Arc<Semaphore>,
    reply: impl Fn(&Value) -> Option<(u16, String)> + Clone + Send + 'static,
) -> (String, mpsc::Receiver<Value>) {
    let permits = Arc::clone(permits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (says, said) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (says, reply, permits) = (says.clone(), reply.clone(), Arc::clone(&permits));
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while stream.read_buf(&mut seen).await.is_ok_and(|bytes| bytes > 0) {
                    let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") else {
                        continue;
                    };
                    let Ok(asked) = serde_json::from_slice::<Value>(&seen[head + 4..]) else { continue };
                    seen.clear();
                    says.send(asked["input"].clone()).await.unwrap();
                    permits.acquire().await.unwrap().forget();
                    if let Some((status, body)) = reply(&asked["input"]) {
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} So\r\ncontent-type: application/json\r\ncontent-length:"
                        );
                        stream.write_all(format!("{head} {length}\r\n\r\n{body}").as_bytes()).await.unwrap();
                    }
                }
                let _ = says.send(Value::Null).await;
            });
        }
    });
    let config = format!(
        "[providers.own]\npreset = 'openai-compatible'\nbase_url = 'http://{address}/v1'\nmodels = ['m']\nconnections = {{ warm = 0 }}\n"
    );
    (config, said)
}

/// A provider that answers, but with this status where one of the inputs is `bad`.
async fn picky(status: u16) -> (String, mpsc::Receiver<Value>) {
    provider(move |input| {
        let inputs = input.as_array().cloned().unwrap_or_else(|| vec![input.clone()]);
        if inputs.contains(&json!("bad")) {
            return Some((
                status,
                r#"{"error":{"message":"No.","type":"invalid_request_error"}}"#.to_owned(),
            ));
        }
        let data: Vec<_> = inputs.iter().enumerate().map(|(index, _)| json!({ "index": index })).collect();
        Some((200, json!({ "data": data }).to_string()))
    })
    .await
}

#[tokio::test]
async fn what_one_sent_wrongly_is_not_held_against_the_others() {
    for status in [400, 413, 422] {
        let (config, _said) = picky(status).await;
        let stand = stand("own/m", 3, LONG, &config);
        let answers = ask_all(&stand, ["good", "bad", "well"].map(|text| embed(&json!(text)))).await;
        assert_eq!(statuses(&answers), [200, status, 200]);
        assert_eq!(header(&answers[0], "x-tidegate-attempts"), "2");
        shows(
            &stand,
            &[
                r#"tidegate_upstream_attempts_total{provider="own",model="m",result="ok"} 2"#,
                r#"tidegate_upstream_attempts_total{provider="own",model="m",result="refused"} 2"#,
                r#"tidegate_coalesced_requests_total{provider="own",result="parted"} 3"#,
            ],
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_all_is_told_to_all() {
    // (what the provider says, what each is told, how that attempt counts)
    for (status, told, result) in [(404, 404, "refused"), (500, 502, "failed"), (401, 502, "refused")] {
        let (config, _said) = picky(status).await;
        let stand = stand("own/m", 3, LONG, &config);
        let answers = ask_all(&stand, ["good", "bad", "well"].map(|text| embed(&json!(text)))).await;
        assert_eq!(statuses(&answers), [told; 3]);
        shows(
            &stand,
            &[
                &format!(
                    r#"tidegate_upstream_attempts_total{{provider="own",model="m",result="{result}"}} 1"#
                ),
                r#"tidegate_upstream_attempts_total{provider="own",model="m",result="ok"} 0"#,
                r#"tidegate_coalesced_requests_total{provider="own",result="failed"} 3"#,
            ],
        );
    }
}

#[tokio::test]
async fn a_provider_that_answers_one_of_several_is_asked_for_each() {
    let first = |input: &Value| {
        let input = input.as_array().map_or(input, |inputs| &inputs[0]);
        Some((200, json!({ "data": [{ "index": 0, "embedding": [input] }] }).to_string()))
    };
    let (config, mut said) = provider(first).await;
    let stand = stand("own/m", 2, LONG, &config);
    let answers = ask_all(&stand, [embed(&json!("a")), embed(&json!("b"))]).await;
    assert_eq!(said.recv().await.unwrap().as_array().unwrap().len(), 2);
    let vectors: Vec<_> =
        answers.iter().map(|answer| body(answer)["data"][0]["embedding"][0].clone()).collect();
    assert_eq!(vectors, ["a", "b"]);
    shows(&stand, &[r#"tidegate_coalesced_requests_total{provider="own",result="parted"} 2"#]);
}

#[tokio::test]
async fn who_leaves_hurts_nobody_and_the_last_ends_the_call() {
    let (config, mut said) = provider(|_| None).await;
    let stand = stand("own/m", 3, LONG, &config);
    let mut impatient = embed(&json!("a"));
    for (name, value) in [("x-tidegate-timeout-ms", "1"), ("cache-control", "no-store")] {
        impatient.headers.insert(name, value.parse().unwrap());
    }
    {
        let desk = &stand.gateway.desk;
        let mut first = Box::pin(desk.ask(embed(&json!("b"))));
        let mut last = Box::pin(desk.ask(embed(&json!("c"))));
        // One gives up while they gather: it is not asked for, though it was counted.
        let late = tokio::select! {
            late = desk.ask(impatient) => late,
            _ = &mut first => panic!("nothing was asked yet"),
        };
        assert_eq!(late.status, 504);
        let mut third = Box::pin(desk.ask(embed(&json!("d"))));
        let inputs = tokio::select! {
            inputs = said.recv() => inputs.unwrap(),
            _ = join_all([&mut first, &mut last, &mut third]) => panic!("nothing is answered"),
        };
        let mut inputs: Vec<_> =
            inputs.as_array().unwrap().iter().map(|input| input.as_str().unwrap()).collect();
        inputs.sort_unstable();
        assert!(inputs == ["b", "c"] || inputs == ["b", "d"] || inputs == ["c", "d"], "{inputs:?}");
        drop(third);
    }
    assert_eq!(said.recv().await.unwrap(), Value::Null, "nobody waits: the call is over");
}

#[tokio::test]
async fn who_leaves_pays_for_what_was_asked_for_it() {
    let permits = Arc::new(Semaphore::new(0));
    let (config, mut said) = slow_provider(&permits, |input| {
        let data: Vec<_> = (0..input.as_array()?.len()).map(|index| json!({ "index": index })).collect();
        Some((200, json!({ "data": data, "usage": { "prompt_tokens": 8, "total_tokens": 8 } }).to_string()))
    })
    .await;
    let keys = ["tg-AAAAAAAAAAAA", "tg-BBBBBBBBBBBB"];
    let known = keys.map(|id| {
        format!("[[keys]]\nid = '{id}'\nhash = '{}'\ntenant = 'search'\n", KeyHash::of(id, b"secret"))
    });
    let stand = stand("own/m", 2, LONG, &(config + &known.concat()));
    let asked = keys.map(|key| {
        let principal = Principal { key: Some(key.into()), tenant: "search".into() };
        let mut asked = Commission { principal, ..embed(&json!("as long")) };
        asked.headers.insert("cache-control", "no-store".parse().unwrap());
        asked
    });
    let [stays, leaves] = asked.map(|asked| Box::pin(stand.gateway.desk.ask(asked)));
    let one_leaves = async {
        tokio::select! {
            _ = leaves => panic!("nobody is answered yet"),
            _ = said.recv() => {}
        }
        let left = r#"tidegate_requests_total{operation="embeddings",model="v",outcome="caller_left"} 1"#;
        while !stand.metrics().contains(left) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        permits.add_permits(1);
    };
    assert_eq!(tokio::join!(stays, one_leaves).0.status, 200);
    let mut paid = BTreeMap::<String, (u64, u64)>::new();
    for worker in 0..2 {
        stand.gateway.durable.books.sheet(worker).take(|who, _, sum| {
            let key = who.as_ref().unwrap().key.as_ref().unwrap();
            let (requests, tokens) = paid.entry(key.to_string()).or_default();
            (*requests, *tokens) = (*requests + sum.requests, *tokens + sum.tokens_in);
        });
    }
    assert_eq!(paid, keys.map(|key| (key.to_owned(), (1, 4))).into());
}
