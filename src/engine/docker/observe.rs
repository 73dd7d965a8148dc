//! What an Engine has of a lab, looked at once: one listing of containers and one of networks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    fs,
    net::Ipv4Addr,
};

use bollard::{
    models::{ContainerSummary, ContainerSummaryStateEnum, EndpointSettings, Network},
    query_parameters::{ListContainersOptions, ListNetworksOptions},
};

use super::{Docker, DockerError, failed, labels, make};
use crate::{
    lab::{GroupName, Login, Subnet},
    plan::docker::{CONFIGURATION, Found, Object, Observed, Role, State, Taken},
};

impl Docker {
    /// The lab's objects, and whose addresses the others are.
    pub async fn observe(&self) -> Result<Observed, DockerError> {
        let (networks, containers) =
            tokio::try_join!(self.networks(), self.containers(labels::filter(&self.lab, &self.owner.id)))?;
        let ids: BTreeMap<String, String> =
            networks.iter().filter_map(|network| Some((network.name.clone()?, network.id.clone()?))).collect();
        let mut observed = Observed::default();
        let mut all: Vec<(Object, Found)> = Vec::new();
        for network in &networks {
            match self.own_network(network) {
                Some(own) => all.push(own),
                None => observed.taken.extend(taken(network)),
            }
        }
        if self.place.is_local() {
            let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
            observed.taken.extend(routes(&read("/proc/net/route"), &observed.taken));
            observed.ports =
                ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().flat_map(|table| listening(&read(table))).collect();
        }
        all.extend(containers.into_iter().filter_map(|container| own_container(container, &ids)));
        (observed.objects, observed.doubles) = told_apart(all);
        Ok(observed)
    }

    /// The lab's servers that run, by group.
    pub(super) async fn running_servers(&self) -> Result<BTreeMap<GroupName, String>, DockerError> {
        let running = self.observe().await?.objects.into_iter().filter(|(_, found)| found.state == State::Running);
        let servers = running.filter(|(object, _)| object.role == Role::Server);
        Ok(servers.filter_map(|(object, found)| Some((object.group?, found.id))).collect())
    }

    /// The container of a student, looked for alone: a shell should open at once also in a large class.
    pub(super) async fn client_of(&self, group: &GroupName, login: &Login) -> Result<(Object, Found), DockerError> {
        let client = Object::of(group, Role::Client(login.clone()));
        let containers = self.containers(labels::filter_of(&self.lab, &self.owner.id, &client)).await?;
        let found = containers.into_iter().filter_map(|container| own_container(container, &BTreeMap::new()));
        let mut found = found.filter(|(object, _)| *object == client);
        found.next().ok_or_else(|| DockerError::NotRunning { object: client.to_string() })
    }

    async fn networks(&self) -> Result<Vec<Network>, DockerError> {
        let listed = self.api.list_networks(None::<ListNetworksOptions>).await;
        listed.map_err(failed("list the networks"))
    }

    async fn containers(&self, filters: HashMap<String, Vec<String>>) -> Result<Vec<ContainerSummary>, DockerError> {
        let filters = Some(filters);
        let listed = self.api.list_containers(Some(ListContainersOptions { all: true, filters, ..Default::default() }));
        listed.await.map_err(failed("list the containers"))
    }

    fn own_network(&self, network: &Network) -> Option<(Object, Found)> {
        let labels = network.labels.as_ref().filter(|labels| labels::are_of(labels, &self.lab, &self.owner.id))?;
        let (object, parts) = labels::read(labels)?;
        let id = network.id.clone()?;
        Some((object, Found { id, parts, state: State::Running, networks: BTreeSet::new(), frozen: false }))
    }
}

/// What a container is; none where its labels are not labctl's. `ids` has the networks' by name.
fn own_container(container: ContainerSummary, ids: &BTreeMap<String, String>) -> Option<(Object, Found)> {
    let (object, mut parts) = container.labels.as_ref().and_then(labels::read)?;
    if let Some(told) = told(&container) {
        parts.insert(CONFIGURATION.to_owned(), told);
    }
    let frozen = name(&container).is_some_and(|name| name.starts_with(make::FROZEN));
    let networks = networks_of(&container, ids);
    let (id, state) = (container.id.unwrap_or_default(), state(container.state));
    Some((object, Found { id, parts, state, networks, frozen }))
}

/// Of several that say that they are the same object, the one that counts is what runs, or what most containers are on.
fn told_apart(mut all: Vec<(Object, Found)>) -> (BTreeMap<Object, Found>, BTreeMap<Object, Vec<Found>>) {
    let mut on: BTreeMap<String, usize> = BTreeMap::new();
    for network in all.iter().flat_map(|(_, found)| &found.networks) {
        *on.entry(network.clone()).or_default() += 1;
    }
    let counts = |found: &Found| (found.state == State::Running, on.get(&found.id).copied().unwrap_or(0));
    all.sort_by(|(a, first), (b, second)| {
        a.cmp(b).then_with(|| counts(second).cmp(&counts(first))).then_with(|| first.id.cmp(&second.id))
    });
    let (mut objects, mut doubles) = (BTreeMap::new(), BTreeMap::<Object, Vec<Found>>::new());
    for (object, found) in all {
        match objects.entry(object) {
            Entry::Vacant(first) => drop(first.insert(found)),
            Entry::Occupied(first) => doubles.entry(first.key().clone()).or_default().push(found),
        }
    }
    (objects, doubles)
}

