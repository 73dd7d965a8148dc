//! Taking a lab away, by its labels alone, also one that is half there; then looking whether anything is left.

use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};
use tokio::task::JoinSet;

use super::{Docker, DockerError, expected, failed, labels};

/// Objects at once: removing a network mostly waits.
const AT_ONCE: usize = 8;

impl Docker {
    /// Removes containers, then networks, with `purge` then volumes; how many objects there were. What is still there is
    /// an error that names it.
    pub async fn down(&self, purge: bool) -> Result<usize, DockerError> {
        let observed = self.observe().await?;
        let mut removed = 0;
        for networks in [false, true] {
            let mut under_way: JoinSet<()> = JoinSet::new();
            for (object, found) in &observed.objects {
                if object.role.is_network() != networks {
                    continue;
                }
                if under_way.len() == AT_ONCE {
                    under_way.join_next().await;
                }
                let (docker, object, id) = (self.clone(), object.clone(), found.id.clone());
                // What could not be removed is found below.
                under_way.spawn(async move { drop(docker.remove(&object, &id).await) });
                removed += 1;
            }
            while under_way.join_next().await.is_some() {}
        }
        let volumes = if purge { self.remove_volumes().await? } else { 0 };
        let left = self.observe().await?;
        let mut left: Vec<String> = left.objects.keys().map(ToString::to_string).collect();
        if purge {
            left.extend(self.volumes().await?.into_iter().map(|volume| format!("volume `{volume}`")));
        }
        if left.is_empty() { Ok(removed + volumes) } else { Err(DockerError::Left { left }) }
    }

    /// Whether there is anything for [`Docker::down`] to remove.
    pub async fn has_any(&self, purge: bool) -> Result<bool, DockerError> {
        Ok(!self.observe().await?.objects.is_empty() || (purge && !self.volumes().await?.is_empty()))
    }

    async fn remove_volumes(&self) -> Result<usize, DockerError> {
        let volumes = self.volumes().await?;
        for volume in &volumes {
            let removed = self.api.remove_volume(volume, None::<RemoveVolumeOptions>).await;
            expected(removed, &[404, 409]).map_err(failed(format!("remove volume `{volume}`")))?;
        }
        Ok(volumes.len())
    }

    /// The lab's volumes, which `down` without `purge` keeps.
    async fn volumes(&self) -> Result<Vec<String>, DockerError> {
        let filters = Some(labels::filter(&self.lab, &self.owner));
        let listed = self.api.list_volumes(Some(ListVolumesOptions { filters })).await;
        let volumes = listed.map_err(failed("list the volumes"))?.volumes.unwrap_or_default();
        Ok(volumes.into_iter().map(|volume| volume.name).collect())
    }
}
