//! One replica, no Redis.

use super::*;
use crate::limits::Measure;

/// Accounts of each scope with these rates, in the order of the scopes.
fn accounts(limits: &Limits, rates: [Rates; 4]) -> [Option<Arc<Account>>; 4] {
    let scopes = [Scope::Key, Scope::Tenant, Scope::Alias, Scope::Provider];
    let mut rates = rates.iter();
    scopes.map(|scope| limits.opened(scope, "a", rates.next().unwrap(), Instant::now()))
}

fn subject(accounts: &[Option<Arc<Account>>; 4]) -> Subject<'_> {
    let [key, tenant, alias, provider] = accounts.each_ref().map(Option::as_ref);
    Subject { key, tenant, alias, provider, stream: false }
}

fn requests(requests: u64) -> Rates {
    Rates { requests_per_minute: Some(requests), ..Rates::default() }
}

const NONE: Rates = Rates {
    requests_per_minute: None,
    tokens_per_minute: None,
    concurrent_requests: None,
    concurrent_streams: None,
};

/// What is left of a tenant's limits.
fn left(limits: &Limits, tenant: &Arc<Account>, now: Instant) -> (Option<u64>, Option<u64>) {
    let subject = Subject { tenant: Some(tenant), ..Subject::default() };
    let wanted = subject.wanted(0);
    let level = |measure| {
        let line = wanted.lines.iter().find(|(line, _)| line.measure == measure);
        line.map(|(line, _)| line.bucket(1, now).level(now).remaining)
    };
    assert!(limits.shared().is_none());
    (level(Measure::Requests), level(Measure::Tokens))
}

#[tokio::test]
async fn where_nothing_is_limited_everything_is_granted() {
    let limits = Limits::default();
    let accounts = accounts(&limits, [NONE; 4]);
    assert!(accounts.iter().all(Option::is_none));
    for _ in 0..1000 {
        let granted = limits.admit(&subject(&accounts), u64::MAX, Instant::now()).await.unwrap();
        assert_eq!(*granted.levels(), crate::limits::Levels::default());
    }
}

#[tokio::test]
async fn whichever_limit_is_reached_is_told_and_no_other_is_charged() {
    let narrow = [requests(2), tokens(20), slots(2)];
    let measures = [Measure::Requests, Measure::Tokens, Measure::ConcurrentRequests];
    let scopes = [Scope::Key, Scope::Tenant, Scope::Alias, Scope::Provider];
    for (place, scope) in scopes.into_iter().enumerate() {
        for (rates, measure) in narrow.into_iter().zip(measures) {
            let limits = Limits::default();
            let mut all = [tokens(1000); 4];
            all[place] = rates;
            let (accounts, now) = (accounts(&limits, all), Instant::now());
            let mut held = Vec::new();
            for _ in 0..2 {
                held.push(limits.admit(&subject(&accounts), 10, now).await.unwrap());
            }
            let denied = limits.admit(&subject(&accounts), 10, now).await.unwrap_err();
            assert_eq!((denied.scope, denied.measure), (scope, measure));
            assert!(denied.after > Duration::ZERO && denied.after <= MINUTE);
            // Another account has lost two calls, not three.
            let other = accounts[usize::from(place == 0)].as_ref().unwrap();
            assert_eq!(left(&limits, other, now).1, Some(980));
        }
    }
}

#[tokio::test]
async fn a_denial_says_in_words_what_it_is_and_when_to_come_again() {
    let limits = Limits::default();
    let (account, now) = (accounts(&limits, [tokens(600), NONE, NONE, NONE]), Instant::now());
    drop(limits.admit(&subject(&account), 600, now).await.unwrap());
    let denied = limits.admit(&subject(&account), 30, now).await.unwrap_err();
    assert_eq!(denied.to_string(), "the limit of tokens per minute of this key is reached");
    assert_eq!(denied.after, Duration::from_secs(3));
    assert!(limits.admit(&subject(&account), 30, now + denied.after).await.is_ok());
}

#[tokio::test]
async fn a_call_is_charged_what_it_used() {
    let limits = Limits::default();
    let now = Instant::now();
    let rates = Rates { requests_per_minute: Some(10), ..tokens(1000) };
    let account = limits.opened(Scope::Tenant, "a", &rates, now).unwrap();
    let subject = Subject { tenant: Some(&account), ..Subject::default() };
    let reserve = async || limits.admit(&subject, 100, now).await.unwrap();
    reserve().await.settle(250, now);
    assert_eq!(left(&limits, &account, now), (Some(9), Some(750)));
    reserve().await.settle(0, now);
    assert_eq!(left(&limits, &account, now), (Some(8), Some(750)));
    reserve().await.refund(now);
    assert_eq!(left(&limits, &account, now), (Some(8), Some(750)));
    drop(reserve().await);
    assert_eq!(left(&limits, &account, now), (Some(7), Some(650)));
    reserve().await.settle(1550, now);
    let denied = limits.admit(&subject, 0, now).await.unwrap_err();
    assert_eq!((denied.measure, denied.after), (Measure::Tokens, MINUTE * 900 / 1000));
}

