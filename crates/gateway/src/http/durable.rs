//! What is answered from the store: collections of things that last. Each is a file under `durable/` and a line in
//! [`COLLECTIONS`].
//!
//! Nothing here asks a provider, and nothing on an inference request's path comes by here. A worker hands each
//! question to the durable thread and waits for it without blocking.

mod asked;
mod batches;
mod files;
mod jobs;
mod members;
mod schedules;
mod when;
mod workflows;

use super::body::Body;
use super::{error, head};
use crate::gateway::Shared;
use asked::Asked;
use http::{Request, Response};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use wire::failure::Failure;

/// How a collection answers.
type Serve = for<'a> fn(&'a mut Asked) -> Pin<Box<dyn Future<Output = Answered> + Send + 'a>>;
type Answered = Result<Response<Body>, Failure>;

/// By the first word of the path.
const COLLECTIONS: [(&str, Serve); 5] = [
    ("batches", |asked| Box::pin(batches::serve(asked))),
    ("files", |asked| Box::pin(files::serve(asked))),
    ("jobs", |asked| Box::pin(jobs::serve(asked))),
    ("schedules", |asked| Box::pin(schedules::serve(asked))),
    ("workflows", |asked| Box::pin(workflows::serve(asked))),
];

/// A collection, and what of it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    collection: usize,
    /// So many bytes at the path's end say what of it.
    rest_bytes: usize,
}

/// The collection that a path leads to: `/jobs`, `/jobs/…`.
pub(super) fn place(path: &str) -> Option<Place> {
    let path = path.strip_prefix('/')?;
    let (word, rest) = path.split_once('/').unwrap_or((path, ""));
    let collection = COLLECTIONS.iter().position(|(name, _)| *name == word)?;
    Some(Place { collection, rest_bytes: rest.len() })
}

/// Answers a request. Never fails: a failure is an answer too.
pub(super) async fn serve(shared: Arc<Shared>, place: Place, request: Request<Incoming>) -> Response<Body> {
    let serve = COLLECTIONS[place.collection].1;
    let id = head::request_id(request.headers());
    let answered = match Asked::new(shared, place.rest_bytes, request) {
        Ok(mut asked) => serve(&mut asked).await,
        Err(failure) => Err(failure),
    };
    let mut response = answered.unwrap_or_else(|failure| error::response(&failure));
    head::identify(response.headers_mut(), id);
    response
}

#[cfg(test)]
mod tests {
    use super::{COLLECTIONS, place};

    #[test]
    fn the_first_word_of_a_path_is_its_collection() {
        for (path, expected) in [
            ("/jobs", Some(("jobs", 0))),
            ("/jobs/", Some(("jobs", 0))),
            ("/jobs/job_1/events", Some(("jobs", "job_1/events".len()))),
            ("/schedules/morning", Some(("schedules", "morning".len()))),
            ("/jobsx", None),
            ("/", None),
            ("jobs", None),
            ("", None),
        ] {
            let found = place(path).map(|place| (COLLECTIONS[place.collection].0, place.rest_bytes));
            assert_eq!(found, expected, "{path}");
        }
    }
}
