//! What each kind of step does, and what it gives to those after it.

use serde_json::{Value, json};
use store::runs::RunState;
use work::workflow::event::Failure;

use crate::stage::{Outside, Stage};

/// A step that asks a model, and is answered with what it says.
fn say(id: &str, needs: &[&str], text: &str) -> String {
    format!(
        "[[steps]]\nid = '{id}'\nkind = 'model'\nneeds = {needs:?}\nmodel = 'm'\nrequest = {{ say = {} }}\n",
        Value::from(text)
    )
}

fn workflow(head: &str, steps: &[&str]) -> String {
    format!("name = 'w'\n{head}\n{}", steps.concat())
}

#[tokio::test]
async fn outputs_go_to_the_steps_that_read_them() {
    let stage = Stage::new(Outside::echo()).await;
    let text = workflow(
        "output = {both = '{{ steps.c.output }}', n = '{{ input.n + 1 }}', run = '{{ run.workflow }}'}",
        &[
            &say("a", &[], "{{ input.name }}"),
            &say("b", &[], "2"),
            &say("c", &["a", "b"], "{{ steps.a.output }}+{{ steps.b.output }}"),
        ],
    );
    let output = stage.output(&text, json!({"name": "Ada", "n": 1})).await;
    assert_eq!(output, json!({"both": "Ada+2", "n": 2, "run": "w"}));
}

#[tokio::test]
async fn without_an_output_the_last_steps_are_it() {
    let stage = Stage::new(Outside::echo()).await;
    let one = workflow("", &[&say("a", &[], "1"), &say("b", &["a"], "2")]);
    assert_eq!(stage.output(&one, json!({})).await, json!("2"));
    let two = workflow("", &[&say("a", &[], "1"), &say("b", &[], "2")]);
    assert_eq!(stage.output(&two, json!({})).await, json!({"a": "1", "b": "2"}));
}

#[tokio::test]
async fn a_map_gives_the_outputs_in_the_order_of_its_items() {
    let stage = Stage::new(Outside::echo()).await;
    let map = "[[steps]]\nid = 'm'\nkind = 'map'\nover = 'input.list'\nconcurrency = 3\n\
               step = {kind = 'model', model = 'm', request = {say = '{{ index }}:{{ item.name }}'}}\n";
    let list: Vec<Value> = (0..7).map(|number| json!({"name": format!("n{number}")})).collect();
    let text = workflow("", &[map, &say("z", &["m"], "{{ steps.m.output | join(' ') }}")]);
    assert_eq!(stage.output(&text, json!({"list": list})).await, json!("0:n0 1:n1 2:n2 3:n3 4:n4 5:n5 6:n6"));
    assert_eq!(stage.outside.count("m/6"), 1);
}

#[tokio::test]
async fn an_item_that_may_fail_gives_null() {
    let stage = Stage::new(Outside::replying(|say, _| match say {
        "1" => Err(Failure::lasting("test", "no")),
        _ => Ok(json!(say)),
    }))
    .await;
    let map = "[[steps]]\nid = 'm'\nkind = 'map'\nover = 'range(3) | list'\n\
               step = {kind = 'model', model = 'm', on_error = 'continue', request = {say = '{{ item }}'}}\n";
    // `{{ item }}` alone is a number: the outside hears text where there is other text with it.
    let map = map.replace("'{{ item }}'", "'{{ item }}{# text #}'");
    assert_eq!(stage.output(&workflow("", &[&map]), json!({})).await, json!(["0", null, "2"]));
}

#[tokio::test]
async fn a_branch_runs_the_steps_of_the_first_case_that_holds() {
    let branch = "[[steps]]\nid = 'b'\nkind = 'branch'\nelse = ['small']\ncases = [\
                  {when = 'input.n > 100', steps = ['huge']}, {when = 'input.n > 10', steps = ['big']}]\n";
    for (n, want) in [(1, "small"), (50, "big"), (500, "huge")] {
        let stage = Stage::new(Outside::echo()).await;
        let end = say(
            "end",
            &["small", "big", "huge"],
            "{{ steps.small.output or steps.big.output or steps.huge.output }}",
        );
        let steps = [say("small", &[], "small"), say("big", &[], "big"), say("huge", &[], "huge")].concat();
        let output = stage.output(&workflow("", &[branch, &steps, &end]), json!({"n": n})).await;
        assert_eq!((output, stage.outside.total()), (json!(want), 2));
    }
}

