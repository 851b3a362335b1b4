//! Spans as OTLP 1.x has them: `ExportTraceServiceRequest` of `opentelemetry/proto/collector/trace/v1`, field by
//! field; and what a collector answers to it.

use super::span::{Attribute, Span, Value};
use super::tree::Alike;
use measure::protobuf::{Field, Fields, Writer};
use std::time::Duration;

/// The conventions by which the attributes are named.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.41.0";
/// `Status.STATUS_CODE_ERROR`.
const FAILED: u64 = 2;
/// `Span.attributes`.
const SPAN_ATTRIBUTES: u32 = 9;
/// About as many bytes has a span that says much; its length takes two from 128 on.
const SPAN_BYTES: usize = 512;
/// `SpanFlags`: the next one is known; the parent is another process's.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// What describes a service, as it is written into every request.
#[derive(Clone, Debug)]
pub struct Resource(Vec<u8>);

impl Resource {
    /// A service of which this is known.
    pub fn new<'a>(known: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut writer = Writer::default();
        for (key, value) in known {
            attribute(&mut writer, 1, &Attribute { key, value: value.into() });
        }
        Self(writer.finish())
    }
}

/// The request that exports `spans` of the service that `resource` describes; it has about so many bytes.
#[must_use]
pub fn request<'a>(resource: &Resource, spans: impl Iterator<Item = Span<'a>>, bytes: usize) -> Vec<u8> {
    // A little more, as to grow is to move all of it.
    let mut writer = Writer::with_capacity(bytes + bytes / 16);
    writer.message_about(1, bytes, |resource_spans| {
        resource_spans.bytes(1, &resource.0);
        resource_spans.message_about(2, bytes, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.text(1, "tidegate");
                scope.text(2, env!("CARGO_PKG_VERSION"));
            });
            let mut encoded = Encoded::default();
            for span in spans {
                let about = if matches!(span.alike, Alike::Step(_)) { 0 } else { SPAN_BYTES };
                scope_spans.message_about(2, about, |writer| write_span(writer, &span, &mut encoded));
            }
            scope_spans.text(3, SCHEMA);
        });
        resource_spans.text(3, SCHEMA);
    });
    writer.finish()
}

/// Most kinds of spans that are held; of more, those that come are encoded anew.
const ENCODED_MAX: usize = 16;

/// What spans say alike, as it is written.
#[derive(Default)]
struct Encoded<'a>(Vec<(Alike<'a>, Vec<u8>)>);

impl<'a> Encoded<'a> {
    fn write(&mut self, writer: &mut Writer, alike: Alike<'a>) {
        // A step says little: to write it takes no longer than to look for it.
        if matches!(alike, Alike::Step(_)) {
            return write_alike(writer, alike);
        }
        if let Some((_, encoded)) = self.0.iter().find(|(known, _)| *known == alike) {
            return writer.encoded(encoded);
        }
        let mut fresh = Writer::default();
        write_alike(&mut fresh, alike);
        let fresh = fresh.finish();
        writer.encoded(&fresh);
        if self.0.len() < ENCODED_MAX {
            self.0.push((alike, fresh));
        }
    }
}

fn write_alike(writer: &mut Writer, alike: Alike<'_>) {
    writer.text(5, &alike.name());
    writer.number(6, alike.kind() as u64);
    alike.attributes().iter().for_each(|each| attribute(writer, SPAN_ATTRIBUTES, each));
}

fn write_span<'a>(writer: &mut Writer, span: &Span<'a>, encoded: &mut Encoded<'a>) {
    writer.bytes(1, &span.trace_id.to_be_bytes());
    writer.bytes(2, &span.span_id.to_be_bytes());
    if span.parent != 0 {
        writer.bytes(4, &span.parent.to_be_bytes());
    }
    writer.fixed64(7, span.began);
    writer.fixed64(8, span.ended);
    encoded.write(writer, span.alike);
    span.attributes.iter().for_each(|each| attribute(writer, SPAN_ATTRIBUTES, each));
    if span.failed {
        writer.message(15, |status| status.number(3, FAILED));
    }
    let remote = if span.parent_is_remote { IS_REMOTE } else { 0 };
    writer.fixed32(16, u32::from(span.flags) | HAS_IS_REMOTE | remote);
}

