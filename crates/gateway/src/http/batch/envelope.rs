//! What `POST /v1/batch` is sent, read and checked whole before anything of it is begun.

use crate::http::inference;
use bytes::Bytes;
use foldhash::{HashSet, HashSetExt as _};
use wire::failure::{Failure, Kind};
use wire::json::{self, Object, Value};
use wire::operation::Operation;

/// Items of one batch; for more there is `/v1/batches`.
const ITEMS_MAX: usize = 100;
/// Items under way at once, where the caller does not say.
const CONCURRENCY_DEFAULT: usize = 8;
/// The most that a caller may say.
const CONCURRENCY_MAX: usize = 32;
/// The longest `custom_id`, in bytes as it is decoded.
const CUSTOM_ID_BYTES_MAX: usize = 256;

/// The members of a batch.
const MEMBERS: [&str; 2] = ["requests", "concurrency"];
/// Those of one of its requests.
const OF_ITEMS: [&str; 4] = ["custom_id", "method", "url", "body"];

/// A batch that can be begun.
pub(super) struct Envelope {
    /// At least one, with ids of their own.
    pub(super) items: Vec<Item>,
    /// How many of them at once.
    pub(super) concurrency: usize,
}

/// One request of a batch.
#[derive(Debug)]
pub(super) struct Item {
    /// The caller's name for it: a JSON string as the caller wrote it, quotes included.
    pub(super) custom_id: Bytes,
    /// What is asked for.
    pub(super) operation: Operation,
    /// The request's body: a JSON object, which may be any good or not.
    pub(super) body: Bytes,
}

impl Envelope {
    /// Reads a body. Items share its memory.
    ///
    /// # Errors
    /// 400 with the place of the first fault: `requests[3].url`.
    pub(super) fn read(body: &Bytes) -> Result<Self, Failure> {
        let object = json::object(body).map_err(|fault| {
            let public = format!("We could not parse the JSON body of your request: {fault}.");
            Failure::new(Kind::InvalidRequest, public).with_code("invalid_json")
        })?;
        known(&object, &MEMBERS, str::to_owned)?;
        let concurrency = concurrency(object.get("concurrency"))?;
        let requests = object.get("requests").filter(|value| !value.is_null());
        let Some(requests) = requests.ok_or_else(|| missing("requests".into()))?.elements() else {
            return Err(wrong("requests".into(), "an array of objects"));
        };
        let (mut items, mut ids) = (Vec::new(), HashSet::new());
        for (index, request) in requests.enumerate() {
            let place = |member: &str| format!("requests[{index}]{member}");
            if index >= ITEMS_MAX {
                let public =
                    format!("A batch holds {ITEMS_MAX} requests at most; for more there is /v1/batches.");
                return Err(refusal(place(""), public));
            }
            let request = request.object().ok_or_else(|| wrong(place(""), "an object"))?;
            let (item, id) = Item::read(body, &request, &place)?;
            if !ids.insert(id) {
                let public =
                    format!("The custom_id {} is given twice.", String::from_utf8_lossy(&item.custom_id));
                return Err(refusal(place(".custom_id"), public).with_code("duplicate_custom_id"));
            }
            items.push(item);
        }
        if items.is_empty() {
            return Err(refusal("requests".into(), "A batch holds one request at least.".into()));
        }
        Ok(Self { items, concurrency })
    }
}

impl Item {
    /// Reads one request of `body`; gives its id as it is decoded besides.
    fn read(
        body: &Bytes,
        request: &Object<'_>,
        place: &impl Fn(&str) -> String,
    ) -> Result<(Self, String), Failure> {
        known(request, &OF_ITEMS, |name| place(&format!(".{name}")))?;
        let member = |name: &str| request.get(name).filter(|value| !value.is_null());
        let text = |name: &str| {
            let value = member(name).ok_or_else(|| missing(place(&format!(".{name}"))))?;
            value.as_str().ok_or_else(|| wrong(place(&format!(".{name}")), "a string"))
        };
        let id = text("custom_id")?.into_owned();
        if id.is_empty() || id.len() > CUSTOM_ID_BYTES_MAX {
            let public = format!("A custom_id has 1 to {CUSTOM_ID_BYTES_MAX} bytes.");
            return Err(refusal(place(".custom_id"), public));
        }
        if member("method").is_some() && text("method")? != "POST" {
            return Err(refusal(place(".method"), "The method of a request in a batch is POST.".into()));
        }
        let operation = inference(&text("url")?).ok_or_else(|| {
            let public = "The url must be one of: /v1/chat/completions, /v1/completions, /v1/embeddings.";
            refusal(place(".url"), public.into())
        })?;
        let inner = member("body").ok_or_else(|| missing(place(".body")))?;
        let read = inner.object().ok_or_else(|| wrong(place(".body"), "an object"))?;
        if operation.streams() && read.get("stream").and_then(|stream| stream.as_bool()) == Some(true) {
            let public = "The answers of a batch cannot be streamed: leave 'stream' out or set it to false.";
            return Err(refusal(place(".body.stream"), public.into()).with_code("stream_not_supported"));
        }
        let custom_id = member("custom_id").map(|value| body.slice(value.span())).unwrap_or_default();
        Ok((Self { custom_id, operation, body: body.slice(inner.span()) }, id))
    }
}

