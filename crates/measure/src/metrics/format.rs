//! The forms in which metrics are told, and which of them a reader is told.

/// A form in which metrics are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' protobuf, each family with its length before it: the only one that has native histograms.
    Protobuf,
    /// OpenMetrics 1.0, with exemplars.
    Open,
    /// Prometheus' older text format.
    Classic,
}

/// The message that each family is.
const MESSAGE: &str = "io.prometheus.client.MetricFamily";

impl Format {
    /// What a reader with this `Accept` header is told: the form that it likes best and, of those that it likes
    /// equally, the one that it names first. Whoever names none that there is gets the older text.
    pub fn accepted(accept: &str) -> Self {
        let mut best = (Self::Classic, 0.0);
        for (format, quality) in accept.split(',').filter_map(range) {
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The form that one range of an `Accept` header (RFC 9110, section 12.5.1) names, and how well it is liked.
fn range(range: &str) -> Option<(Format, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).map(cleaned).collect();
    let says = |name: &str, value: &str| {
        parameters
            .iter()
            .all(|(key, said)| !key.eq_ignore_ascii_case(name) || said.eq_ignore_ascii_case(value))
    };
    let format = match media.as_str() {
        "application/vnd.google.protobuf" if says("proto", MESSAGE) && says("encoding", "delimited") => {
            Format::Protobuf
        }
        "application/openmetrics-text" => Format::Open,
        "text/plain" | "text/*" | "*/*" => Format::Classic,
        _ => return None,
    };
    let quality = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case("q"));
    Some((format, quality.map_or(Some(1.0), |(_, value)| value.parse().ok())?))
}

fn cleaned<'a>((key, value): (&'a str, &'a str)) -> (&'a str, &'a str) {
    (key.trim(), value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::Format::{self, Classic, Open, Protobuf};

    #[test]
    fn a_reader_is_told_in_the_form_that_it_likes_best() {
        let protobuf =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let text =
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (String::new(), Classic),
            ("*/*".to_owned(), Classic),
            ("text/html,application/xhtml+xml,*/*;q=0.8".to_owned(), Classic),
            ("application/json".to_owned(), Classic),
            ("text/plain; version=0.0.4".to_owned(), Classic),
            ("application/openmetrics-text".to_owned(), Open),
            ("Application/OpenMetrics-Text; Version=1.0.0".to_owned(), Open),
            // Prometheus 2.42 as it is, and with native histograms; 3 as it is.
            (text.to_owned(), Open),
            (format!("{protobuf},{text}"), Protobuf),
            (format!("application/openmetrics-text;q=0.6,{protobuf};q=0.5,text/plain;q=0.3"), Open),
            (format!("text/plain;q=0.3, {protobuf};q=0.7 , application/openmetrics-text;q=0.6"), Protobuf),
            // Of those liked equally the first, and none that is not wanted.
            ("text/plain,application/openmetrics-text".to_owned(), Classic),
            ("application/openmetrics-text,text/plain".to_owned(), Open),
            (format!("{protobuf};q=0,application/openmetrics-text;q=0.1"), Open),
            (format!("{protobuf};q=0"), Classic),
            // Another message, another framing, a quality that is none.
            ("application/vnd.google.protobuf;proto=other;encoding=delimited".to_owned(), Classic),
            (format!("{};q=0.9,{text}", protobuf.replace("delimited", "text")), Open),
            (format!("{protobuf};q=much,{text}"), Open),
            (format!("{};q=0.9,{text}", protobuf.replace("delimited", "\"delimited\"")), Protobuf),
            ("application/vnd.google.protobuf".to_owned(), Protobuf),
        ] {
            assert_eq!(Format::accepted(&accept), expected, "{accept}");
        }
    }
}
