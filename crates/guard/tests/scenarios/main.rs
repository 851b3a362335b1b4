//! Scenarios: what the pieces of this crate do together, before a target that is slow, failing, full or
//! gone, over minutes and hours of a clock that is only counted.
//!
//! Each `.toml` beside this file describes a target over time, its callers, what stands between them, and
//! ranges that some figures must be in. It also says how to break it: with `fails_with` merged into it at
//! least one range must be missed, so that no scenario holds whatever happens. The form is in `file.rs`;
//! that there are such files at all is learnt from vector's `tests/data/adaptive-concurrency`.
//!
//! ```text
//! file ──► World (agenda of events, one clock) ──► Figures ──► ranges
//!            Caller ──► request ──► breaker, gate, retry budget, hedging ──► Upstream
//! ```
//!
//! Nothing here waits or reads the time of day, and the same file gives the same figures. To see them:
//! `cargo test -p tidegate-guard --test scenarios NAME -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod curve;
mod figures;
mod file;
mod life;
mod upstream;
mod world;

/// A test for each file, and a list of them.
macro_rules! scenarios {
    ($($name:ident)*) => {
        const LISTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check::scenario(stringify!($name));
            }
        )*
    };
}

scenarios! {
    aimd_step_in_latency
    aimd_finds_capacity
    aimd_slow_ramp
    aimd_stable_timeouts
    aimd_drops
    aimd_mild_overload_for_an_hour
    aimd_recovery
    long_streams_open_fast
    an_unused_limit_stays
    a_squeeze_halves_and_passes
    gradient2_step_in_latency
    gradient2_slow_ramp
    gradient2_stable_timeouts
    gradient2_drops
    gradient2_mild_overload_for_an_hour
    gradient2_recovery
    one_slow_tenant_among_ten
    a_slow_tenant_is_dropped_from_first
    a_burst_of_ten_times_by_one_tenant
    priority_inversion
    an_idle_tenant_returning
    large_requests_get_no_larger_share
    who_understates_gains_nothing
    late_is_said_at_the_door
    a_standing_queue_is_dropped_from
    a_burst_is_no_standing_queue
    long_calls_may_wait_longer
    aging_serves_every_band
    a_full_queue_makes_room_for_the_urgent
    batch_work_stays_in_its_place
    three_times_too_much
    half_of_the_callers_leave
    breaker_trips_on_failures_in_a_row
    breaker_trips_on_a_low_rate
    breaker_bears_a_few_failures
    breaker_half_open_keeps_failing
    breaker_hanging_trials_do_not_wedge
    breaker_trial_callers_leave
    breaker_honours_retry_after
    breaker_before_a_flapping_target
    retries_do_not_multiply_an_outage
    an_outage_with_breaker_and_retries
    retries_mend_a_few_failures
    callers_fall_back
    hedges_cut_a_slow_tail
    hedges_keep_to_their_budget
}

#[test]
fn every_file_is_listed() {
    let mut files = check::names();
    let mut listed: Vec<_> = LISTED.iter().map(ToString::to_string).collect();
    files.sort();
    listed.sort();
    assert_eq!(files, listed);
}

#[test]
fn the_same_file_gives_the_same_figures() {
    let figures = || check::run("aimd_step_in_latency");
    assert_eq!(figures(), figures());
}
