//! What the process takes of the machine, as a scrape sees it: under the names that every Prometheus client gives a
//! process (`process_*`), and under our own where there are none. Nothing is kept here but the last [`Standing`].

use crate::leak;
use crate::resources::{Allocator, Reading};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the process stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// What the system says.
    pub reading: Reading,
    /// What the allocator says; `None` where another one is in use.
    pub allocator: Option<Allocator>,
    /// The threads that run tasks.
    pub runtimes: Vec<Runtime>,
    /// Whether memory is lost.
    pub leak: leak::Level,
}

/// One thread that runs tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// The thread's name.
    pub thread: String,
    /// Tasks that are not over.
    pub tasks: u64,
    /// Tasks that others have woken and that wait to be run.
    pub queue: u64,
    /// Time spent in tasks since it began.
    pub busy: Duration,
    /// How often it had nothing to do since it began.
    pub parks: u64,
}

/// The metrics of the process.
#[derive(Clone, Debug, Default)]
pub struct ResourceMetrics(Arc<Mutex<Standing>>);

impl ResourceMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// Shows this. It is called by the scrape itself.
    pub fn show(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

/// One metric without labels: its name without unit and suffix, what it says, its unit, its kind, its value.
type Row = (&'static str, &'static str, Option<Unit>, MetricType, Option<f64>);
/// One metric for each thread.
type ThreadRow = (&'static str, &'static str, Option<Unit>, MetricType, fn(&Runtime) -> f64);

impl Collector for ResourceMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let standing = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rows = process(&standing.reading).into_iter().chain(machine(&standing));
        for (name, help, unit, kind, value) in rows {
            // What is not known is not shown: 0 would be a lie.
            let Some(value) = value else { continue };
            write(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?, kind, value)?;
        }
        for (name, help, unit, kind, value) in THREAD_ROWS {
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            for runtime in &standing.runtimes {
                let labels = [("thread", runtime.thread.as_str())];
                write(family.encode_family(&labels)?, kind, value(runtime))?;
            }
        }
        Ok(())
    }
}

fn write(mut encoder: MetricEncoder<'_>, kind: MetricType, value: f64) -> fmt::Result {
    match kind {
        MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(&value, None),
        _ => encoder.encode_gauge(&value),
    }
}

use MetricType::{Counter, Gauge};

/// The names that Prometheus' clients agree on.
fn process(reading: &Reading) -> [Row; 10] {
    let number = |number: Option<u64>| number.map(|number| number as f64);
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let (received, sent) = reading.network.map(|network| (network.in_bytes, network.out_bytes)).unzip();
    let resident = number(reading.pressure.resident);
    let bytes = || Some(Unit::Bytes);
    [
        (
            "process_cpu",
            "Processor time used, in user and kernel mode.",
            Some(Unit::Seconds),
            Counter,
            seconds(reading.pressure.process_cpu),
        ),
        ("process_resident_memory", "Memory resident.", bytes(), Gauge, resident),
        ("process_virtual_memory", "Address space.", bytes(), Gauge, number(reading.virtual_bytes)),
        ("process_open_fds", "File descriptors open.", None, Gauge, number(reading.open_files)),
        (
            "process_max_fds",
            "File descriptors that may be open.",
            None,
            Gauge,
            number(reading.open_files_max),
        ),
        ("process_threads", "Threads.", None, Gauge, number(reading.threads)),
        (
            "process_start_time",
            "When the process began, since 1970.",
            Some(Unit::Seconds),
            Gauge,
            seconds(reading.started),
        ),
        (
            "process_network_receive",
            "Bytes that the network namespace received by IP.",
            bytes(),
            Counter,
            number(received),
        ),
        (
            "process_network_transmit",
            "Bytes that the network namespace sent by IP.",
            bytes(),
            Counter,
            number(sent),
        ),
        (
            "memory_usage",
            "Memory resident, under the name that the requirements give.",
            bytes(),
            Gauge,
            resident,
        ),
    ]
}

