//! `GET /admin/live`: figures of the moment, pushed once a second to whoever looks.
//!
//! One sample a second is taken on the control thread, whoever looks, and the last ten minutes are kept, so that a
//! page has a past when it is opened. The first event is `event: past` with a list of samples, each further one
//! `event: now` with one. A listener that reads too slowly misses samples and delays nobody.

mod sample;

use crate::admin::refusal;
use crate::gateway::Gateway;
use crate::http::body::Body;
use crate::http::head;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use sample::{Reading, Sample, Times};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::MissedTickBehavior;
use wire::failure::{Failure, Kind};
use wire::sse::Encoder;

/// How often a sample is taken.
const EVERY: Duration = Duration::from_secs(1);
/// Samples that are kept: ten minutes of them, some 100 KB.
const SAMPLES_MAX: usize = 600;
/// Pages that look at once.
const LISTENERS_MAX: usize = 64;
/// Events that wait for a page that reads slowly.
const WAITING_MAX: usize = 4;

/// The last samples, and who looks; one for the process.
#[derive(Default)]
pub struct Live(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    samples: VecDeque<Sample>,
    listeners: Vec<mpsc::Sender<Bytes>>,
}

impl Live {
    /// A new listener, who has the past at once; `None` where too many look already.
    fn listen(&self) -> Option<mpsc::Receiver<Bytes>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.listeners.retain(|listener| !listener.is_closed());
        if kept.listeners.len() >= LISTENERS_MAX {
            return None;
        }
        let (listener, frames) = mpsc::channel(WAITING_MAX);
        let past: Vec<&Sample> = kept.samples.iter().collect();
        let past = serde_json::to_string(&past).unwrap_or_default();
        // There is room: it is the first.
        let _ = listener.try_send(Encoder::new().event(Some("past"), &past).finish());
        kept.listeners.push(listener);
        Some(frames)
    }

    fn tell(&self, sample: Sample) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.listeners.is_empty() {
            let now = serde_json::to_string(&sample).unwrap_or_default();
            let now = Encoder::new().event(Some("now"), &now).finish();
            kept.listeners
                .retain(|listener| !matches!(listener.try_send(now.clone()), Err(TrySendError::Closed(_))));
        }
        if kept.samples.len() >= SAMPLES_MAX {
            kept.samples.pop_front();
        }
        kept.samples.push_back(sample);
    }
}

/// Takes samples until dropped.
pub async fn keep(gateway: &Gateway) -> Infallible {
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut window = sample::Window::default();
    loop {
        due.tick().await;
        let times = Times::of(gateway).await;
        let reading = Reading::of(gateway, times, Instant::now());
        gateway.live.tell(window.sample(reading, SystemTime::now()));
    }
}

/// `GET /admin/live`
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let Some(frames) = gateway.live.listen() else {
        let public = "Too many dashboards look already; close one, or ask again later.";
        return refusal(&Failure::new(Kind::Overloaded, public).with_code("too_many_listeners"));
    };
    let mut headers = HeaderMap::new();
    head::stream(&mut headers);
    let mut response = http::Response::new(Body::events(frames));
    *response.headers_mut() = headers;
    response.map(axum::body::Body::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{LISTENERS_MAX, Live, SAMPLES_MAX, Sample, WAITING_MAX};

    #[test]
    fn a_listener_has_the_past_and_then_each_sample() {
        let live = Live::default();
        live.tell(Sample { in_flight: 7, ..Sample::default() });
        let mut frames = live.listen().unwrap();
        live.tell(Sample { in_flight: 8, ..Sample::default() });
        let mut next = || String::from_utf8(frames.try_recv().unwrap().to_vec()).unwrap();
        let (past, now) = (next(), next());
        assert!(past.starts_with("event: past\ndata: [{") && past.contains("\"in_flight\":7"), "{past}");
        assert!(now.starts_with("event: now\ndata: {") && now.contains("\"in_flight\":8"), "{now}");
    }

    #[test]
    fn listeners_and_samples_are_bounded_and_who_left_makes_room() {
        let live = Live::default();
        let listeners: Vec<_> = (0..LISTENERS_MAX).map(|_| live.listen().unwrap()).collect();
        assert!(live.listen().is_none());
        // Nobody reads: each misses samples, and none is forgotten.
        for _ in 0..=SAMPLES_MAX {
            live.tell(Sample::default());
        }
        assert_eq!(live.0.lock().unwrap().samples.len(), SAMPLES_MAX);
        assert_eq!(live.0.lock().unwrap().listeners.len(), LISTENERS_MAX);
        assert_eq!(listeners[0].len(), WAITING_MAX);
        drop(listeners);
        assert!(live.listen().is_some());
    }
}
