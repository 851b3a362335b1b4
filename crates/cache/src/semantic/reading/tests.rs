#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::semantic::words;

fn terms(chunk: &Chunk) -> Vec<&str> {
    chunk.terms.iter().map(|term| term.text.as_str()).collect()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let reading = Reading::of(&mut words::split(text));
    let chunks: Vec<String> = reading
        .chunks
        .iter()
        .map(|chunk| {
            let not = if chunk.negations > 0 { "!" } else { "" };
            format!("{}[{not}{}]", chunk.role, terms(chunk).join(" "))
        })
        .collect();
    assert_eq!(format!("{:?} {}", reading.form, chunks.join(" ")), expected, "{text}");
}

#[test]
fn what_is_said_around_a_question_goes() {
    check("Hi, could you please tell me how to delete a file? Thanks!", "How [delet file]");
    check("how do I remove files", "How [delet file]");
    check("Can you tell me if aspirin is safe?", "YesNo [aspirin safe]");
}

#[test]
fn prepositions_give_roles() {
    check("Find flights from Boston to Denver", "Task [locat flight] from[boston] to[denver]");
    check("In Python, how do I sort a list?", "How [sort list] in[python]");
    check("If my card is stolen, what should I do?", "What [should i do] if[card steal]");
}

#[test]
fn what_may_matter_stays() {
    check("Which foods are not safe for dogs?", "What [!food safe] for[dog]");
    check("Can I eat only some of it?", "YesNo [can eat onli some] of[it]");
    check("What does git reset --soft do?", "What [git reset --soft do]");
}

#[test]
fn the_passive_is_read_as_active() {
    check("How is cheese made?", "How [creat chees]");
    check("How do people make cheese?", "How [creat chees]");
    check("Who was Spain beaten by?", "Who [beat spain]");
    check("Who did Spain beat?", "Who [spain beat]");
}

#[test]
fn other_languages_are_rows_of_words() {
    check("Wie ist das Wetter in Bern?", "Task [wie ist das wetter] in[bern]");
}