/// What surrounds the process, and what it says of itself.
fn machine(standing: &Standing) -> [Row; 10] {
    let Standing { reading, allocator, leak, .. } = standing;
    let memory = reading.pressure.memory;
    let (read, written) = reading.storage.map(|storage| (storage.in_bytes, storage.out_bytes)).unzip();
    let number = |number: Option<u64>| number.map(|number| number as f64);
    let bytes = || Some(Unit::Bytes);
    [
        (
            "tidegate_memory_limit",
            "Size of the fullest memory that the process lives in: a control group's or the machine's.",
            bytes(),
            Gauge,
            number(memory.map(|memory| memory.limit)),
        ),
        (
            "tidegate_memory_used",
            "Bytes used of it by anybody, without what the kernel can take back at once.",
            bytes(),
            Gauge,
            number(memory.map(|memory| memory.used)),
        ),
        ("tidegate_cpu_cores", "Processors that the process may use.", None, Gauge, reading.pressure.cores),
        (
            "tidegate_disk_free",
            "Bytes that may still be written where the data folder is.",
            bytes(),
            Gauge,
            number(reading.disk.map(|disk| disk.free_bytes)),
        ),
        (
            "tidegate_disk_size",
            "Size of the file system where the data folder is.",
            bytes(),
            Gauge,
            number(reading.disk.map(|disk| disk.size_bytes)),
        ),
        ("tidegate_storage_read", "Bytes that came from storage.", bytes(), Counter, number(read)),
        ("tidegate_storage_written", "Bytes that went to storage.", bytes(), Counter, number(written)),
        (
            "tidegate_allocator_committed",
            "Bytes that the allocator has committed: in use, or kept to be used again.",
            bytes(),
            Gauge,
            number(allocator.map(|allocator| allocator.committed_bytes)),
        ),
        (
            "tidegate_allocator_reserved",
            "Address space that the allocator has reserved.",
            bytes(),
            Gauge,
            number(allocator.map(|allocator| allocator.reserved_bytes)),
        ),
        (
            "tidegate_memory_leak",
            "Whether memory is lost: 0 no, 1 suspected, 2 found.",
            None,
            Gauge,
            Some(f64::from(*leak as u8)),
        ),
    ]
}

const THREAD_ROWS: [ThreadRow; 4] = [
    ("tidegate_tasks", "Tasks that are not over, by thread.", None, Gauge, |of| of.tasks as f64),
    ("tidegate_tasks_queued", "Tasks woken by other threads that wait to be run.", None, Gauge, |of| {
        of.queue as f64
    }),
    ("tidegate_thread_busy", "Time that a thread spent in tasks.", Some(Unit::Seconds), Counter, |of| {
        of.busy.as_secs_f64()
    }),
    ("tidegate_thread_parks", "How often a thread had nothing to do.", None, Counter, |of| of.parks as f64),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Runtime, Standing};
    use crate::leak::Level;
    use crate::metrics::Metrics;
    use crate::resources::{Allocator, Disk, Reading, Traffic};
    use guard::pressure::{self, Memory, Source};
    use std::time::Duration;

    fn standing() -> Standing {
        let memory = Memory { source: Source::Group, used: 300, limit: 400 };
        let pressure = pressure::Reading {
            process_cpu: Some(Duration::from_millis(1500)),
            cores: Some(1.5),
            memory: Some(memory),
            resident: Some(20 << 20),
            ..pressure::Reading::default()
        };
        let reading = Reading {
            pressure,
            open_files: Some(12),
            network: Some(Traffic { in_bytes: 5, out_bytes: 6 }),
            disk: Some(Disk { free_bytes: 7, size_bytes: 8 }),
            ..Reading::default()
        };
        let runtime = Runtime {
            thread: "worker-0".into(),
            tasks: 3,
            busy: Duration::from_millis(2500),
            ..Runtime::default()
        };
        let allocator = Some(Allocator { committed_bytes: 9, reserved_bytes: 10 });
        Standing { reading, allocator, runtimes: vec![runtime], leak: Level::Suspected }
    }

    #[test]
    fn a_scrape_shows_what_is_known_and_nothing_else() {
        let metrics = Metrics::new("0", 1);
        metrics.resources.show(standing());
        let text = metrics.encode().unwrap();
        for line in [
            "process_cpu_seconds_total 1.5",
            "process_resident_memory_bytes 20971520.0",
            "memory_usage_bytes 20971520.0",
            "process_open_fds 12.0",
            "process_network_receive_bytes_total 5.0",
            "tidegate_memory_limit_bytes 400.0",
            "tidegate_cpu_cores 1.5",
            "tidegate_disk_free_bytes 7.0",
            "tidegate_allocator_committed_bytes 9.0",
            "tidegate_memory_leak 1.0",
            r#"tidegate_tasks{thread="worker-0"} 3.0"#,
            r#"tidegate_thread_busy_seconds_total{thread="worker-0"} 2.5"#,
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
        for unknown in ["process_threads", "process_max_fds", "tidegate_storage_read"] {
            assert!(!text.contains(unknown), "{unknown} is in\n{text}");
        }
    }
}
