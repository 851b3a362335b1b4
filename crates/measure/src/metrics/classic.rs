//! The same metrics in Prometheus' older text format (`text/plain; version=0.0.4`), for readers that know no other:
//! `promtool check metrics`, agents of clouds, eyes. Made from the OpenMetrics text, line by line:
//!
//! - a counter's family is named as its samples are, with `_total`, and an info's with `_info`, as a gauge;
//! - there are no units and no end mark.
//!
//! It knows the form in which this module's encoder writes and no other.

/// The classic text of an OpenMetrics text.
pub(super) fn of(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if line.starts_with("# HELP ") {
            // What follows its name depends on the kind, which the next line tells.
            help = Some(line);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            begin(&mut text, name, kind, help.take());
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

fn begin(text: &mut String, name: &str, kind: &str, help: Option<&str>) {
    let (suffix, kind) = match kind {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "unknown" => ("", "untyped"),
        _ => ("", kind),
    };
    if let Some((_, words)) = help.and_then(|line| line.strip_prefix("# HELP ")?.split_once(' ')) {
        text.extend(["# HELP ", name, suffix, " ", words, "\n"]);
    }
    text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::of;

    #[test]
    fn each_line_becomes_what_older_readers_know() {
        for (open, classic) in [
            (
                "# HELP a Words here.\n# TYPE a counter\na_total{x=\"1\"} 2\n# EOF\n",
                "# HELP a_total Words here.\n# TYPE a_total counter\na_total{x=\"1\"} 2\n",
            ),
            (
                "# HELP b_seconds W.\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 1.5\n",
                "# HELP b_seconds W.\n# TYPE b_seconds gauge\nb_seconds 1.5\n",
            ),
            (
                "# HELP c W.\n# TYPE c info\nc_info{version=\"1\"} 1\n",
                "# HELP c_info W.\n# TYPE c_info gauge\nc_info{version=\"1\"} 1\n",
            ),
            ("# TYPE d histogram\nd_bucket{le=\"1.0\"} 3\n", "# TYPE d histogram\nd_bucket{le=\"1.0\"} 3\n"),
        ] {
            assert_eq!(of(open), classic, "{open}");
        }
    }
}
