//! Texts as kernels write them, and a day that passes in a moment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Reader, Reading, Traffic, Trend, parse};
use guard::pressure;
use std::time::Duration;

const STAT: &str = "4711 (tide) gate) S 1 4711 4711 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 7 0 12345 99 42 18446744073709551615";

#[test]
fn texts_become_figures_or_nothing() {
    let after_boot = [(STAT, Some(Duration::from_millis(123_450))), ("4711 (x) S 1 2", None), ("", None)];
    for (text, expected) in after_boot {
        assert_eq!(parse::started_after_boot(text), expected, "{text}");
    }
    assert_eq!(
        parse::booted("cpu  1 2\nbtime 1700000000\nprocesses 3\n"),
        Some(Duration::from_secs(1_700_000_000))
    );
    assert_eq!(parse::booted("cpu 1\n"), None);
    assert_eq!(parse::number("Name:\tx\nThreads:\t7\n", "Threads"), Some(7));
    assert_eq!(parse::number("Threads:\tmany\n", "Threads"), None);
    assert_eq!(
        parse::storage("rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n"),
        Some(Traffic { in_bytes: 4096, out_bytes: 8192 })
    );
    assert_eq!(parse::storage("rchar: 9\n"), None, "a kernel that does not count it");
    let netstat = "TcpExt: A B\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 123 456\n";
    assert_eq!(parse::network(netstat), Some(Traffic { in_bytes: 123, out_bytes: 456 }));
    assert_eq!(parse::network("TcpExt: A\nTcpExt: 1\n"), None);
}

#[test]
fn a_look_at_this_process_finds_it() {
    let reading = Reader::new("no/such/folder").read();
    assert!(reading.pressure.resident.unwrap() > 0);
    assert!(reading.threads.unwrap() >= 1);
    assert!(reading.open_files.unwrap() >= 3);
    assert!(reading.open_files_max.is_none_or(|max| max >= reading.open_files.unwrap()));
    let disk = reading.disk.expect("a folder that is not there yet lies on the disk of the one above it");
    assert!(disk.free_bytes <= disk.size_bytes && disk.size_bytes > 0);
}

/// A process that has used so much when it is looked at.
fn used(cpu: Duration, received: u64) -> Reading {
    let pressure =
        pressure::Reading { process_cpu: Some(cpu), cores: Some(2.0), ..pressure::Reading::default() };
    Reading { pressure, network: Some(Traffic { in_bytes: received, out_bytes: 0 }), ..Reading::default() }
}

#[test]
fn a_minute_is_the_difference_of_its_ends() {
    let mut trend = Trend::default();
    let second = Duration::from_secs(1);
    for looks in 0..=4 {
        // Half a core of two, 10 requests and 100 bytes a second.
        let full = trend.note(
            15 * looks * second,
            used(7500 * looks * second / 1000, 1500 * u64::from(looks)),
            150 * u64::from(looks),
            3,
        );
        assert_eq!(full, looks == 4);
    }
    let points: Vec<_> = trend.points().collect();
    assert_eq!(points.len(), 1);
    assert_eq!((points[0].at, points[0].cpu, points[0].connections), (60 * second, Some(0.25), 3));
    assert_eq!(
        (points[0].requests_per_second, points[0].network_bytes_per_second),
        (10.0, Some((100.0, 0.0)))
    );
    assert_eq!(points[0].memory, None, "what was not found out is not made up");
}

#[test]
fn a_day_is_kept_and_no_more() {
    let mut trend = Trend::default();
    for minute in 0..3000 {
        trend.note(Duration::from_secs(60 * minute), Reading::default(), 0, 0);
    }
    let points: Vec<_> = trend.points().map(|point| point.at.as_secs() / 60).collect();
    assert_eq!((points.len(), points[0], points[1439]), (1440, 1560, 2999));
}