fn attribute(writer: &mut Writer, field: u32, Attribute { key, value }: &Attribute<'_>) {
    writer.message(field, |pair| {
        pair.text(1, key);
        pair.message(2, |any| match value {
            Value::Text(text) => any.text(1, text),
            Value::Flag(flag) => any.flag(2, *flag),
            Value::Integer(number) => any.signed(3, *number),
            Value::Number(number) => any.double(4, *number),
        });
    });
}

/// What a collector says of spans that it did not take although it took the request:
/// `ExportTracePartialSuccess`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// How many.
    pub rejected: u64,
    /// Why, or what else is odd.
    pub message: String,
}

/// Reads an `ExportTraceServiceResponse`; `None` where all was well.
#[must_use]
pub fn partial(response: &[u8]) -> Option<Partial> {
    let Field::Bytes(partial) = Fields(response).last(1)? else { return None };
    let rejected = match Fields(partial).last(1) {
        Some(Field::Number(count)) => count,
        _ => 0,
    };
    let message = match Fields(partial).last(2) {
        Some(Field::Bytes(text)) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    (rejected > 0 || !message.is_empty()).then_some(Partial { rejected, message })
}

/// How long a collector asks to be left alone: the `google.rpc.RetryInfo` among the details of a
/// `google.rpc.Status`, as gRPC sends them.
#[must_use]
pub fn retry_delay(status: &[u8]) -> Option<Duration> {
    let details = Fields(status).filter(|(number, _)| *number == 3);
    let info = details.filter_map(|(_, field)| match field {
        Field::Bytes(any) => Some(any),
        Field::Number(_) => None,
    });
    let is_retry_info = |any: &&[u8]| matches!(Fields(any).last(1), Some(Field::Bytes(url)) if url.ends_with(b"/google.rpc.RetryInfo"));
    let Field::Bytes(info) = Fields(info.into_iter().find(is_retry_info)?).last(2)? else { return None };
    let Field::Bytes(delay) = Fields(info).last(1)? else { return None };
    let number = |field| match Fields(delay).last(field) {
        Some(Field::Number(number)) => number,
        _ => 0,
    };
    let nanoseconds = u32::try_from(number(2)).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    // A negative one is beyond any wait.
    Some(Duration::new(number(1), nanoseconds).min(wire::retry_after::LONGEST))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn what_a_collector_did_not_take_is_read() {
        let mut writer = Writer::default();
        writer.message(1, |partial| {
            partial.number(1, 3);
            partial.text(2, "too old");
        });
        let expected = Partial { rejected: 3, message: "too old".to_owned() };
        assert_eq!(partial(&writer.finish()), Some(expected));
        // Nothing, an empty message, and bytes that are none.
        for response in [&b""[..], b"\x0a\x00", b"\x0a\x7f", b"\xff"] {
            assert_eq!(partial(response), None, "{response:?}");
        }
    }

    #[test]
    fn how_long_to_wait_is_read_from_a_status() {
        let status = |url: &str, seconds: u64, nanoseconds: u64| {
            let mut writer = Writer::default();
            writer.number(1, 14);
            writer.text(2, "busy");
            writer.message(3, |any| {
                any.text(1, url);
                any.message(2, |info| {
                    info.message(1, |delay| {
                        delay.number(1, seconds);
                        delay.number(2, nanoseconds);
                    });
                });
            });
            writer.finish()
        };
        let url = "type.googleapis.com/google.rpc.RetryInfo";
        let wait = |millis| Some(Duration::from_millis(millis));
        assert_eq!(retry_delay(&status(url, 2, 500_000_000)), wait(2_500));
        assert_eq!(retry_delay(&status(url, 0, 0)), wait(0));
        assert_eq!(retry_delay(&status(url, 1 << 40, 0)), wait(60_000));
        assert_eq!(retry_delay(&status("type.googleapis.com/google.rpc.Help", 2, 0)), None);
        assert_eq!(retry_delay(b"\x08\x0e"), None);
        assert_eq!(retry_delay(b"\xff"), None);
    }
}