#[tokio::test]
async fn a_sleep_takes_as_long_as_it_says() {
    for (key, want_ms) in [
        ("for = '1h30m'", 5_400_000),
        ("for = '{{ input.seconds }}'", 2_500),
        ("until = '1970-01-01T01:00:00Z'", 3_600_000 - 1_000_000),
        ("until = '1970-01-01T00:00:00Z'", 0),
    ] {
        let stage = Stage::new(Outside::echo()).await;
        let before = stage.now();
        let sleep = format!("[[steps]]\nid = 's'\nkind = 'sleep'\n{key}\n");
        stage.output(&workflow("", &[&sleep]), json!({"seconds": 2.5})).await;
        assert_eq!(stage.now().since(before).as_millis(), want_ms, "{key}");
    }
}

#[tokio::test]
async fn a_wait_has_its_signal_as_output() {
    let text = workflow("", &["[[steps]]\nid = 'ear'\nkind = 'wait'\nsignal = 'go'\ntimeout = '1d'\n"]);
    for early in [false, true] {
        let stage = Stage::new(Outside::echo()).await;
        let run = stage.start(&text, json!({})).await;
        if !early {
            let jobs = stage.claim(1).await;
            stage.engine.perform(&jobs[0]).await.unwrap();
        }
        stage.engine.signal(&run.id, None, "go", &json!({"by": "Ada"})).await.unwrap();
        stage.engine.signal(&run.id, None, "go", &json!("again")).await.unwrap();
        stage.finish().await;
        let run = stage.run(&run.id).await;
        assert_eq!((run.state, run.output), (RunState::Done, Some(b"{\"by\":\"Ada\"}".to_vec())));
        assert_eq!(stage.row(&run.id, "ear").await.state, "done");
    }
}

#[tokio::test]
async fn a_call_of_a_server_is_filled_in() {
    let stage = Stage::new(Outside::echo()).await;
    let http = "[[steps]]\nid = 'h'\nkind = 'http'\nurl = 'https://{{ input.host }}/x'\n\
                headers = {authorization = 'Bearer {{ input.key }}'}\nbody = {n = '{{ input.n }}'}\n";
    let output = stage.output(&workflow("", &[http]), json!({"host": "h", "key": "k", "n": 3})).await;
    assert_eq!(output, json!("https://h/x"));
    let want = json!({"say": "https://h/x", "body": {"n": 3}, "headers": {"authorization": "Bearer k"}});
    assert_eq!(*stage.outside.seen.lock().unwrap(), [want]);
}

#[tokio::test]
async fn headers_are_not_kept() {
    let stage = Stage::new(Outside::echo()).await;
    let http = "[[steps]]\nid = 'h'\nkind = 'http'\nurl = 'https://h'\nheaders = {a = '{{ input.key }}'}\n";
    let run = stage.start(&workflow("", &[http]), json!({"key": "hidden"})).await;
    stage.finish().await;
    let input = String::from_utf8(stage.row(&run.id, "h").await.input.unwrap()).unwrap();
    assert!(!input.contains("hidden") && input.contains("https://h"), "{input}");
}

#[tokio::test]
async fn a_child_has_its_output_taken_and_its_failure_told() {
    let outside = Outside::replying(|say, _| match say {
        "bad" => Err(Failure::lasting("test", "as asked")),
        _ => Ok(json!(say)),
    });
    let stage = Stage::new(outside).await;
    let child = "name = 'child'\ninput = ['word']\n".to_owned() + &say("only", &[], "{{ input.word }}");
    stage.engine.define("acme", &child).await.unwrap();
    let parent = workflow(
        "",
        &[
            "[[steps]]\nid = 'kid'\nkind = 'workflow'\nworkflow = 'child'\ninput = {word = '{{ input.word }}'}\n",
        ],
    );
    assert_eq!(stage.output(&parent, json!({"word": "good"})).await, json!("good"));
    let error = stage.error(&parent, json!({"word": "bad"})).await;
    assert!(error.starts_with("step `kid` failed: run-") && error.ends_with("as asked"), "{error}");
    let error = stage.error(&parent.replace("'child'", "'chld'"), json!({"word": "x"})).await;
    assert!(error.contains("no workflow `chld`"), "{error}");
}

