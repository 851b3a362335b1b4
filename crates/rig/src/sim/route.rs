//! Which endpoint a request is for.

use super::refusal::Refusal;
use http::Method;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Chat,
    Completions,
    Embeddings,
    Models,
    Model(String),
    /// Of files and batches.
    Filed(Filed),
}

/// What is asked of files and batches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filed {
    Upload,
    File(String),
    Content(String),
    Remove(String),
    Create,
    List,
    Batch(String),
    Cancel(String),
}

impl Route {
    /// By the path, with or without `/v1`, and the method.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        let short = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        if let Some(filed) = Filed::of(method, short) {
            return filed.map(Self::Filed);
        }
        let (route, allow) = match short {
            "/chat/completions" => (Self::Chat, Method::POST),
            "/completions" => (Self::Completions, Method::POST),
            "/embeddings" => (Self::Embeddings, Method::POST),
            "/models" => (Self::Models, Method::GET),
            _ => match short.strip_prefix("/models/").filter(|id| !id.is_empty()) {
                Some(id) => (Self::Model(decoded(id)), Method::GET),
                None => return Err(Refusal::unknown_path(method, path)),
            },
        };
        if *method == allow {
            return Ok(route);
        }
        Err(Refusal::wrong_method(method, if allow == Method::POST { "POST" } else { "GET" }))
    }
}

impl Filed {
    /// By the path without its version; `None` where it is another's.
    fn of(method: &Method, path: &str) -> Option<Result<Self, Refusal>> {
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let own = |id: &&str| (*id).to_owned();
        let (filed, allow) = match (&words[..], method.as_str()) {
            (["files"], "POST") => (Some(Self::Upload), "POST"),
            (["files"], _) => (None, "POST"),
            (["files", id], "GET") => (Some(Self::File(own(id))), "GET, DELETE"),
            (["files", id], "DELETE") => (Some(Self::Remove(own(id))), "GET, DELETE"),
            (["files", _], _) => (None, "GET, DELETE"),
            (["files", id, "content"], "GET") => (Some(Self::Content(own(id))), "GET"),
            (["files", _, "content"], _) => (None, "GET"),
            (["batches"], "POST") => (Some(Self::Create), "GET, POST"),
            (["batches"], "GET") => (Some(Self::List), "GET, POST"),
            (["batches"], _) => (None, "GET, POST"),
            (["batches", id], "GET") => (Some(Self::Batch(own(id))), "GET"),
            (["batches", _], _) => (None, "GET"),
            (["batches", id, "cancel"], "POST") => (Some(Self::Cancel(own(id))), "POST"),
            (["batches", _, "cancel"], _) => (None, "POST"),
            _ => return None,
        };
        Some(filed.ok_or_else(|| Refusal::wrong_method(method, allow)))
    }
}

/// Percent-encoding undone (RFC 3986, 2.1); what is none stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_with_and_without_their_version() {
        for (method, path, route) in [
            (Method::POST, "/v1/chat/completions", Some(Route::Chat)),
            (Method::POST, "/chat/completions", Some(Route::Chat)),
            (Method::POST, "/v1/completions", Some(Route::Completions)),
            (Method::POST, "/embeddings", Some(Route::Embeddings)),
            (Method::GET, "/v1/models", Some(Route::Models)),
            (Method::GET, "/v1/models/sim/fast", Some(Route::Model("sim/fast".into()))),
            (Method::GET, "/models/sim%2Ffast", Some(Route::Model("sim/fast".into()))),
            (Method::GET, "/models/100%", Some(Route::Model("100%".into()))),
            (Method::GET, "/v1/models/", None),
            (Method::GET, "/v1chat/completions", None),
            (Method::GET, "/", None),
        ] {
            assert_eq!(Route::of(&method, path).ok(), route, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_says_which_is_right() {
        let refusal = Route::of(&Method::GET, "/v1/chat/completions").err();
        assert_eq!(
            refusal.map(|refusal| (refusal.status.as_u16(), refusal.allow)),
            Some((405, Some("POST")))
        );
    }
}
