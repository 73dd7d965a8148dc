//! Which Engine has a lab, and whose labs an Engine has. An Engine is known by an id that the first `up` keeps in the label of
//! a volume there: what Engines call themselves changes with an upgrade, and with each call where it is Podman.

use std::collections::{BTreeSet, HashMap};

use bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions},
};

use super::{Docker, DockerError, Owner, expected, failed, labels};
use crate::engine::state::{Home, random_id};

/// What the volume is called.
const VOLUME: &str = "labctl.engine";

type Filters = HashMap<String, Vec<String>>;

impl Docker {
    /// Says that this Engine has the lab: what to remember of it.
    pub async fn claim(&self) -> Result<Home, DockerError> {
        let place = self.place.to_string();
        if let Some(id) = self.id().await? {
            return Ok(Home { id, place });
        }
        // A volume that somebody pruned is made again with the id it had, where this is still the Engine it was.
        let known = self.dir.record()?.and_then(|record| record.home);
        let known = match known {
            Some(home) if self.has_ours().await? => Some(home.id),
            Some(_) | None => None,
        };
        let id = known.map_or_else(random_id, Ok)?;
        let labels = [(labels::ENGINE.to_owned(), id.clone())].into();
        let request = VolumeCreateRequest { name: Some(VOLUME.into()), labels: Some(labels), ..Default::default() };
        self.api.create_volume(request).await.map_err(failed("create the volume that names the Engine"))?;
        // Of two that make it at once one is first, and what stands there then is the id.
        Ok(Home { id: self.id().await?.unwrap_or(id), place })
    }

    /// Whether this is the Engine that has the lab. Where the volume with the id is gone, what is there of ours will do.
    async fn is_home(&self, home: &Home) -> Result<bool, DockerError> {
        match self.id().await? {
            Some(id) => Ok(id == home.id),
            None => self.has_ours().await,
        }
    }

    /// Which Engine has the lab, where it is not this one.
    pub async fn not_home(&self) -> Result<Option<Home>, DockerError> {
        match self.dir.record()?.and_then(|record| record.home) {
            Some(home) if !self.is_home(&home).await? => Ok(Some(home)),
            Some(_) | None => Ok(None),
        }
    }

    /// Takes the volume with the id away, where the Engine has nothing of anybody's labs any more.
    pub async fn release(&self) -> Result<(), DockerError> {
        if !self.owners_by(&[("label".to_owned(), vec![labels::LAB.to_owned()])].into()).await?.is_empty() {
            return Ok(());
        }
        // Somebody's `up` may come between; who does not find the volume makes it again.
        let removed = self.api.remove_volume(VOLUME, None::<RemoveVolumeOptions>).await;
        expected(removed, &[404, 409]).map_err(failed("remove the volume that names the Engine"))
    }

    /// The same lab, of an owner with an id: one is drawn where the state directory has none yet.
    pub fn owned(mut self) -> Result<Self, DockerError> {
        self.owner.id = self.dir.state().owner_or_new()?;
        Ok(self)
    }

    /// Whose labs of this name the Engine has, but our own.
    pub async fn other_owners(&self) -> Result<BTreeSet<Owner>, DockerError> {
        let mut owners = self.owners_by(&labels::filter_of_all(&self.lab)).await?;
        owners.retain(|owner| owner.id != self.owner.id);
        Ok(owners)
    }

    /// Whether it may be us: a state directory that was called as ours is, on a machine called as ours is, and that was lost.
    pub fn has_lost(&self, owner: &Owner) -> bool {
        owner.called == self.owner.called
    }

    async fn has_ours(&self) -> Result<bool, DockerError> {
        Ok(!self.owners_by(&labels::filter(&self.lab, &self.owner.id)).await?.is_empty())
    }

    /// The id of the Engine; none where nobody brought a lab up there.
    async fn id(&self) -> Result<Option<String>, DockerError> {
        let filters = Some([("label".to_owned(), vec![labels::ENGINE.to_owned()])].into());
        let listed = self.api.list_volumes(Some(ListVolumesOptions { filters })).await;
        let volumes = listed.map_err(failed("ask which Engine it is"))?.volumes.unwrap_or_default();
        let named = volumes.into_iter().find(|volume| volume.name == VOLUME);
        Ok(named.and_then(|mut volume| volume.labels.remove(labels::ENGINE)))
    }

    /// Whose the objects are that a filter lets through.
    async fn owners_by(&self, filters: &Filters) -> Result<BTreeSet<Owner>, DockerError> {
        let what = || failed("list the labs that it has");
        let of = || Some(filters.clone());
        let containers = ListContainersOptions { all: true, filters: of(), ..Default::default() };
        let containers = self.api.list_containers(Some(containers)).await.map_err(what())?;
        let networks = self.api.list_networks(Some(ListNetworksOptions { filters: of() })).await.map_err(what())?;
        let volumes = self.api.list_volumes(Some(ListVolumesOptions { filters: of() })).await.map_err(what())?;
        let containers = containers.into_iter().filter_map(|container| container.labels);
        let networks = networks.into_iter().filter_map(|network| network.labels);
        let volumes = volumes.volumes.unwrap_or_default().into_iter().map(|volume| volume.labels);
        Ok(containers.chain(networks).chain(volumes).filter_map(|labels| labels::owner(&labels)).collect())
    }
}
