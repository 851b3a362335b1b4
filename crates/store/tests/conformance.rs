//! What every backend must do. A backend is one file beside this one, with a function that gives an empty store,
//! and `suite!(crate::that_function);`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod batches;
pub mod files;
pub mod jobs;
pub mod jobs_claimed;
pub mod jobs_ended;
pub mod keys;
pub mod make;
pub mod parcels;
pub mod runs;
pub mod schedules;

use std::any::Any;
use store::Store;

/// An empty store, and what must outlive it.
pub struct Fresh {
    pub store: Store,
    pub keep: Box<dyn Any>,
}

/// Makes a test of each function of the suite, with a store of its own.
macro_rules! suite {
    ($fresh:path) => {
        suite! { $fresh, jobs:
            a_job_is_read_as_it_was_added,
            a_jobs_number_never_comes_again,
            a_job_waits_for_its_time,
            an_idempotency_key_adds_one_job,
            a_unique_word_adds_one_job_at_a_time,
            many_are_added_in_one_step,
            lists_go_from_the_newest_on,
            depths_count_what_is_not_over,
            a_backlog_is_one_tenants_and_counted_up_to_a_bound,
            what_is_over_is_purged,
        }
        suite! { $fresh, jobs_claimed:
            what_is_claimed_is_whole_and_runs,
            the_urgent_go_first_and_at_times_the_lowest,
            a_tenants_jobs_go_by_their_time_and_then_by_number,
            one_tenant_alone_gets_all,
            tenants_share_by_turns,
            what_one_tenant_leaves_goes_to_the_others,
            a_queue_gives_only_its_own,
            what_is_too_late_is_a_dead_letter,
            a_rate_bounds_all_who_claim,
            claims_at_once_never_share_a_job,
        }
        suite! { $fresh, jobs_ended:
            a_heartbeat_renews_a_lease,
            a_stale_token_changes_nothing,
            a_job_that_is_done_keeps_its_result_or_goes,
            what_follows_is_added_with_the_end,
            what_failed_is_tried_again_later,
            a_released_job_is_charged_nothing,
            a_job_that_is_put_off_is_charged_nothing,
            what_nobody_renews_is_taken_back,
            a_cancellation_reaches_a_job_in_every_state,
            a_dead_letter_is_replayed,
            ends_that_nobody_spoke_for_are_told_of_once,
            ends_that_somebody_spoke_for_are_not_told_of_again,
        }
        suite! { $fresh, schedules:
            a_schedule_is_written_by_whoever_read_it_last,
            a_schedule_is_due_from_its_time_on,
            a_schedule_that_two_see_due_fires_once,
        }
        suite! { $fresh, runs:
            definitions_have_versions,
            a_run_starts_once_with_its_first_jobs,
            a_decision_is_written_whole,
            decisions_of_one_run_come_one_after_the_other,
            a_step_is_tried_again_under_its_word,
            what_waits_of_a_run_is_taken_back,
            runs_are_listed_and_counted,
            old_runs_are_purged_with_their_steps,
            a_run_that_goes_on_again_is_not_over,
        }
        suite! { $fresh, files:
            a_file_is_found_once_it_is_whole,
            files_are_listed_from_the_newest_on,
            a_removed_file_is_gone_with_its_pieces,
            what_is_expired_or_abandoned_is_swept,
        }
        suite! { $fresh, batches:
            a_batch_is_created_with_its_reader,
            the_input_is_read_on_once,
            a_line_ends_once_with_its_job,
            a_change_is_made_from_the_states_it_names,
            open_batches_are_those_not_over,
            lines_that_have_not_begun_are_taken_back,
            lines_that_nothing_will_end_are_mended,
            old_batches_are_purged_with_their_lines,
        }
        suite! { $fresh, parcels:
            a_parcel_is_opened_once_with_its_job,
            parcels_of_several_batches_are_read_at_once,
            a_stale_lease_says_nothing_of_a_parcel,
            held_lines_are_read_in_pieces,
            a_held_line_ends_once,
            held_lines_are_given_back,
            held_lines_are_spared,
            parcels_go_with_their_batch,
        }
        suite! { $fresh, keys:
            keys_are_added_once_and_revoked_once,
            a_key_is_changed_only_by_who_knows_it_as_it_is,
            usage_adds_up_each_part_once,
            usage_of_long_ago_is_forgotten,
        }
    };
    ($fresh:path, $module:ident: $($name:ident),* $(,)?) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    let fresh = $fresh().await;
                    $crate::conformance::$module::$name(&fresh.store).await;
                    drop(fresh.store);
                    drop(fresh.keep);
                }
            )*
        }
    };
}
