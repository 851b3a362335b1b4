//! What happened, and the figures that expectations are about.
//!
//! | figure | of | unit |
//! | --- | --- | --- |
//! | `limit`, `in_flight`, `waiting`, `inside` + `.min` `.max` `.mean` `.last` | a target: its gate's limit, permits, those who wait; calls inside it | |
//! | `open.share`, `trips`, `first_trip` | a target's breaker: share of the time, count, when | s |
//! | `calls`, `hedges.share` | calls made; hedges for each request | |
//! | `offered`, `served`, `served.rate` | requests; those answered; those a second | |
//! | `served.share`, `full.share`, `late.share`, `dropped.share`, `open_refused.share`, `refused.share` (all four), `failed.share`, `left.share`, `expired.share` | ends, for each request | |
//! | `tokens.share` | tokens of those answered in the window, of all tokens of anybody's | |
//! | `attempts` | calls for each request, hedges included | |
//! | `attempts.most` | of one request | |
//! | `hedges_won.share` | answers that were a hedge's | |
//! | `first`, `total`, `wait`, `refusal` + `.mean` `.p50` `.p99` `.max` | time of those answered to the first and the last token, in the queue; of those refused until they knew | s |

use super::file::{BandName, Expect};
use guard::gate::Reason;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    seconds: f64,
    pub looks: Vec<Look>,
    pub calls: Vec<CallLook>,
    pub requests: Vec<Record>,
}

/// Gates and targets at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub at: Duration,
    pub targets: Vec<TargetLook>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetLook {
    pub limit: u32,
    pub in_flight: u32,
    pub waiting: usize,
    pub inside: usize,
    pub is_open: bool,
    pub trips: u64,
}

/// A call that was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallLook {
    pub at: Duration,
    pub target: usize,
    pub is_hedge: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub arrived: Duration,
    pub tenant: u64,
    pub band: BandName,
    pub tokens: u64,
    pub waited: Duration,
    pub first: Option<Duration>,
    pub calls: u32,
    pub hedge_won: bool,
    pub end: Option<End>,
    pub ended: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Served,
    Refused(Reason),
    BreakerOpen,
    Failed,
    Left,
    Expired,
}

impl Record {
    pub fn new(arrived: Duration, tenant: u64, band: BandName, tokens: u64) -> Self {
        let (waited, ended) = (Duration::ZERO, Duration::ZERO);
        let (first, end) = (None, None);
        Self { arrived, tenant, band, tokens, waited, first, calls: 0, hedge_won: false, end, ended }
    }

    /// Whether it is of the tenant and the band that are asked about.
    fn is_of(&self, expect: &Expect) -> bool {
        expect.tenant.is_none_or(|tenant| tenant == self.tenant)
            && expect.band.is_none_or(|band| band == self.band)
    }

    fn is_refused(&self) -> bool {
        matches!(self.end, Some(End::Refused(_) | End::BreakerOpen))
    }
}

impl Figures {
    pub fn new(seconds: f64) -> Self {
        Self { seconds, looks: Vec::new(), calls: Vec::new(), requests: Vec::new() }
    }

    /// The figure that an expectation is about; `None` where there is nothing to take it of.
    pub fn figure(&self, expect: &Expect) -> Option<f64> {
        let (name, part) = expect.what.split_once('.').unwrap_or((&expect.what, ""));
        match name {
            "limit" | "in_flight" | "waiting" | "inside" | "open" | "trips" | "first_trip" => {
                self.of_target(expect, name, part)
            }
            "calls" => Some(self.calls_made(expect).count() as f64),
            "first" | "total" | "wait" | "refusal" => statistic(part, self.times(expect, name)),
            _ => self.of_requests(expect, name, part),
        }
    }

    fn window(&self, expect: &Expect) -> (f64, f64) {
        (expect.from, expect.until.unwrap_or(self.seconds))
    }

    fn is_in(&self, expect: &Expect, at: Duration) -> bool {
        let (from, until) = self.window(expect);
        (from..until).contains(&at.as_secs_f64())
    }

