//! Which failures mean what, on a clock that the test moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Cause, Event, Kind, Patterns, Scope, Severity};
use std::time::{Duration, Instant};

const MODELS: [&str; 5] = ["m1", "m2", "m3", "m4", "m5"];

struct Course {
    patterns: Patterns,
    now: Instant,
}

impl Course {
    fn new() -> Self {
        let now = Instant::now();
        Self { patterns: Patterns::new(now), now }
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    fn fail_by(
        &mut self,
        times: usize,
        provider: &str,
        credential: u64,
        model: &str,
        kind: Kind,
    ) -> &mut Self {
        for _ in 0..times {
            self.patterns.note(Event { provider, credential, model, kind }, self.now);
        }
        self
    }

    fn fail(&mut self, times: usize, provider: &str, model: &str, kind: Kind) -> &mut Self {
        self.fail_by(times, provider, 1, model, kind)
    }

    fn fail_all(&mut self, provider: &str, models: &[&str], kind: Kind) -> &mut Self {
        for model in models {
            self.fail(3, provider, model, kind);
        }
        self
    }

    fn succeed(&mut self, provider: &str, model: &str) -> &mut Self {
        self.patterns.succeeded(provider, 1, model, self.now);
        self
    }

    fn causes(&self) -> Vec<Cause> {
        self.patterns.causes(self.now)
    }

    fn words(&self) -> Vec<String> {
        self.causes().into_iter().map(|cause| cause.words).collect()
    }

    fn is_local(&self) -> bool {
        self.patterns.is_local(self.now)
    }

    fn is_down(&self, provider: &str) -> bool {
        self.patterns.provider_is_down(provider, self.now)
    }
}

/// Plays a course and compares the causes that are named.
fn check(words: &[&str], play: impl FnOnce(&mut Course)) -> Course {
    let mut course = Course::new();
    play(&mut course);
    assert_eq!(course.words(), words);
    course
}

#[test]
fn nothing_failed_means_nothing() {
    let course = check(&[], |course| {
        course.succeed("a", "m1").succeed("b", "m1");
    });
    assert!(!course.is_local() && !course.is_down("a") && !course.is_down("nobody"));
}

#[test]
fn where_no_provider_is_reached_the_fault_is_here() {
    for (kinds, words) in [
        ([Kind::Dns, Kind::Dns], "DNS fails for every provider: the fault is here"),
        ([Kind::Tls, Kind::Tls], "TLS fails for every provider: the fault is here"),
        ([Kind::Connect, Kind::Connect], "no provider can be reached: the fault is here"),
        ([Kind::Dns, Kind::Connect], "no provider can be reached: the fault is here"),
    ] {
        let course = check(&[words], |course| {
            course.succeed("a", "m1").succeed("b", "m1").wait(500);
            course.fail_all("a", &MODELS, kinds[0]).fail_all("b", &MODELS, kinds[1]);
        });
        assert!(course.is_local() && !course.is_down("a") && !course.is_down("b"), "{words}");
        let cause = &course.causes()[0];
        assert_eq!((&cause.scope, cause.severity, cause.count), (&Scope::Here, Severity::Critical, 30));
        assert_eq!(cause.since, course.now);
    }
}

#[test]
fn where_one_is_heard_the_fault_is_not_here() {
    let mut course = Course::new();
    course.fail_all("a", &MODELS, Kind::Dns);
    assert!(!course.is_local(), "one provider alone proves nothing");
    course.fail(1, "b", "m1", Kind::Connect);
    assert!(course.is_local());
    course.succeed("c", "m1");
    assert!(!course.is_local() && course.is_down("a"), "a third one answers");
    course.wait(9_000).fail(1, "b", "m1", Kind::Dns).fail_all("a", &MODELS, Kind::Dns);
    assert!(!course.is_local());
    course.wait(1_000);
    assert!(course.is_local(), "but has not for ten seconds");
    course.fail(1, "c", "m1", Kind::Status);
    assert!(!course.is_local(), "an error is an answer");
    course.fail(1, "c", "m1", Kind::Dns);
    assert!(course.is_local(), "until it is not reached either");
    course.fail(1, "c", "m1", Kind::Timeout);
    assert!(course.is_local(), "a time-out is none");
    course.succeed("a", "m1");
    assert!(!course.is_local());
    course.wait(10_000);
    assert!(!course.is_local(), "what is old says nothing");
}

#[test]
fn a_provider_is_down_when_most_of_its_models_only_fail() {
    let all_succeed = |course: &mut Course| {
        MODELS.iter().for_each(|model| {
            course.succeed("x", model);
        });
        course.wait(200);
    };
    let course = check(&["provider 'x' is down: 4 of 5 models fail with 5xx"], |course| {
        all_succeed(course);
        course.fail_all("x", &MODELS[..4], Kind::Status).succeed("y", "m1");
    });
    assert!(course.is_down("x") && !course.is_down("y"));
    assert_eq!(course.causes()[0].scope, Scope::Provider("x".into()));

    let model = |number| format!("model 'm{number}' of provider 'x' fails with 5xx");
    let two = [model(1), model(2)];
    let two = two.each_ref().map(String::as_str);
    let mut course = check(&two, |course| {
        all_succeed(course);
        course.fail_all("x", &MODELS[..2], Kind::Status);
    });
    assert!(!course.is_down("x"), "two models are not a provider");
    course.fail(2, "x", "m3", Kind::Status);
    assert!(!course.is_down("x"), "nor are two failures a model");
    course.fail(1, "x", "m3", Kind::Cut);
    assert!(course.is_down("x"));
    course.succeed("x", "m3");
    assert!(!course.is_down("x"), "one success shows that it is not only failing");

    let course = check(&["provider 'x' is down: 3 of 3 models fail with time-outs"], |course| {
        all_succeed(course);
        course.wait(60_000).fail_all("x", &MODELS[..3], Kind::Timeout);
    });
    assert!(course.is_down("x"), "models not in use are not counted");
}

#[test]
fn old_failures_say_nothing_about_now() {
    let mut course = Course::new();
    course.fail_all("x", &MODELS, Kind::Status).wait(9_999);
    assert!(course.is_down("x") && course.words().len() == 1);
    course.wait(1);
    assert!(!course.is_down("x"));
    assert_eq!(course.words(), [""; 0]);
}

#[test]
fn a_provider_with_few_models_can_be_away_too() {
    let course = check(&["provider 'x' cannot be reached: DNS errors"], |course| {
        course.succeed("y", "m1").fail(3, "x", "m1", Kind::Dns);
    });
    assert_eq!(course.causes()[0].severity, Severity::Critical);
    check(&["model 'm1' of provider 'x' fails with connection errors"], |course| {
        course.succeed("y", "m1").succeed("x", "m2").fail(3, "x", "m1", Kind::Connect);
    });
}

#[test]
fn a_model_may_be_overloaded_though_some_calls_succeed() {
    let course = check(&["model 'm1' of provider 'p' is overloaded"], |course| {
        for _ in 0..5 {
            course.fail(1, "p", "m1", Kind::Overloaded).wait(1_000).succeed("p", "m1").wait(1_000);
        }
    });
    assert_eq!(course.causes()[0].count, 5);
    assert!(!course.is_down("p"));
    let course = check(&["provider 'p' is overloaded: 3 of 4 models refuse calls"], |course| {
        course.succeed("p", "m4").fail_all("p", &MODELS[..3], Kind::Overloaded);
    });
    assert!(!course.is_down("p"), "it is there, and breakers see to it");
}

#[test]
fn credentials_fail_apart_from_models() {
    let quota = |course: &mut Course, credential| {
        course.fail_by(1, "openai", credential, "m1", Kind::Quota);
    };
    let course = check(&["the credential of 'openai' is out of quota"], |course| quota(course, 1));
    assert_eq!(course.causes()[0].severity, Severity::Critical);
    assert_eq!(course.causes()[0].scope, Scope::Credential("openai".into(), 1));

    let mut course = check(&["one credential of 'openai' is out of quota"], |course| {
        course.succeed("openai", "m1");
        quota(course, 2);
    });
    assert_eq!(course.causes()[0].severity, Severity::Warning, "another is left");
    quota(&mut course, 3);
    assert_eq!(course.words(), ["2 of 3 credentials of 'openai' are out of quota"]);
    quota(&mut course, 1);
    assert_eq!(course.words(), ["all 3 credentials of 'openai' are out of quota"]);
    course.succeed("openai", "m1");
    assert_eq!(course.words(), ["2 of 3 credentials of 'openai' are out of quota"], "one is back");

    check(&["the credential of 'openai' is refused"], |course| {
        course.fail(5, "openai", "m1", Kind::Credential);
    });
    check(&["the credential of 'openai' is rate limited"], |course| {
        course.fail(1, "openai", "m1", Kind::RateLimited).wait(200).succeed("openai", "m1");
        course.fail(2, "openai", "m2", Kind::RateLimited);
    });
}

#[test]
fn every_kind_has_its_words_and_advice() {
    for kind in Kind::ALL {
        let mut course = Course::new();
        course.succeed("p", "m2").fail_by(3, "p", 2, "m1", kind);
        let causes = course.causes();
        assert_eq!(causes.len(), 1, "{kind:?}");
        assert!(causes[0].kind == kind && !causes[0].words.is_empty() && !causes[0].advice.is_empty());
    }
}

#[test]
fn the_gravest_comes_first() {
    let course = check(
        &[
            "provider 'x' is down: 3 of 3 models fail with 5xx",
            "model 'm1' of provider 'y' fails with time-outs",
            "one credential of 'y' is out of quota",
        ],
        |course| {
            course.succeed("y", "m2").fail(20, "y", "m1", Kind::Timeout);
            course.fail_by(1, "y", 2, "m2", Kind::Quota);
            course.wait(1).fail_all("x", &MODELS[..3], Kind::Status);
        },
    );
    let since: Vec<_> = course.causes().iter().map(|cause| course.now - cause.since).collect();
    assert_eq!(since, [0, 1, 1].map(Duration::from_millis));
}

#[test]
fn a_success_within_the_same_tick_is_seen_after_a_failure() {
    let mut course = Course::new();
    course.succeed("x", "m1").fail(3, "x", "m1", Kind::Status);
    assert_eq!(course.words().len(), 1);
    course.succeed("x", "m1");
    assert_eq!(course.words(), [""; 0]);
}

#[test]
fn names_without_end_are_counted_as_one() {
    let mut course = Course::new();
    for number in 0..300_u64 {
        let name = format!("name-{number}");
        course.patterns.succeeded("x", number, &name, course.now);
        course.fail_by(3, "x", number, &name, Kind::Status).fail(3, &name, "m1", Kind::Connect);
    }
    let (known, others) = (course.causes(), Scope::Model("x".into(), "others".into()));
    assert!(known.len() <= 100);
    assert_eq!(known.iter().filter(|cause| cause.words.contains("of 65 models")).count(), 1);
    assert!(!known.iter().any(|cause| cause.scope == others), "they are among the provider's");

    // A name that is not heard of any more gives its place to one that is.
    course.wait(60_000).fail(3, "late", "m1", Kind::Status).fail(3, "x", "late", Kind::Status);
    let late = ["late", "x"].map(|provider| format!("of provider '{provider}' fails with 5xx"));
    let words = course.words();
    assert!(words.len() == 2 && late.iter().all(|late| words.iter().any(|words| words.ends_with(late))));
}

#[test]
fn a_long_name_is_cut_at_a_character() {
    let name = "ä".repeat(100_000);
    let course = check(&[&format!("model '{}' of provider 'x' fails with 5xx", "ä".repeat(64))], |course| {
        course.fail(3, "x", &name, Kind::Status);
    });
    assert!(!course.is_down(&name));
}

#[test]
fn patterns_may_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Patterns>();
}