fn concurrency(value: Option<Value<'_>>) -> Result<usize, Failure> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(CONCURRENCY_DEFAULT) };
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.filter(|number| (1..=CONCURRENCY_MAX).contains(number)).ok_or_else(|| {
        let public = format!("The concurrency must be a whole number from 1 to {CONCURRENCY_MAX}.");
        refusal("concurrency".into(), public)
    })
}

/// That an object has no other members than these. What a model knows of stands in a request's body.
fn known(object: &Object<'_>, names: &[&str], place: impl Fn(&str) -> String) -> Result<(), Failure> {
    let Some((name, _)) = object.iter().find(|(name, _)| !names.contains(&&**name)) else { return Ok(()) };
    let param: String = place(&name).chars().take(128).collect();
    let public = format!("Unknown parameter: '{param}'; there are: {}.", names.join(", "));
    Err(refusal(param, public).with_code("unknown_parameter"))
}

fn refusal(place: String, public: String) -> Failure {
    Failure::new(Kind::InvalidRequest, public).with_param(place)
}

fn missing(place: String) -> Failure {
    let public = format!("Missing required parameter: '{place}'.");
    refusal(place, public).with_code("missing_required_parameter")
}

fn wrong(place: String, expected: &str) -> Failure {
    let public = format!("Invalid type for '{place}': expected {expected}.");
    refusal(place, public).with_code("invalid_type")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Envelope, ITEMS_MAX};
    use wire::failure::Failure;
    use wire::operation::Operation;

    fn read(text: &str) -> Result<Envelope, Failure> {
        Envelope::read(&text.to_owned().into())
    }

    /// A chat of this id.
    fn item(id: &str) -> String {
        format!(r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{{"n":1}}}}"#)
    }

    #[test]
    fn items_are_read_as_they_were_written() {
        let envelope = read(
            r#" {"requests": [
                {"custom_id":"one","method":"POST","url":"/v1/chat/completions","body":{"model": "m", "x": [1, 2]}},
                {"custom_id":"\u0074wo","url":"/openai/v1/embeddings","body":{ }},
                {"custom_id":"three","url":"/completions","body":{"stream":false},"method":null}
            ]} "#,
        )
        .unwrap();
        assert_eq!(envelope.concurrency, 8);
        let items: Vec<_> =
            envelope.items.iter().map(|item| (&item.custom_id[..], item.operation, &item.body[..])).collect();
        let expected: [(&[u8], _, &[u8]); 3] = [
            (br#""one""#, Operation::ChatCompletions, br#"{"model": "m", "x": [1, 2]}"#),
            (br#""\u0074wo""#, Operation::Embeddings, b"{ }"),
            (br#""three""#, Operation::Completions, br#"{"stream":false}"#),
        ];
        assert_eq!(items, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let one = item("a");
        let with =
            |from: &str, to: &str| format!(r#"{{"requests":[{one},{}]}}"#, item("b").replace(from, to));
        let many: Vec<_> = (0..=ITEMS_MAX).map(|index| item(&index.to_string())).collect();
        let cases = [
            ("[]".to_owned(), None),
            ("{}".to_owned(), Some("requests")),
            (r#"{"requests":null}"#.to_owned(), Some("requests")),
            (r#"{"requests":{}}"#.to_owned(), Some("requests")),
            (r#"{"requests":[]}"#.to_owned(), Some("requests")),
            (r#"{"requests":[1]}"#.to_owned(), Some("requests[0]")),
            (format!(r#"{{"requests":[{}]}}"#, many.join(",")), Some("requests[100]")),
            (format!(r#"{{"requests":[{one}],"concurrency":0}}"#), Some("concurrency")),
            (format!(r#"{{"requests":[{one}],"concurrency":33}}"#), Some("concurrency")),
            (format!(r#"{{"requests":[{one}],"concurrency":"8"}}"#), Some("concurrency")),
            (with(r#""b""#, r#""a""#), Some("requests[1].custom_id")),
            (with(r#""b""#, r#""\u0061""#), Some("requests[1].custom_id")),
            (with(r#""b""#, r#""""#), Some("requests[1].custom_id")),
            (with(r#""b""#, "7"), Some("requests[1].custom_id")),
            (with(r#""b""#, "null"), Some("requests[1].custom_id")),
            (with(r#""b""#, &format!(r#""{}""#, "x".repeat(257))), Some("requests[1].custom_id")),
            (with("POST", "GET"), Some("requests[1].method")),
            (with(r#""url""#, r#""foo":1,"url""#), Some("requests[1].foo")),
            (format!(r#"{{"requests":[{one}],"parallel":2}}"#), Some("parallel")),
            (with("/v1/chat/completions", "/v1/models"), Some("requests[1].url")),
            (with("/v1/chat/completions", "https://elsewhere/v1/chat/completions"), Some("requests[1].url")),
            (with(r#"{"n":1}"#, "[]"), Some("requests[1].body")),
            (with(r#","body":{"n":1}"#, ""), Some("requests[1].body")),
            (with(r#"{"n":1}"#, r#"{"stream":true}"#), Some("requests[1].body.stream")),
        ];
        for (text, place) in cases {
            let failure = read(&text).err().unwrap_or_else(|| panic!("it is read: {text}"));
            assert_eq!((failure.kind().status(), failure.param()), (400, place), "{text}");
        }
        assert_eq!(read(&format!(r#"{{"requests":[{one}],"concurrency":32}}"#)).unwrap().concurrency, 32);
        assert_eq!(
            read(&format!(r#"{{"requests":[{}]}}"#, many[..ITEMS_MAX].join(","))).unwrap().items.len(),
            100
        );
    }
}
