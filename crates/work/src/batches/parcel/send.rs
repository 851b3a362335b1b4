//! How a parcel comes to its one batch at the provider: its lines are brought, the batch is created, and where nobody
//! heard whether it was, it is found, or made sure that it never will be.

use super::super::courier::{Fault, Order, Remote};
use super::super::stats::Came;
use super::{Carried, Carries, Halt, NOT_THERE, halt};
use std::time::Duration;
use store::parcels::ParcelState;

impl Carries {
    /// Brings the lines to the provider, and has them run.
    pub(super) async fn pack_and_create(&self, carried: &mut Carried<'_>) -> Result<(), Halt> {
        // Whoever says otherwise meanwhile is heard, and each line is asked by itself.
        if !self.is_routed(carried) {
            carried.notes.refused("the configuration does not send it there any more");
            return Ok(());
        }
        match self.pack(carried).await {
            Ok(Ok(Some(file))) => {
                carried.notes.packed(file);
                self.create(carried).await
            }
            Ok(Ok(None)) => {
                carried.notes.emptied();
                Ok(())
            }
            Ok(Err(fault)) => self.weigh(carried, fault).await,
            Err(Halt::Later(_)) if self.has_failed(carried).await? => {
                carried.notes.refused("the gateway has had too much to do for long");
                Ok(())
            }
            Err(halt) => Err(halt),
        }
    }

    /// Has a batch created from the file that is there.
    pub(super) async fn create(&self, carried: &mut Carried<'_>) -> Result<(), Halt> {
        carried.notes.tried(self.clock.now());
        self.write(carried, ParcelState::Open).await?;
        let order = Order {
            file: carried.notes.file.clone().unwrap_or_default(),
            endpoint: carried.batch.endpoint.clone(),
            mark: carried.mark(),
        };
        match self.courier.create(&carried.notes.place, &order).await {
            Ok(remote) => self.created(carried, &remote).await,
            Err(Fault::Passing { why, after }) => {
                tracing::debug!(why, "batches: a provider does not say whether it has created a batch");
                Err(Halt::Later(carried.notes.pause(after)))
            }
            Err(fault) => {
                carried.notes.undone();
                self.weigh(carried, fault).await
            }
        }
    }

    async fn created(&self, carried: &mut Carried<'_>, remote: &Remote) -> Result<(), Halt> {
        carried.notes.created(remote.id.clone(), self.clock.now());
        self.write(carried, ParcelState::Open).await?;
        self.rows.stats.carried(Came::Sent);
        Ok(())
    }

    /// Finds the batch that may have been created; or makes sure that it never will be.
    pub(super) async fn recover(&self, carried: &mut Carried<'_>) -> Result<(), Halt> {
        for is_last in [false, true] {
            match self.courier.find(&carried.notes.place, &carried.mark()).await {
                Ok(Some(remote)) => return self.created(carried, &remote).await,
                Ok(None) if is_last => {}
                Ok(None) => self.forestall(carried).await?,
                Err(fault) => return self.turned_away(carried, fault).await,
            }
        }
        carried.notes.not_created();
        self.write(carried, ParcelState::Open).await
    }

    /// Removes the file, so that a try which is on its way comes to nothing. Where the provider keeps it, the try is
    /// waited for: what it came to can only be found.
    async fn forestall(&self, carried: &Carried<'_>) -> Result<(), Halt> {
        let file = carried.notes.file.clone().unwrap_or_default();
        match self.courier.remove(&carried.notes.place, &file).await {
            Ok(()) | Err(Fault::Unknown) => Ok(()),
            Err(Fault::Refused(_)) => match carried.notes.on_its_way(self.clock.now()) {
                Duration::ZERO => Ok(()),
                left => Err(Halt::Later(left)),
            },
            Err(fault) => Err(halt(&fault)),
        }
    }

    /// A fault that will not pass is the end of the parcel; so is one that does not pass.
    async fn weigh(&self, carried: &mut Carried<'_>, fault: Fault) -> Result<(), Halt> {
        match fault {
            Fault::Refused(why) => carried.notes.refused(&why),
            Fault::Unknown => carried.notes.refused(NOT_THERE),
            fault if self.has_failed(carried).await? => {
                carried.notes.refused(&format!("the provider has been away for long: {fault}"));
            }
            fault => return Err(halt(&fault)),
        }
        Ok(())
    }
}
