//! Who waits for whom, on a paused clock.

use crate::coalesce::Outcome;
use crate::coalesce::gathering::{Departure, Gatherings, Joins, Member, Seat};
use crate::config::Coalesce;
use crate::inquiry::Standing;
use cache::key::{Key, Parts, Place, PlaceParts, Secret};
use guard::queue::Band;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use wire::openai::Request;
use wire::operation::Operation;

const WAIT: Duration = Duration::from_millis(3);

/// A request of `kind` with so many inputs that count so many tokens, and where its answer would come.
fn request(kind: &str, inputs: usize, tokens: u64) -> (Joins, Member, oneshot::Receiver<Outcome>) {
    let body = format!(r#"{{"model":"m","input":[{}]}}"#, vec!["\"x\""; inputs].join(","));
    let parsed = Request::parse(Operation::Embeddings, body.as_bytes()).unwrap().inputs().unwrap();
    let place =
        PlaceParts { operation: "", policy: 0, provider: "", base_url: "", credential: b"", model: "" };
    let (place, secret) = (Place::new(&place), Secret::new(""));
    let parts =
        Parts { place: &place, tenant: kind, scope: "", form: 0, body: "{}", leave_out: &[], hole: None };
    let terms = Coalesce { wait: WAIT, items: 5, tokens: 100 };
    let joins = Joins { key: Key::new(&secret, &parts).unwrap(), inputs: parsed.clone(), tokens, terms };
    let (reply, outcome) = oneshot::channel();
    let standing = Standing { band: Band::Normal, tenant: 0, tokens, tokens_max: None };
    let member =
        Member { body: body.into(), inputs: parsed, standing, arrived: Instant::now(), who: None, reply };
    (joins, member, outcome)
}

/// Takes a seat for such a request; the departure where it is the first.
fn join(gatherings: &Gatherings, kind: &str, inputs: usize, tokens: u64) -> Option<Departure> {
    let (joins, member, _) = request(kind, inputs, tokens);
    match gatherings.join(&joins, member).unwrap() {
        Seat::First(departure) => Some(departure),
        Seat::Beside => None,
    }
}

/// How many inputs each of those has who depart, and after how many milliseconds.
async fn departs(gatherings: &Gatherings, departure: Departure) -> (Vec<usize>, u128) {
    let began = tokio::time::Instant::now();
    let members = departure.wait(gatherings, WAIT).await;
    (members.iter().map(|member| member.inputs.count).collect(), began.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_gathering_departs_in_time_with_whoever_is_there() {
    let gatherings = Gatherings::default();
    let departure = join(&gatherings, "a", 1, 10).unwrap();
    assert!(join(&gatherings, "a", 2, 10).is_none());
    let other = join(&gatherings, "b", 1, 10).unwrap();
    let (one, two) = tokio::join!(departs(&gatherings, departure), departs(&gatherings, other));
    assert_eq!((one, two), ((vec![1, 2], 3), (vec![1], 3)));
    let next = join(&gatherings, "a", 1, 10).expect("what departed takes nobody more");
    assert_eq!(departs(&gatherings, next).await, (vec![1], 3));
}

#[tokio::test(start_paused = true)]
async fn enough_depart_at_once() {
    /// Inputs and tokens of those who come; who departs at once, by their inputs; who waits on.
    type Case<'a> = (&'a [(usize, u64)], &'a [usize], &'a [usize]);
    let cases: [Case<'_>; 4] = [
        (&[(2, 1), (3, 1)], &[2, 3], &[]),
        (&[(4, 1), (3, 1)], &[4], &[3]),
        (&[(1, 60), (1, 50), (1, 1)], &[1], &[1, 1]),
        (&[(1, 60), (1, 40), (1, 1)], &[1, 1], &[1]),
    ];
    for (requests, at_once, waiting) in cases {
        let gatherings = Gatherings::default();
        let begun = requests.iter().filter_map(|(inputs, tokens)| join(&gatherings, "a", *inputs, *tokens));
        let mut departures = begun.collect::<Vec<_>>().into_iter();
        let first = departures.next().unwrap();
        assert_eq!(departs(&gatherings, first).await, (at_once.to_vec(), 0), "{requests:?}");
        let mut waited = Vec::new();
        for departure in departures {
            let (inputs, milliseconds) = departs(&gatherings, departure).await;
            assert_eq!(milliseconds, 3, "{requests:?}");
            waited.extend(inputs);
        }
        assert_eq!(waited, waiting, "{requests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_who_is_gone() {
    let gatherings = Gatherings::default();
    let (joins, member, mut outcome) = request("a", 1, 1);
    drop(gatherings.join(&joins, member));
    let fresh = join(&gatherings, "a", 1, 1).expect("a gathering of its own");
    assert!(outcome.try_recv().is_err_and(|fault| fault == oneshot::error::TryRecvError::Closed));
    assert_eq!(departs(&gatherings, fresh).await, (vec![1], 3));
}
