//! Settings that are part of the process: they hold from its start to its end. A configuration that says otherwise is
//! put in force with what holds in their place, so that nothing goes by an address at which nobody listens, or by a
//! certificate that nobody shows.

use crate::config::{self, Config, Unguarded};

/// Puts what has held since the start in place of what `fresh` says, and tells which settings those are.
pub(super) fn hold(held: &Config, fresh: &mut Config) -> Vec<&'static str> {
    let mut differing = Vec::new();
    macro_rules! hold {
        ($($name:literal: $($setting:ident).+;)+) => {$(
            if fresh.$($setting).+ != held.$($setting).+ {
                fresh.$($setting).+.clone_from(&held.$($setting).+);
                differing.push($name);
            }
        )+};
    }
    hold! {
        "data": data;
        "server.listen": server.listen;
        "server.workers": server.workers;
        "server.connections_max": server.connections_max;
        "server.tls": server.tls;
        "server.timeouts.drain": server.timeouts.drain;
        "admin.listen": admin.listen;
        "admin.tls": admin.tls;
        "log": log;
        "store": store;
        "guard.background": guard.background;
        "jobs.workers_max": jobs.workers_max;
        "jobs.batch_workers_max": jobs.batch_workers_max;
        "jobs.queues": jobs.queues;
        "jobs.keep_done": jobs.keep_done;
        "jobs.keep_dead": jobs.keep_dead;
        "workflows.keep": workflows.keep;
        "observe.figures_bytes_max": observe.figures_bytes_max;
        "observe.history_days": observe.history_days;
        "observe.history_bytes_max": observe.history_bytes_max;
        "traces.endpoint": traces.collector;
        "traces.service_name": traces.service_name;
        "traces.attributes": traces.attributes;
    }
    differing
}

/// Whether a configuration may take the place of the one that `held`: what guards the gateway does not go while it
/// runs. A file that an editor has emptied, or that is gone for a moment, must open nothing.
///
/// # Errors
/// Why not, for people.
pub(super) fn judge(held: &Config, config: &Config) -> Result<(), String> {
    let asks_keys = |config: &Config| config.server.keys_required || !config.keys.is_empty();
    if asks_keys(held) && !asks_keys(config) {
        return Err(
            "callers' keys are gone from it, which would let everybody in: set `server.keys = \"required\"` \
                    where the store has them, or restart the gateway to open it"
                .to_owned(),
        );
    }
    if held.admin.key.is_some() && config.admin.key.is_none() {
        return Err(
            "`admin.key` is gone from it, which would let everybody in: restart the gateway to open it"
                .to_owned(),
        );
    }
    let Unguarded { planes, missing } =
        config::unguarded(&config.server, &config.admin, !config.keys.is_empty());
    match planes.first() {
        None => Ok(()),
        Some((plane, listen)) => Err(format!(
            "`{plane}.listen` is {listen} until the next start, which is not loopback, and the gateway would not be \
             guarded: add {}",
            missing.join(" and ")
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{hold, judge};
    use crate::config::Config;
    use std::time::Duration;

    fn config() -> Config {
        Config::load(&crate::config::Sources::default()).unwrap().config
    }

    #[test]
    fn what_is_fixed_holds_however_often_it_is_changed_and_the_rest_follows() {
        let held = config();
        for _ in 0..2 {
            let mut fresh = config();
            fresh.server.listen = "127.0.0.1:9".parse().unwrap();
            fresh.observe.history_days += 1;
            fresh.server.timeouts.idle = Duration::from_secs(7);
            assert_eq!(hold(&held, &mut fresh), ["server.listen", "observe.history_days"]);
            assert_eq!(
                (fresh.server.listen, fresh.observe.history_days),
                (held.server.listen, held.observe.history_days)
            );
            assert_eq!(fresh.server.timeouts.idle, Duration::from_secs(7));
        }
        assert!(hold(&held, &mut config()).is_empty(), "changed back, nothing waits for a restart");
    }

    #[test]
    fn what_guards_a_gateway_does_not_go_while_it_runs() {
        let open = config();
        let mut keyed = config();
        keyed.server.keys_required = true;
        let mut locked = config();
        locked.admin.key = Some(crate::config::Secret::new("0123456789abcdef0123456789abcdef"));
        for (held, fresh, refused) in
            [(&keyed, &open, true), (&locked, &open, true), (&open, &keyed, false), (&open, &locked, false)]
        {
            assert_eq!(judge(held, fresh).is_err(), refused);
        }
    }

    #[test]
    fn a_gateway_beyond_loopback_stays_guarded_until_it_ends() {
        let public = "0.0.0.0:4000".parse().unwrap();
        let mut server = config();
        server.server.listen = public;
        let mut admin = config();
        admin.admin.listen = public;
        for (held, exposed) in
            [(config(), None), (server, Some("`server.listen`")), (admin, Some("`admin.listen`"))]
        {
            let mut fresh = config();
            let _ = hold(&held, &mut fresh);
            let judged = judge(&held, &fresh);
            assert_eq!(judged.is_err(), exposed.is_some());
            assert!(exposed.is_none_or(|setting| judged.unwrap_err().starts_with(setting)));
        }
    }
}
