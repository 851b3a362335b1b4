//! What does the job that reads a batch's input: cuts it into lines, checks each, and hands them over in groups.
//!
//! Each group is recorded in one step with how far the input is read. A reader that begins anew reads the input from
//! its beginning, so as to know what was there, and hands over what comes after that mark: nothing is lost or there
//! twice, wherever the one before was cut off.

use super::courier::Courier;
use super::group::{Group, Reading};
use super::input::Input;
use super::notes::{Errors, Problem};
use super::parcel::{PARCELS, job_of, parcel_of};
use super::{INPUT_BYTES_MAX, LINE_BYTES_MAX, LINES_MAX, QUEUE, Rows, move_on, outputs};
use crate::Clock;
use crate::context::Context;
use crate::handler::Failed;
use std::sync::Arc;
use store::batches::{Batch, BatchChange, BatchState};
use store::files::File;

/// The handler of readers.
#[derive(Clone)]
pub(super) struct Reads {
    pub rows: Rows,
    pub courier: Option<Arc<dyn Courier>>,
    pub clock: Clock,
}

impl Reads {
    /// Reads what is left of the input, and says how it was.
    pub async fn read(self, context: Context) -> Result<(), Failed> {
        let id = String::from_utf8_lossy(context.payload());
        let batch = self.rows.batches.batch(&id, None).await.map_err(|error| away(&error))?;
        let Some(batch) = batch.filter(|batch| batch.state == BatchState::Validating) else { return Ok(()) };
        let file = self
            .rows
            .files
            .file(&batch.input_file, Some(&batch.tenant))
            .await
            .map_err(|error| away(&error))?;
        if batch.read.line == 0
            && let Some(problem) = self.unfit(&batch, file.as_ref()).await?
        {
            return self.fail(&batch, vec![problem]).await;
        }
        let mut reading = Reading::new(&batch, self.courier.as_deref());
        let input_len = file.map_or(0, |file| file.bytes);
        let whole = self.read_all(&context, &mut reading).await? >= input_len && input_len > 0;
        if !whole {
            reading.note(gone());
        }
        // Where the input is gone, nobody knows what the reader before has handed over.
        if reading.good == 0 && (whole || batch.read.line == 0) {
            return self.fail(&batch, reading.problems).await;
        }
        let errors = (!whole).then(|| Errors::of(vec![gone()]).to_json());
        let change = move_on(&batch, BatchState::InProgress, self.clock.now());
        // Where it stands otherwise meanwhile, there is nothing more to do.
        self.rows
            .batches
            .change(&batch.id, BatchChange { errors, ..change })
            .await
            .map_err(|error| away(&error))?;
        Ok(())
    }

    /// What is wrong with the file as a whole.
    async fn unfit(&self, batch: &Batch, file: Option<&File>) -> Result<Option<Problem>, Failed> {
        let Some(file) = file else { return Ok(Some(gone())) };
        if file.bytes > INPUT_BYTES_MAX {
            let most = INPUT_BYTES_MAX >> 20;
            let message =
                format!("The input file has {} bytes, and no more than {most} MiB are taken.", file.bytes);
            return Ok(Some(Problem::new("file_too_large", message)));
        }
        // Before any is asked, as each that is asked is paid for.
        let (mut input, mut lines) = (self.input(batch), 0);
        while let Some(cut) = input.line().await.map_err(|error| away(&error))? {
            lines += u64::from(!cut.is_blank());
        }
        let message = match lines {
            0 => return Ok(Some(Problem::new("empty_file", "The input file has no line."))),
            1..=LINES_MAX => return Ok(None),
            _ => format!("The input file has {lines} requests, and no more than {LINES_MAX} are taken."),
        };
        Ok(Some(Problem::new("too_many_tasks", message)))
    }

    /// Hands over all lines that were not yet; says how many bytes of the input there are.
    async fn read_all(&self, context: &Context, reading: &mut Reading<'_>) -> Result<u64, Failed> {
        let mut input = self.input(reading.batch);
        while let Some(cut) = input.line().await.map_err(|error| away(&error))? {
            if cut.is_blank() {
                continue;
            }
            if let Some(full) = reading.take(cut, self.clock.now()) {
                self.hand_over(context, reading.batch, full).await?;
            }
        }
        if let Some(last) = reading.rest() {
            self.hand_over(context, reading.batch, last).await?;
        }
        Ok(input.byte())
    }

    async fn hand_over(&self, context: &Context, batch: &Batch, group: Group) -> Result<(), Failed> {
        let (now, Group { from, to, jobs, bad, parcels, .. }) = (self.clock.now(), group);
        // Before their lines: a parcel without any ends by itself.
        for (model, place) in parcels {
            let (parcel, job) = (parcel_of(batch, &model, place, now), job_of(batch, &model, now));
            self.rows.parcels.open(parcel, job, now).await.map_err(|error| away(&error))?;
            context.hints().added(PARCELS, now, now);
        }
        let refused = bad.len() as u64;
        let taken = self
            .rows
            .batches
            .extend(&batch.id, from, to, jobs, bad, now)
            .await
            .map_err(|error| away(&error))?;
        if !taken {
            // Cancelled or expired, or read on by another reader: the next attempt sees which.
            return Err(Failed::passing("moved_on", "the batch has moved on meanwhile"));
        }
        self.rows.stats.ended(false, refused);
        context.hints().added(QUEUE, now, now);
        Ok(())
    }

    /// Nothing of it can be asked.
    async fn fail(&self, batch: &Batch, problems: Vec<Problem>) -> Result<(), Failed> {
        let now = self.clock.now();
        let Some(batch) = self.rows.batches.batch(&batch.id, None).await.map_err(|error| away(&error))?
        else {
            return Ok(());
        };
        let files = outputs::publish(&self.rows, &batch, now).await.map_err(|error| away(&error))?;
        let errors = Some(Errors::of(problems).to_json());
        let change = BatchChange { errors, ..move_on(&batch, BatchState::Failed, now) };
        let change = BatchChange { from: vec![BatchState::Validating], ..files.named_in(change) };
        self.rows.batches.change(&batch.id, change).await.map_err(|error| away(&error))?;
        Ok(())
    }

    fn input(&self, batch: &Batch) -> Input {
        Input::new(Arc::clone(&self.rows.files), &batch.input_file, LINE_BYTES_MAX)
    }
}

fn gone() -> Problem {
    Problem::new("input_file_gone", "The input file was removed before all of it was read.")
}

fn away(error: &store::Error) -> Failed {
    match error.may_pass() {
        true => Failed::passing("store", error.to_string()),
        false => Failed::lasting("store", error.to_string()),
    }
}