/// Which configuration a server was last told. It changes while the server runs and labels cannot, so it stands at the end
/// of the name, the only thing about a container that can be changed and that a listing shows.
fn told(container: &ContainerSummary) -> Option<String> {
    name(container)?.rsplit_once(make::TOLD).map(|(_, digest)| digest.to_owned())
}

fn name(container: &ContainerSummary) -> Option<&str> {
    Some(container.names.as_ref()?.first()?.trim_start_matches('/'))
}

/// The networks that a container is on; one that never ran knows them by name only. A name that nothing has any more
/// stands for itself, so that the container is not taken for one that is on the right ones.
fn networks_of(container: &ContainerSummary, ids: &BTreeMap<String, String>) -> BTreeSet<String> {
    let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let id = |(name, endpoint): (&String, &EndpointSettings)| {
        // Podman writes the name there.
        let id = endpoint.network_id.clone().filter(|id| !id.is_empty());
        let id = id.map(|id| ids.get(&id).cloned().unwrap_or(id));
        id.or_else(|| ids.get(name).cloned()).unwrap_or_else(|| name.clone())
    };
    networks.into_iter().flatten().map(id).collect()
}

/// Ports on which somebody listens (proc(5), `/proc/net/tcp`: state 0A), at whatever address.
fn listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok().filter(|_| fields.get(3) == Some(&"0A"))
    };
    table.lines().skip(1).filter_map(port).collect()
}

fn state(state: Option<ContainerSummaryStateEnum>) -> State {
    use ContainerSummaryStateEnum as Engine;
    match state {
        Some(Engine::RUNNING) => State::Running,
        Some(Engine::PAUSED) => State::Paused,
        Some(Engine::CREATED | Engine::EXITED | Engine::EMPTY) | None => State::Stopped,
        Some(Engine::RESTARTING | Engine::REMOVING | Engine::DEAD | Engine::STOPPING) => State::Broken,
    }
}

fn taken(network: &Network) -> Vec<Taken> {
    let by = format!("network `{}`", network.name.as_deref().unwrap_or_default());
    let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    let subnets = configs.filter_map(|config| config.subnet.as_deref()?.parse().ok());
    subnets.map(|subnet| Taken { subnet, by: by.clone() }).collect()
}

/// The host's routes (proc(5), `/proc/net/route`) but the default one and those to the Engine's networks.
fn routes(table: &str, known: &[Taken]) -> Vec<Taken> {
    let octets = |hexadecimal: &str| u32::from_str_radix(hexadecimal, 16).ok().map(u32::from_be);
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (by, address, mask) = (fields.first()?, octets(fields.get(1)?)?, octets(fields.get(7)?)?);
        let prefix = u8::try_from(mask.leading_ones()).ok().filter(|prefix| *prefix > 0)?;
        let subnet = Subnet::new(Ipv4Addr::from(address), prefix);
        Some(Taken { subnet, by: format!("the host's route by `{by}`") })
    };
    let routes = table.lines().skip(1).filter_map(route);
    routes.filter(|route| known.iter().all(|known| known.subnet != route.subnet)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_the_one_that_is_in_use_counts() {
        let object = |role| Object::of(&"g01".parse().unwrap(), role);
        let found = |id: &str, state, network: Option<&str>| {
            let networks = network.into_iter().map(str::to_owned).collect();
            Found { state, networks, ..Found::running(id) }
        };
        let client = || object(Role::Client("ana".parse().unwrap()));
        let all = vec![
            (object(Role::Network), found("n1", State::Running, None)),
            (object(Role::Network), found("n2", State::Running, None)),
            (client(), found("c1", State::Stopped, None)),
            (client(), found("c2", State::Running, Some("n2"))),
        ];
        let (objects, doubles) = told_apart(all);
        let ids = |found: &[Found]| found.iter().map(|found| found.id.clone()).collect::<Vec<_>>();
        assert_eq!((objects[&object(Role::Network)].id.as_str(), objects[&client()].id.as_str()), ("n2", "c2"));
        assert_eq!(ids(&doubles[&object(Role::Network)]), ["n1"]);
        assert_eq!(ids(&doubles[&client()]), ["c1"]);
    }

    #[test]
    fn routes_of_the_host_are_read_and_the_default_one_is_none() {
        let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                     eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n\
                     tun0 00004D0A 00000000 0001 0 0 0 0000FFFF 0 0 0\n";
        let read: Vec<String> =
            routes(table, &[]).iter().map(|taken| format!("{} {}", taken.subnet, taken.by)).collect();
        assert_eq!(read, ["10.77.0.0/16 the host's route by `tun0`"]);
    }

    #[test]
    fn ports_that_somebody_listens_on_are_read_and_connections_are_none() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                     0: 0100007F:4E20 00000000:0000 0A 00000000:00000000\n\
                     1: 0100007F:4E21 0100007F:4E20 01 00000000:00000000\n";
        assert_eq!(listening(table), BTreeSet::from([20_000]));
    }
}
