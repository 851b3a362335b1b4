#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::workflow::Format;

fn definition(steps: &[(&str, &[&str])]) -> Definition {
    let step = |(id, needs): &(&str, &[&str])| {
        format!("[[steps]]\nid = '{id}'\nneeds = {needs:?}\nkind = 'model'\nmodel = 'm'\nrequest = {{}}\n")
    };
    let text = format!("name = 'w'\n{}", steps.iter().map(step).collect::<String>());
    Definition::parse(&text, Format::Toml).unwrap_or_else(|faults| panic!("{faults}"))
}

#[track_caller]
fn check(drawn: &[Line], want: &str) {
    let drawn: String = drawn.iter().map(|line| format!("{}\n", line.text)).collect();
    assert_eq!(drawn, want.trim_start_matches('\n'), "\n{drawn}");
}

#[test]
fn a_chain_is_one_rail() {
    let definition = definition(&[("a", &[]), ("b", &["a"]), ("c", &["b", "a"])]);
    check(
        &draw(&definition, None, Style::Unicode),
        "
○ a  model
○ b  model
○ c  model
",
    );
}

#[test]
fn steps_that_nothing_joins_do_not_look_joined() {
    let definition = definition(&[("a", &[]), ("b", &[]), ("c", &[])]);
    check(
        &draw(&definition, None, Style::Unicode),
        "
○   a  model
  ○ b  model
○   c  model
",
    );
}

#[test]
fn a_fan_spreads_and_comes_together() {
    let steps: &[(&str, &[&str])] = &[
        ("fetch", &[]),
        ("title", &["fetch"]),
        ("body", &["fetch"]),
        ("links", &["fetch"]),
        ("clean", &["body"]),
        ("join", &["title", "clean", "links"]),
        ("store", &["join"]),
        ("tell", &["join"]),
    ];
    let definition = definition(steps);
    check(
        &draw(&definition, None, Style::Unicode),
        "
○     fetch  model
├─○   title  model
├─│─○ body   model
○ │ │ links  model
│ │ ○ clean  model
○─┴─╯ join   model
├─○   store  model
○     tell   model
",
    );
    check(
        &draw(&definition, None, Style::Ascii),
        "
o     fetch  model
+-o   title  model
+-|-o body   model
o | | links  model
| | o clean  model
o-+-' join   model
+-o   store  model
o     tell   model
",
    );
}

#[test]
fn a_rail_that_passes_is_not_joined() {
    let definition = definition(&[
        ("a", &[]),
        ("b", &[]),
        ("c", &[]),
        ("ac", &["a", "c"]),
        ("b2", &["b"]),
        ("c2", &["c"]),
        ("a2", &["a"]),
    ]);
    check(
        &draw(&definition, None, Style::Unicode),
        "
○       a   model
│ ○     b   model
│ │ ○   c   model
├─│─┼─○ ac  model
○ │ │   a2  model
  ○ │   b2  model
    ○   c2  model
",
    );
}

#[test]
fn a_run_is_shown_by_symbols_and_words() {
    let text = include_str!("../../../examples/digest.toml");
    let definition = Definition::parse(text, Format::Toml).unwrap_or_else(|faults| panic!("{faults}"));
    let mut status = Status::new(definition.steps().len(), 0);
    for (place, mark) in
        [Mark::Done, Mark::Spread, Mark::Started, Mark::Failed, Mark::Later].into_iter().enumerate()
    {
        status.set(place, mark);
    }
    status.spreads.insert(
        1,
        crate::workflow::status::Spread { total: 10, next: 5, done: 3, failed: 1, ..Default::default() },
    );
    let drawn = draw(&definition, Some(&status), Style::Unicode);
    for line in &drawn {
        assert_eq!(line.text[line.symbol.clone()].chars().next(), Some(symbol(line.mark, Style::Unicode)));
    }
    check(
        &drawn,
        "
●   fetch   http                     done
├─◑ parts   map of model, 4 at once  spread 3/10, 1 failed
◐ │ title   model                    started
✗─╯ digest  model                    failed
↻   store   http                     retrying
○   send    http                     waiting
",
    );
    assert!(draw(&definition, Some(&status), Style::Ascii).iter().all(|line| line.text.is_ascii()));
}

