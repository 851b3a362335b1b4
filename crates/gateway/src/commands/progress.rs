//! How a run under way is shown, on stderr: a bar on a terminal, now and then a line elsewhere, or nothing.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two looks at a bar.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Faults told one by one; a file of them would scroll everything else away.
const FAULTS_MAX: u64 = 20;

/// How a run is shown.
pub(super) struct Progress {
    way: Way,
    began: Instant,
    faults: u64,
}

enum Way {
    Nothing,
    Bar { bar: ProgressBar, shown: Option<Instant> },
    Lines { every: Duration, shown: Instant },
}

impl Progress {
    /// Nothing is shown but faults.
    pub(super) fn none() -> Self {
        Self::new(Way::Nothing)
    }

    /// A line now and then.
    pub(super) fn lines(every: Duration) -> Self {
        Self::new(Way::Lines { every, shown: Instant::now() })
    }

    /// A bar over so much, where that is known.
    pub(super) fn bar(total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => "  {bar:32} {percent:>3} %  {msg} · {eta} left",
            None => "  {spinner} {msg}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(style.progress_chars("━╸─"));
        Self::new(Way::Bar { bar, shown: None })
    }

    fn new(way: Way) -> Self {
        Self { way, began: Instant::now(), faults: 0 }
    }

    /// Since the run began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// An earlier run came as far as this: what is left is told by how fast this one is.
    pub(super) fn resume(&self, done: u64) {
        if let Way::Bar { bar, .. } = &self.way {
            bar.set_position(done);
            bar.reset_eta();
        }
    }

    /// The run is here: so much is done, and `line` says the rest of it. May be called for every step.
    pub(super) fn at(&mut self, done: u64, line: impl FnOnce(Duration) -> String) {
        let elapsed = self.began.elapsed();
        match &mut self.way {
            Way::Bar { bar, shown } if shown.is_none_or(|shown| shown.elapsed() >= BAR_EVERY) => {
                *shown = Some(Instant::now());
                bar.set_message(line(elapsed));
                bar.set_position(done);
            }
            Way::Lines { every, shown } if shown.elapsed() >= *every => {
                *shown = Instant::now();
                eprintln!("{}", line(elapsed));
            }
            Way::Nothing | Way::Bar { .. } | Way::Lines { .. } => {}
        }
    }

    /// Tells one fault, unless many have been told.
    pub(super) fn fault(&mut self, text: &str) {
        self.faults += 1;
        match self.faults {
            ..=FAULTS_MAX => self.tell(text),
            number if number == FAULTS_MAX + 1 => self.tell("further faults are only counted"),
            _ => {}
        }
    }

    /// Tells something beside the progress.
    pub(super) fn tell(&self, text: &str) {
        match &self.way {
            Way::Bar { bar, .. } => bar.suspend(|| eprintln!("{text}")),
            _ => eprintln!("{text}"),
        }
    }

    /// The run is over.
    pub(super) fn over(&self) {
        if let Way::Bar { bar, .. } = &self.way {
            bar.finish_and_clear();
        }
    }
}
