//! How a run under way is shown, on stderr: a bar on a terminal, now and then a line elsewhere, or nothing.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::Tally;

/// Between two lines.
const LINES_EVERY: Duration = Duration::from_secs(5);
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
    Bar(ProgressBar),
    Lines(Instant),
}

impl Progress {
    /// Nothing is shown but faults.
    pub(super) fn none() -> Self {
        Self::new(Way::Nothing)
    }

    /// A line every few seconds.
    pub(super) fn lines() -> Self {
        Self::new(Way::Lines(Instant::now()))
    }

    /// A bar over the file's bytes, where their number is known.
    pub(super) fn bar(bytes: Option<u64>) -> Self {
        let template = match bytes {
            Some(_) => "  {bar:32} {percent:>3} %  {msg} · {eta} left",
            None => "  {spinner} {msg}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
        bar.set_style(style.progress_chars("━╸─"));
        Self::new(Way::Bar(bar))
    }

    fn new(way: Way) -> Self {
        Self { way, began: Instant::now(), faults: 0 }
    }

    /// Since the run began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The run is here: so many bytes of the file are done.
    pub(super) fn at(&mut self, bytes: u64, tally: &Tally) {
        let elapsed = self.began.elapsed();
        match &mut self.way {
            Way::Nothing => {}
            Way::Bar(bar) => {
                bar.set_message(tally.line(elapsed));
                bar.set_position(bytes);
            }
            Way::Lines(last) if last.elapsed() >= LINES_EVERY => {
                *last = Instant::now();
                eprintln!("{}", tally.line(elapsed));
            }
            Way::Lines(_) => {}
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
            Way::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            _ => eprintln!("{text}"),
        }
    }

    /// The run is over.
    pub(super) fn over(&self) {
        if let Way::Bar(bar) = &self.way {
            bar.finish_and_clear();
        }
    }
}
