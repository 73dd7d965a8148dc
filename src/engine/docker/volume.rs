//! Volumes, of a size where the Engine can hold them to it.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use bollard::query_parameters::RemoveVolumeOptions;
use tokio::task::JoinSet;

use super::{Docker, DockerError, expected, failed, told};
use crate::plan::docker::Object;

/// Volumes that are removed at once.
const AT_ONCE: usize = 8;

/// Whether the Engine holds volumes to a size, as far as that is known. Podman takes a size for any volume, and then cannot
/// mount it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes(Arc<OnceLock<AtomicBool>>);

impl Docker {
    /// Makes the volume, of a size where the Engine's disk has quotas; where it has none, files have a limit and volumes
    /// do not.
    pub(super) async fn make_volume(&self, object: &Object, octets: u64) -> Result<(), DockerError> {
        let sized = self.sizes.0.get_or_init(|| AtomicBool::new(!self.about.is_podman));
        let octets = sized.load(Ordering::Relaxed).then_some(octets);
        let made = match self.api.create_volume(self.volume(object, octets)).await {
            Err(answer) if octets.is_some() && told(&answer).contains("quota") => {
                sized.store(false, Ordering::Relaxed);
                self.api.create_volume(self.volume(object, None)).await
            }
            made => made,
        };
        made.map(drop).map_err(failed("create the volume"))
    }

    /// Removes volumes, some at once; `tell` hears of each that is gone. Those that stay come back, with the reason.
    pub(super) async fn remove_volumes(
        &self,
        volumes: &[String],
        mut tell: impl FnMut(&str),
    ) -> Vec<(String, DockerError)> {
        let mut under_way: JoinSet<(String, Result<(), DockerError>)> = JoinSet::new();
        let (mut waiting, mut stay) = (volumes.iter().cloned(), Vec::new());
        loop {
            while under_way.len() < AT_ONCE {
                let Some(volume) = waiting.next() else { break };
                let api = self.api.clone();
                under_way.spawn(async move {
                    let removed = api.remove_volume(&volume, None::<RemoveVolumeOptions>).await;
                    let removed = expected(removed, &[404]).map_err(failed("remove"));
                    (volume, removed)
                });
            }
            match under_way.join_next().await {
                None => return stay,
                Some(Ok((volume, Ok(())))) => tell(&volume),
                Some(Ok((volume, Err(problem)))) => stay.push((volume, problem)),
                // What a task did not come to is still there, and said to be.
                Some(Err(_)) => {}
            }
        }
    }
}
