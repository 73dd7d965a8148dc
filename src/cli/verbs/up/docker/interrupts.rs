//! Ctrl-C: the first lets what is under way come to its end, the second does not wait for it. Wherever it stops, the next
//! `up` goes on from there.

use std::cell::Cell;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::cli::error::Error;

/// Interrupts since the verb began: Ctrl-C, or a SIGTERM.
pub struct Interrupts {
    count: watch::Receiver<u32>,
    /// Whether something is under way that should come to its end.
    patient: Cell<bool>,
}

impl Interrupts {
    /// Listens from now on.
    pub fn listen() -> Result<Self, Error> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
        let (send, count) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                send.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count, patient: Cell::new(false) })
    }

    /// Returns at an interrupt, which has `work` come to its end by itself.
    pub async fn patiently<T>(&self, work: impl AsyncFnOnce(&Self) -> T) -> T {
        self.patient.set(true);
        let done = work(self).await;
        self.patient.set(false);
        done
    }

    /// Returns once there were so many.
    pub async fn reach(&self, wanted: u32) {
        // The sender lives as long as the runtime does.
        let _ = self.count.clone().wait_for(|count| *count >= wanted).await;
    }

    /// Returns when the verb should end wherever it is.
    pub async fn give_up(&self) {
        self.reach(1).await;
        if self.patient.get() {
            self.reach(2).await;
        }
    }
}
