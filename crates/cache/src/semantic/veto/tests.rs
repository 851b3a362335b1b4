#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[track_caller]
fn check(veto: Veto, differ: &[(&str, &str)], agree: &[(&str, &str)]) {
    let (_, differs) = ALL.into_iter().find(|(name, _)| *name == veto).unwrap();
    for (pairs, expected) in [(differ, true), (agree, false)] {
        for (a, b) in pairs {
            let (one, two) = (Question::read_again(a), Question::read_again(b));
            assert_eq!(differs(&one, &two), expected, "{veto:?}: {a} / {b}");
            assert_eq!(differs(&two, &one), expected, "{veto:?} is not symmetric: {a} / {b}");
            assert!(!differs(&one, &one) && !differs(&two, &two), "{veto:?} against itself: {a} / {b}");
        }
    }
}

#[test]
fn numbers() {
    check(
        Veto::Numbers,
        &[
            ("15% of 80", "18% of 80"),
            ("three cups", "four cups"),
            ("the first step", "the second step"),
            ("say \"5\"", "say \"6\""),
            ("a dozen eggs", "two eggs"),
        ],
        &[
            ("3 cups", "three cups"),
            ("the 2nd step", "the second step"),
            ("1,000 users", "1000 users"),
            ("one cup", "a cup"),
        ],
    );
}

#[test]
fn units() {
    check(
        Veto::Units,
        &[("5 km", "5 miles"), ("20 euros", "$20"), ("in feet", "in meters"), ("30 minutes", "30 seconds")],
        &[("5 km", "5 kilometers"), ("$20", "20 dollars"), ("in metres", "in meters"), ("15%", "15 percent")],
    );
}

#[test]
fn dates() {
    check(
        Veto::Dates,
        &[
            ("open on Saturday", "open on Sunday"),
            ("last week", "next week"),
            ("at 5 am", "at 5 pm"),
            ("in May or June", "in May or July"),
        ],
        &[("on Mon", "on Monday"), ("in September", "in sept"), ("fall colors", "autumn colors")],
    );
}

#[test]
fn versions() {
    check(
        Veto::Versions,
        &[
            ("React v17", "React v18"),
            ("Pixel 7", "Pixel 7 Pro"),
            ("RTX 3080", "RTX 3080 Ti"),
            ("GPT4 model", "GPT5 model"),
        ],
        &[("React v17", "react V17"), ("a pro tip", "a tip")],
    );
}

#[test]
fn code() {
    check(
        Veto::Code,
        &[
            ("git reset --soft", "git reset --hard"),
            ("edit config.yaml", "edit config.toml"),
            ("a && b", "a || b"),
            ("getUser()", "setUser()"),
        ],
        &[("edit config.yaml", "Edit config.yaml, please"), ("use C++ now", "now use C++")],
    );
}

#[test]
fn quotations() {
    check(
        Veto::Quotes,
        &[("say \"good morning\"", "say \"good evening\""), ("say \"hi\"", "say hi"), ("use `x`", "use `y`")],
        &[("say \"good morning\"", "say \u{201c}good morning\u{201d}")],
    );
}

#[test]
fn negation() {
    check(
        Veto::Negation,
        &[
            ("is it safe", "is it not safe"),
            ("with eggs", "without eggs"),
            ("why does it work", "why doesn't it work"),
            ("an approved drug", "an unapproved drug"),
        ],
        &[
            ("why isn't it safe", "why is it not safe"),
            ("I can't swim", "I cannot swim"),
            ("in a unit", "a unit"),
        ],
    );
}

#[test]
fn kind() {
    check(
        Veto::Kind,
        &[
            ("who built it", "how was it built"),
            ("when was it signed", "where was it signed"),
            ("how many moons has it", "how often is it full"),
            ("why is it red", "is it red"),
        ],
        &[
            ("how do I swim", "how can I swim"),
            ("capital of Peru", "what is the capital of Peru"),
            ("how tall is it", "what is its height"),
        ],
    );
}

#[test]
fn modality() {
    check(
        Veto::Modality,
        &[
            ("can I eat it", "should I eat it"),
            ("must we pay", "may we pay"),
            ("when can I stop", "when must I stop"),
        ],
        &[
            ("can I eat it", "am I allowed to eat it"),
            ("how can I swim", "how should I swim"),
            ("do I have to pay", "must I pay"),
        ],
    );
}