#[tokio::test]
async fn an_answer_from_memory_counts_a_request_and_leaves_no_debt() {
    let limits = Limits::default();
    let now = Instant::now();
    let rates = Rates { requests_per_minute: Some(10), ..tokens(1000) };
    let account = limits.opened(Scope::Tenant, "a", &rates, now).unwrap();
    let subject = Subject { tenant: Some(&account), ..Subject::default() };
    (0..4).for_each(|_| limits.note(&subject, now));
    assert_eq!(left(&limits, &account, now), (Some(6), Some(1000)));
    (0..1000).for_each(|_| limits.note(&subject, now));
    let denied = limits.admit(&subject, 1, now).await.unwrap_err();
    assert_eq!((denied.measure, denied.after), (Measure::Requests, MINUTE / 10));
}

#[tokio::test]
async fn slots_are_free_again_whichever_way_a_call_ends() {
    let limits = Limits::default();
    let now = Instant::now();
    let rates = Rates { concurrent_streams: Some(2), ..slots(3) };
    let account = limits.opened(Scope::Key, "a", &rates, now).unwrap();
    let call = async |stream| {
        limits.admit(&Subject { key: Some(&account), stream, ..Subject::default() }, 1, now).await
    };
    let (first, second) = (call(true).await.unwrap(), call(true).await.unwrap());
    assert_eq!(call(true).await.unwrap_err().measure, Measure::ConcurrentStreams);
    let third = call(false).await.unwrap();
    assert_eq!(call(false).await.unwrap_err().measure, Measure::ConcurrentRequests);
    first.settle(1, now);
    let fourth = call(true).await.unwrap();
    second.refund(now);
    drop((third, fourth));
    assert!(account.rooms().all(|room| room.is_empty()));
}

#[tokio::test]
async fn the_narrower_of_the_callers_own_limits_is_told_and_no_one_elses() {
    let limits = Limits::default();
    let all = [
        Rates { requests_per_minute: Some(50), ..tokens(900) },
        Rates { requests_per_minute: Some(40), ..tokens(1000) },
        tokens(200),
        requests(3),
    ];
    let (accounts, now) = (accounts(&limits, all), Instant::now());
    let granted = limits.admit(&subject(&accounts), 90, now).await.unwrap();
    let told = [granted.levels().requests, granted.levels().tokens].map(Option::unwrap);
    assert_eq!(told.map(|level| (level.limit, level.remaining)), [(40, 39), (900, 810)]);
    assert_eq!(told[1].reset, MINUTE / 10);
}

#[tokio::test]
async fn a_reload_keeps_what_was_used() {
    let limits = Limits::default();
    let now = Instant::now();
    let before = limits.opened(Scope::Tenant, "a", &tokens(1000), now).unwrap();
    drop(ask(&limits, &before, 500).await.unwrap());
    let rates = Rates { concurrent_requests: Some(1), ..tokens(100) };
    let after = limits.opened(Scope::Tenant, "a", &rates, now).unwrap();
    let held = ask(&limits, &after, 0).await.unwrap();
    let level = held.levels().tokens.unwrap();
    assert_eq!((level.limit, level.remaining), (100, 50));
    // Calls that began before the reload go on with what there was.
    assert!(ask(&limits, &before, 1).await.is_ok());
    assert!(limits.opened(Scope::Tenant, "a", &NONE, now).is_none());
}

#[tokio::test]
async fn accounts_that_nobody_holds_are_forgotten() {
    let limits = Limits::default();
    let now = Instant::now();
    let kept = limits.opened(Scope::Tenant, "kept", &tokens(100), now).unwrap();
    drop(ask(&limits, &kept, 60).await.unwrap());
    for number in 0..100 {
        limits.opened(Scope::Key, &number.to_string(), &tokens(1), now).unwrap();
    }
    limits.sweep();
    assert_eq!(limits.accounts.lock().unwrap().len(), 1);
    let again = limits.opened(Scope::Tenant, "kept", &tokens(100), now).unwrap();
    assert!(ask(&limits, &again, 60).await.is_err());
}
