//! How much of something is meant: all, only, first, any, each, except, at least.

use super::marks;
use crate::semantic::question::Question;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    scopes(a) != scopes(b)
}

fn scopes(question: &Question) -> Vec<&'static str> {
    let mut scopes = marks(question, |word| {
        Some(match word {
            "all" | "every" | "everything" | "everyone" | "entire" | "whole" => "all",
            "each" => "each",
            "only" | "solely" | "exclusively" => "only",
            "any" | "anything" | "anyone" => "any",
            "some" | "several" | "few" => "some",
            "most" | "majority" => "most",
            "many" => "many",
            "both" => "both",
            "either" => "either",
            "except" | "excluding" | "besides" => "except",
            "including" | "include" => "including",
            "last" | "final" => "last",
            "least" => "least",
            "half" => "half",
            "total" | "overall" => "total",
            "average" | "mean" if word == "average" => "average",
            "median" => "median",
            "main" | "primary" | "chief" | "principal" => "main",
            "remaining" | "rest" | "other" | "another" => "other",
            "top" => "top",
            "always" => "always",
            "sometimes" => "sometimes",
            "usually" => "usually",
            _ => return None,
        })
    });
    scopes.dedup();
    scopes
}
