//! What workflows may do: hosts that can be named.

use std::ops::RangeInclusive;

use super::Judge;
use crate::config::base_url::host_and_port;
use crate::config::quantity::Span;
use crate::config::raw;
use crate::config::tree::Path;
use crate::config::{NamedHost, Workflows};

/// How long runs that are over may be kept: up to ten years.
const KEEP: RangeInclusive<Span> = Span::seconds(60)..=Span::seconds(3650 * 86_400);

impl Judge<'_> {
    pub(super) fn workflows(&mut self, raw: &raw::Workflows) -> Workflows {
        let at = Path::of(&["workflows"]);
        let hosts = raw.hosts.iter().enumerate();
        let hosts = hosts.filter_map(|(index, text)| self.named_host(&at.key("hosts").index(index), text));
        Workflows { hosts: hosts.collect(), keep: self.duration(&at.key("keep"), raw.keep, KEEP) }
    }

    fn named_host(&mut self, at: &Path, text: &str) -> Option<NamedHost> {
        match host_and_port(text) {
            Ok((host, port)) => Some(NamedHost { host, port }),
            Err(_) => {
                let what = format!("{} is not a host", self.quoted(at, text));
                self.fault(at, what, "write `name` or `name:port`, without a scheme or a path");
                None
            }
        }
    }
}