    fn of_target(&self, expect: &Expect, name: &str, part: &str) -> Option<f64> {
        let looks: Vec<(f64, TargetLook)> = self
            .looks
            .iter()
            .filter(|look| self.is_in(expect, look.at))
            .map(|look| (look.at.as_secs_f64(), look.targets[expect.upstream]))
            .collect();
        let before = looks.first()?.1.trips;
        let values = |value: fn(&TargetLook) -> f64| looks.iter().map(|(_, look)| value(look)).collect();
        match name {
            "limit" => statistic(part, values(|look| f64::from(look.limit))),
            "in_flight" => statistic(part, values(|look| f64::from(look.in_flight))),
            "waiting" => statistic(part, values(|look| look.waiting as f64)),
            "inside" => statistic(part, values(|look| look.inside as f64)),
            "open" => statistic("mean", values(|look| f64::from(look.is_open))),
            "trips" => looks.last().map(|(_, look)| (look.trips - before) as f64),
            _ => looks.iter().find(|(_, look)| look.trips > before).map(|(at, _)| *at),
        }
    }

    fn calls_made<'a>(&'a self, expect: &'a Expect) -> impl Iterator<Item = &'a CallLook> {
        self.calls.iter().filter(|call| call.target == expect.upstream && self.is_in(expect, call.at))
    }

    fn requests<'a>(&'a self, expect: &'a Expect) -> impl Iterator<Item = &'a Record> {
        self.requests.iter().filter(|request| self.is_in(expect, request.arrived) && request.is_of(expect))
    }

    fn times(&self, expect: &Expect, name: &str) -> Vec<f64> {
        let time = |request: &Record| match name {
            "refusal" => request.is_refused().then(|| request.ended - request.arrived),
            _ if request.end != Some(End::Served) => None,
            "first" => request.first,
            "total" => Some(request.ended - request.arrived),
            _ => Some(request.waited),
        };
        self.requests(expect).filter_map(time).map(|time| time.as_secs_f64()).collect()
    }

    fn of_requests(&self, expect: &Expect, name: &str, part: &str) -> Option<f64> {
        let count =
            |is: &dyn Fn(&Record) -> bool| self.requests(expect).filter(|request| is(request)).count() as f64;
        let ended = |end: End| count(&|request| request.end == Some(end));
        let all = count(&|_| true);
        let calls = || self.requests(expect).map(|request| f64::from(request.calls));
        let (from, until) = self.window(expect);
        match (name, part) {
            ("offered", "") => Some(all),
            ("served", "") => Some(ended(End::Served)),
            ("served", "rate") => Some(ended(End::Served) / (until - from)),
            ("tokens", "share") => Some(self.tokens(expect) / self.tokens(&expect.of_anybody())),
            ("attempts", "") => Some(calls().sum::<f64>() / all),
            ("attempts", "most") => calls().reduce(f64::max),
            ("hedges", "share") => {
                Some(self.calls_made(expect).filter(|call| call.is_hedge).count() as f64 / all)
            }
            ("hedges_won", "share") => Some(count(&|request| request.hedge_won) / ended(End::Served)),
            ("refused", "share") => Some(count(&Record::is_refused) / all),
            ("served", "share") => Some(ended(End::Served) / all),
            ("full", "share") => Some(ended(End::Refused(Reason::Full)) / all),
            ("late", "share") => Some(ended(End::Refused(Reason::TooLate)) / all),
            ("dropped", "share") => Some(ended(End::Refused(Reason::Dropped)) / all),
            ("open_refused", "share") => Some(ended(End::BreakerOpen) / all),
            ("failed", "share") => Some(ended(End::Failed) / all),
            ("left", "share") => Some(ended(End::Left) / all),
            ("expired", "share") => Some(ended(End::Expired) / all),
            _ => panic!("there is no figure {:?}", expect.what),
        }
        .filter(|figure| figure.is_finite())
    }

    /// By when they were answered, not by when they came: who waits long is served in another's window.
    fn tokens(&self, expect: &Expect) -> f64 {
        let served = self.requests.iter().filter(|request| {
            request.end == Some(End::Served) && self.is_in(expect, request.ended) && request.is_of(expect)
        });
        served.map(|request| request.tokens as f64).sum()
    }
}

impl Expect {
    /// The same, whoever it was.
    fn of_anybody(&self) -> Self {
        Self { tenant: None, band: None, ..self.clone() }
    }
}

/// A statistic of some values by its name; `None` where there are no values.
fn statistic(name: &str, mut values: Vec<f64>) -> Option<f64> {
    let last = *values.last()?;
    let sum: f64 = values.iter().sum();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Some(match name {
        "min" => at(0.0),
        "p50" => at(0.5),
        "p99" => at(0.99),
        "max" => at(1.0),
        "mean" => sum / values.len() as f64,
        "last" => last,
        _ => panic!("there is no statistic {name:?}"),
    })
}