#[test]
fn thirty_steps_stay_readable() {
    let mut steps: Vec<(String, Vec<String>)> = vec![("start".to_owned(), vec![])];
    for at in 0..10 {
        steps.push((format!("fetch_{at}"), vec!["start".to_owned()]));
    }
    for at in 0..10 {
        steps.push((format!("judge_{at}"), vec![format!("fetch_{at}")]));
    }
    steps.push(("rank".to_owned(), (0..10).map(|at| format!("judge_{at}")).collect()));
    for (id, need) in [
        ("write", "rank"),
        ("check", "write"),
        ("mend", "check"),
        ("picture", "rank"),
        ("layout", "mend"),
        ("sign", "layout"),
        ("send", "sign"),
    ] {
        steps.push((id.to_owned(), vec![need.to_owned()]));
    }
    steps.push(("log".to_owned(), vec!["start".to_owned()]));
    assert_eq!(steps.len(), 30);
    let text: String = steps
        .iter()
        .map(|(id, needs)| {
            format!("[[steps]]\nid = '{id}'\nneeds = {needs:?}\nkind = 'http'\nurl = 'https://x'\n")
        })
        .collect();
    let definition = Definition::parse(&format!("name = 'w'\n{text}"), Format::Toml).unwrap();
    let drawn = draw(&definition, None, Style::Unicode);
    assert!(drawn.iter().all(|line| line.text.chars().count() <= 80));
    check(
        &drawn,
        "
○                     start    http
├─○                   fetch_0  http
├─│─○                 fetch_1  http
├─│─│─○               fetch_2  http
├─│─│─│─○             fetch_3  http
├─│─│─│─│─○           fetch_4  http
├─│─│─│─│─│─○         fetch_5  http
├─│─│─│─│─│─│─○       fetch_6  http
├─│─│─│─│─│─│─│─○     fetch_7  http
├─│─│─│─│─│─│─│─│─○   fetch_8  http
├─│─│─│─│─│─│─│─│─│─○ fetch_9  http
○ │ │ │ │ │ │ │ │ │ │ log      http
  ○ │ │ │ │ │ │ │ │ │ judge_0  http
  │ ○ │ │ │ │ │ │ │ │ judge_1  http
  │ │ ○ │ │ │ │ │ │ │ judge_2  http
  │ │ │ ○ │ │ │ │ │ │ judge_3  http
  │ │ │ │ ○ │ │ │ │ │ judge_4  http
  │ │ │ │ │ ○ │ │ │ │ judge_5  http
  │ │ │ │ │ │ ○ │ │ │ judge_6  http
  │ │ │ │ │ │ │ ○ │ │ judge_7  http
  │ │ │ │ │ │ │ │ ○ │ judge_8  http
  │ │ │ │ │ │ │ │ │ ○ judge_9  http
  ○─┴─┴─┴─┴─┴─┴─┴─┴─╯ rank     http
  ├─○                 write    http
  ○ │                 picture  http
    ○                 check    http
    ○                 mend     http
    ○                 layout   http
    ○                 sign     http
    ○                 send     http
",
    );
}

proptest! {
    #[test]
    fn every_step_stands_once_below_what_it_needs(needs in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..40)) {
        let steps: Vec<(String, Vec<String>)> = needs
            .iter()
            .enumerate()
            .map(|(at, needs)| {
                let needs: BTreeSet<usize> = needs.iter().filter(|_| at > 0).map(|need| need.index(at.max(1))).collect();
                (format!("s{at}"), needs.into_iter().map(|need| format!("s{need}")).collect())
            })
            .collect();
        let text: String = steps
            .iter()
            .rev()
            .map(|(id, needs)| format!("[[steps]]\nid = '{id}'\nneeds = {needs:?}\nkind = 'sleep'\nfor = '1s'\n"))
            .collect();
        let definition = Definition::parse(&format!("name = 'w'\n{text}"), Format::Toml).expect("fine");
        let drawn = draw(&definition, None, Style::Ascii);
        prop_assert_eq!(drawn.len(), steps.len());
        let mut seen = BTreeSet::new();
        let mut symbols: Vec<usize> = Vec::new();
        for line in &drawn {
            let step = &definition.steps()[line.step];
            prop_assert!(step.needs.iter().all(|need| seen.contains(need)));
            prop_assert!(seen.insert(line.step));
            prop_assert!(line.text.is_ascii() && line.text.contains(&step.id));
            // A step right below another in one column is joined to it.
            let above = drawn.get(symbols.len().wrapping_sub(1));
            if let Some(above) = above.filter(|_| symbols.last() == Some(&line.symbol.start)) {
                prop_assert!(step.needs.contains(&above.step), "{} below {}", step.id, above.text);
            }
            symbols.push(line.symbol.start);
        }
    }
}