#[tokio::test]
async fn a_child_for_each_item() {
    let stage = Stage::new(Outside::echo()).await;
    let child = "name = 'child'\n".to_owned() + &say("only", &[], "<{{ input.word }}>");
    stage.engine.define("acme", &child).await.unwrap();
    let map = "[[steps]]\nid = 'm'\nkind = 'map'\nover = 'input'\nconcurrency = 2\n\
               step = {kind = 'workflow', workflow = 'child', input = {word = '{{ item }}'}}\n";
    let output = stage.output(&workflow("", &[map]), json!(["a", "b", "c"])).await;
    assert_eq!(output, json!(["<a>", "<b>", "<c>"]));
}

#[tokio::test]
async fn workflows_within_one_another_have_a_bound() {
    let stage = Stage::new(Outside::echo()).await;
    let other = |name: &str, child: &str| {
        format!("name = '{name}'\n[[steps]]\nid = 'kid'\nkind = 'workflow'\nworkflow = '{child}'\n")
    };
    stage.engine.define("acme", &other("ping", "pong")).await.unwrap();
    let error = stage.error(&other("pong", "ping"), json!({})).await;
    assert!(error.contains("more than 8 workflows within one another"), "{error}");
}

#[tokio::test]
async fn a_version_stays_the_runs_own() {
    let stage = Stage::new(Outside::echo()).await;
    let run = stage.start(&workflow("", &[&say("a", &[], "old")]), json!({})).await;
    stage.engine.define("acme", &workflow("", &[&say("a", &[], "new")])).await.unwrap();
    stage.finish().await;
    assert_eq!(stage.run(&run.id).await.output, Some(b"\"old\"".to_vec()));
}

#[tokio::test]
async fn what_goes_wrong_is_told() {
    let stage = Stage::new(Outside::replying(|say, _| Ok(json!("x".repeat(say.len() * 1_000_000))))).await;
    for (step, want) in [
        (say("a", &[], "{{ input.none }}"), "step `a` failed: `{{ input.none }}` gives nothing"),
        (say("a", &[], "{{ input.none.more }}!"), "reads what is not there"),
        (say("a", &[], "xx"), "bytes of output, and no more than 1048576 are kept"),
        ("[[steps]]\nid = 'a'\nkind = 'map'\nover = 'input'\nstep = {kind = 'http', url = 'https://x'}\n".to_owned(), "`over` gives no list"),
        ("[[steps]]\nid = 'a'\nkind = 'map'\nover = 'range(10001) | list'\nstep = {kind = 'http', url = 'https://x'}\n".to_owned(), "10001 items"),
        ("[[steps]]\nid = 'a'\nkind = 'http'\nurl = '{{ 'file:' ~ 'x' }}'\n".replace("'{{ 'file:' ~ 'x' }}'", "\"{{ 'file:' ~ 'x' }}\""), "the address does not begin"),
        ("[[steps]]\nid = 'a'\nkind = 'sleep'\nfor = '{{ [] }}'\n".to_owned(), "[] is not when to wake up"),
    ] {
        let error = stage.error(&workflow("", &[&step]), json!({})).await;
        assert!(error.contains(want), "{step}: {error}");
    }
}

#[tokio::test]
async fn a_failure_undoes_with_the_output_of_what_it_undoes() {
    let outside = Outside::replying(|say, _| match say {
        "bad" => Err(Failure::lasting("test", "as asked")),
        _ => Ok(json!({"id": say})),
    });
    let stage = Stage::new(outside).await;
    let charge = say("charge", &[], "c1")
        + "compensate = {kind = 'http', method = 'DELETE', url = 'https://pay/{{ steps.charge.output.id }}'}\n";
    let error = stage.error(&workflow("", &[&charge, &say("ship", &["charge"], "bad")]), json!({})).await;
    assert_eq!(error, "step `ship` failed: as asked");
    assert_eq!(stage.outside.seen.lock().unwrap()[2]["say"], "https://pay/c1");
}

#[tokio::test]
async fn the_longest_list_is_spread_in_one_commit() {
    let stage = Stage::new(Outside::echo()).await;
    let map = "[[steps]]\nid = 'm'\nkind = 'map'\nover = 'range(10000) | list'\nconcurrency = 100\n\
               step = {kind = 'model', model = 'm', request = {say = 'x'}}\n";
    let run = stage.start(&workflow("", &[map]), json!({})).await;
    let jobs = stage.claim(1).await;
    stage.engine.perform(&jobs[0]).await.unwrap();
    assert_eq!(stage.store.runs.steps(&run.id, None, 20_000).await.unwrap().len(), 10_001);
    assert_eq!(stage.claim(1_000).await.len(), 100);
    assert!(stage.run(&run.id).await.status.len() < 4_096);
}