#[test]
fn scope() {
    check(
        Veto::Scope,
        &[
            ("list all cities", "list some cities"),
            ("the first step", "the last step"),
            ("only members", "members"),
            ("any damage", "all damage"),
        ],
        &[("all cities", "every city"), ("the main cause", "the primary cause")],
    );
}

#[test]
fn comparison() {
    check(
        Veto::Comparison,
        &[
            ("a fast car", "the fastest car"),
            ("a better phone", "the best phone"),
            ("more rain", "less rain"),
            ("faster code", "fast code"),
        ],
        &[
            ("the fastest way", "the quickest way"),
            ("a forest fire", "a fire"),
            ("the best way", "the most useful way"),
        ],
    );
}

#[test]
fn antonyms() {
    check(
        Veto::Antonyms,
        &[
            ("increase the size", "decrease the size"),
            ("enabling alerts", "disable alerts"),
            ("my mother", "my father"),
            ("delete a row", "delete a column"),
            ("buys stocks", "sells stocks"),
        ],
        &[
            ("increase it", "raise it"),
            ("open and close it", "close and open it"),
            ("remove it", "delete it"),
        ],
    );
}

#[test]
fn language() {
    check(
        Veto::Language,
        &[
            ("say it in Japanese", "say it in Korean"),
            ("What is the capital of Spain?", "\u{bf}Cu\u{e1}l es la capital de Espa\u{f1}a?"),
            ("Wie setze ich mein Passwort zur\u{fc}ck?", "How do I reset my password?"),
            ("\u{41a}\u{430}\u{43a} \u{434}\u{435}\u{43b}\u{430}", "how are you"),
        ],
        &[("French cuisine", "the cuisine, french"), ("What is it", "what is that thing")],
    );
}

#[test]
fn format() {
    check(
        Veto::Format,
        &[
            ("list them as JSON", "list them as CSV"),
            ("in one sentence", "in one paragraph"),
            ("explain it briefly", "explain it in detail"),
            ("what is it", "what is it? Answer in a haiku"),
        ],
        &[("a table of cities", "tables of cities"), ("explain it briefly", "a brief explanation")],
    );
}

#[test]
fn owner() {
    check(
        Veto::Owner,
        &[
            ("delete my data", "delete your data"),
            ("his calendar", "her calendar"),
            ("read their mail", "read mail"),
        ],
        &[("delete my data", "delete our data"), ("your refund policy", "the refund policy")],
    );
}

#[test]
fn entities() {
    check(
        Veto::Entities,
        &[
            ("the capital of Austria", "the capital of Australia"),
            ("install it on Ubuntu", "install it on Windows"),
            ("is Paris big", "is it big"),
        ],
        &[
            ("how tall is Mount Fuji", "how tall is mount fuji"),
            ("people of the USA", "people of the United States"),
            ("Aspirin is safe", "it is safe"),
        ],
    );
}

#[test]
fn direction() {
    check(
        Veto::Direction,
        &[
            ("from Boston to Denver", "from Denver to Boston"),
            ("eat before a workout", "eat after a workout"),
            ("EN->FR: hello", "FR->EN: hello"),
            ("get into the house", "get out of the house"),
        ],
        &[("from Boston to Denver", "to Denver from Boston"), ("convert it to JSON", "to JSON, convert it")],
    );
}

#[test]
fn arguments() {
    check(
        Veto::Arguments,
        &[
            ("did Alice pay Bob", "did Bob pay Alice"),
            ("is Java faster than Python", "is Python faster than Java"),
            ("who beat Spain", "who did Spain beat"),
        ],
        &[
            ("in Go, how do I sort", "how do I sort in Go"),
            ("what is Kenya's capital", "what is the capital of Kenya"),
            ("the difference between a dog and a wolf", "the difference between a wolf and a dog"),
        ],
    );
}

#[test]
fn every_veto_has_a_table_here() {
    let names: std::collections::HashSet<Veto> = ALL.iter().map(|(veto, _)| *veto).collect();
    assert_eq!(names.len(), ALL.len());
}
