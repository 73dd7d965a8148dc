//! The planner against a world that is one function: what an Engine has after a step.

use std::collections::BTreeMap;

use super::*;
use crate::{
    lab::{Lab, Service, containers::Start},
    plan::resolve::tests::{key, lab},
};

fn plan(lab: &Lab, observed: &Observed) -> (Desired, Vec<Step>) {
    let layouts = layouts(lab, observed, Subnet::default_pool()).expect("room");
    let images = Images { server: "server:1".into(), client: "client:1".into() };
    let desired = desired(lab, &key(), &layouts, &images, |_| Ok::<_, std::convert::Infallible>(None)).unwrap();
    let steps = steps(&desired, observed);
    (desired, steps)
}

/// The world. The Engine refuses what Engines refuse: a second object, a network in use, a container without its network.
fn world(step: &Step, desired: &Desired, mut observed: Observed) -> Observed {
    let objects = &mut observed.objects;
    match step.action {
        Action::Remove => {
            let gone = objects.remove(&step.object).expect("only what is there is removed");
            leave(step, &gone, &mut observed);
        }
        Action::RemoveDoubles => {
            let gone = observed.doubles.remove(&step.object).expect("only what is there is removed");
            for gone in &gone {
                leave(step, gone, &mut observed);
            }
        }
        Action::Create => {
            let number = objects.values().map(|found| found.id.parse().unwrap_or(0)).max().unwrap_or(0) + 1;
            let spec = &desired[&step.object];
            let own = Object { group: step.object.group.clone(), role: Role::Network };
            let shared = spec.shared().map(|role| Object { group: None, role: role.clone() });
            let on: Vec<Object> = [own].into_iter().filter(|_| !step.object.role.is_network()).chain(shared).collect();
            let networks = on.iter().map(|network| objects[network].id.clone()).collect();
            let state = if spec.is_on_demand() { State::Stopped } else { State::Running };
            let found = Found { parts: spec.parts(), state, networks, ..Found::running(&number.to_string()) };
            assert!(objects.insert(step.object.clone(), found).is_none(), "{step}: there is one");
        }
        Action::Start => {
            let found = objects.get_mut(&step.object).expect("only what is there starts");
            (found.state, found.parts) = (State::Running, desired[&step.object].parts());
        }
        Action::Resume => objects.get_mut(&step.object).expect("only what is there resumes").state = State::Running,
        Action::Freeze => objects.get_mut(&step.object).expect("only what is there is frozen").state = State::Paused,
        Action::Update => {
            let found = objects.get_mut(&step.object).expect("only what is there is told");
            assert_eq!((found.state, &step.object.role), (State::Running, &Role::Server), "{step}");
            found.parts = desired[&step.object].parts();
        }
    }
    observed
}

/// Nobody may be on a network that goes, but servers on one of the whole lab, which are taken off it.
fn leave(step: &Step, gone: &Found, observed: &mut Observed) {
    for found in observed.objects.values_mut().chain(observed.doubles.values_mut().flatten()) {
        let used = found.networks.remove(&gone.id);
        assert!(!used || step.object.group.is_none(), "{step}: in use");
    }
}

fn perform(steps: &[Step], desired: &Desired, observed: Observed) -> Observed {
    steps.iter().fold(observed, |observed, step| world(step, desired, observed))
}

/// Labs in the order in which an instructor may come to them.
fn labs() -> Vec<Lab> {
    let many: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut relay = lab(&[("g01", &["ana", "ben"])]);
    relay.settings.relay = true;
    let mut published = lab(&[("g01", &["ana", "ben"]), ("g02", &["eva"])]);
    published.docker.publish = Some([127, 0, 0, 1].into());
    let mut on_demand = lab(&[("g01", &["ana", "ben"])]);
    on_demand.docker.clients = Start::OnDemand;
    on_demand.docker.internet = true;
    vec![
        lab(&[("g01", &["ana", "ben"])]),
        lab(&[("g01", &["ana", "ben"]), ("g02", &["eva"])]),
        lab(&[("g02", &["eva", "leo"]), ("g03", &[])]),
        lab(&[("g01", &many)]),
        relay,
        published,
        on_demand,
    ]
}

/// What an Engine may have: each lab, up, and then damaged in one place.
fn worlds() -> Vec<Observed> {
    let mut worlds = vec![Observed::default()];
    for lab in labs() {
        let (desired, steps) = plan(&lab, &Observed::default());
        let up = perform(&steps, &desired, Observed::default());
        for object in up.objects.keys() {
            let mut without = up.clone();
            without.objects.remove(object);
            worlds.push(without);
            for state in [State::Stopped, State::Paused, State::Broken] {
                let mut damaged = up.clone();
                if !object.role.is_network() {
                    damaged.objects.get_mut(object).expect("of the same world").state = state;
                    worlds.push(damaged);
                }
            }
            worlds.push(doubled(&up, object));
            let mut cut = up.clone();
            cut.objects.get_mut(object).expect("of the same world").networks.clear();
            worlds.push(cut);
            for state in [State::Running, State::Stopped, State::Paused] {
                let mut frozen = up.clone();
                let found = frozen.objects.get_mut(object).expect("of the same world");
                if matches!(object.role, Role::Client(_)) {
                    (found.frozen, found.state) = (true, state);
                    worlds.push(frozen);
                }
            }
        }
        worlds.push(up);
    }
    worlds
}

/// The same with a second one of an object; if that is a network, clients of its group are on the second.
fn doubled(up: &Observed, object: &Object) -> Observed {
    let mut doubled = up.clone();
    let double = Found { id: "double".into(), ..up.objects[object].clone() };
    doubled.doubles.insert(object.clone(), vec![double]);
    for (other, found) in &mut doubled.objects {
        if object.role == Role::Network && other.group == object.group && matches!(other.role, Role::Client(_)) {
            found.networks = ["double".to_owned()].into();
        }
    }
    doubled
}

#[test]
fn planning_again_after_performing_finds_nothing() {
    for before in worlds() {
        for to in labs() {
            let (desired, steps) = plan(&to, &before);
            let after = perform(&steps, &desired, before.clone());
            assert_eq!(plan(&to, &after).1, []);
            assert!(after.objects.keys().eq(desired.keys()) && after.doubles.is_empty());
        }
    }
}

#[test]
fn stopping_after_any_prefix_still_converges() {
    for before in worlds() {
        let to = &labs()[1];
        let (desired, steps) = plan(to, &before);
        for cut in 0..=steps.len() {
            let halfway = perform(&steps[..cut], &desired, before.clone());
            let (again, rest) = plan(to, &halfway);
            let after = perform(&rest, &again, halfway);
            assert_eq!(plan(to, &after).1, []);
        }
    }
}

#[test]
fn every_group_can_be_performed_beside_the_others() {
    for before in worlds() {
        let to = &labs()[1];
        let (desired, steps) = plan(to, &before);
        let mut by_group: BTreeMap<&Option<GroupName>, Vec<Step>> = BTreeMap::new();
        for step in &steps {
            by_group.entry(&step.object.group).or_default().push(step.clone());
        }
        // Those of the whole lab come first, in whatever order groups come.
        let whole_lab = by_group.remove(&None).unwrap_or_default();
        let reversed: Vec<Step> = whole_lab.into_iter().chain(by_group.into_values().rev().flatten()).collect();
        let after = perform(&reversed, &desired, before.clone());
        assert_eq!(plan(to, &after).1, []);
    }
}

#[test]
fn a_plan_reads_like_a_to_do_list() {
    let before = &labs()[0];
    let (desired, first) = plan(before, &Observed::default());
    assert_eq!(
        read(&first),
        [
            "create network `g01`: there is none",
            "create server `g01`: there is none",
            "create client `g01/ana`: there is none",
            "create client `g01/ben`: there is none",
        ]
    );
    let mut up = perform(&first, &desired, Observed::default());
    let ben = client("ben");
    up.objects.get_mut(&ben).expect("created").state = State::Stopped;
    let (_, steps) = plan(&lab(&[("g01", &["ben"]), ("g02", &[])]), &up);
    assert_eq!(
        read(&steps),
        [
            "remove client `g01/ana`: the lab has no such student",
            "update server `g01`: its configuration changed",
            "start client `g01/ben`: it does not run",
            "create network `g02`: there is none",
            "create server `g02`: there is none",
        ]
    );
}

#[test]
fn who_stays_keeps_the_address() {
    let before = lab(&[("g01", &["ana", "ben", "eva"])]);
    let (desired, steps) = plan(&before, &Observed::default());
    let up = perform(&steps, &desired, Observed::default());
    let (after, steps) = plan(&lab(&[("g01", &["abe", "ben", "eva"])]), &up);
    assert_eq!(after[&client("ben")], desired[&client("ben")]);
    assert!(!steps.iter().any(|step| step.object == client("ben") || step.object == client("eva")));
}

fn client(login: &str) -> Object {
    Object::of(&"g01".parse().unwrap(), Role::Client(login.parse().unwrap()))
}

fn up(lab: &Lab) -> Observed {
    let (desired, steps) = plan(lab, &Observed::default());
    perform(&steps, &desired, Observed::default())
}

fn read(steps: &[Step]) -> Vec<String> {
    steps.iter().map(Step::to_string).collect()
}

#[test]
fn a_changed_limit_makes_only_what_it_limits_again_and_says_why() {
    let mut lab = lab(&[("g01", &["ana", "ben"])]);
    let up = up(&lab);
    lab.docker.client.memory = 1 << 30;
    let why = "its memory was `512 MiB` and is `1 GiB`";
    let expected =
        ["remove client `g01/ana`", "remove client `g01/ben`", "create client `g01/ana`", "create client `g01/ben`"];
    assert_eq!(read(&plan(&lab, &up).1), expected.map(|step| format!("{step}: {why}")));
    lab.docker.client.memory = 512 << 20;
    lab.docker.server.millicpus = 500;
    let why = "its cpus was `1` and is `0.5`";
    let expected = ["remove server `g01`", "create server `g01`"];
    assert_eq!(read(&plan(&lab, &up).1), expected.map(|step| format!("{step}: {why}")));
}

#[test]
fn what_is_frozen_stays_frozen_and_as_it_is() {
    let mut lab = lab(&[("g01", &["ana", "ben"])]);
    let mut up = up(&lab);
    let ana = up.objects.get_mut(&client("ana")).expect("created");
    (ana.frozen, ana.state) = (true, State::Paused);
    lab.docker.client.processes = 64;
    let (_, steps) = plan(&lab, &up);
    assert!(!steps.is_empty() && steps.iter().all(|step| step.object == client("ben")), "{steps:?}");
    // A reboot lets it go on.
    up.objects.get_mut(&client("ana")).expect("created").state = State::Running;
    assert_eq!(
        read(&plan(&lab, &up).1).last().map(String::as_str),
        Some("create client `g01/ben`: its processes was `128` and is `64`")
    );
    assert!(read(&plan(&lab, &up).1).contains(&"freeze client `g01/ana`: it was frozen".to_owned()));
    assert_eq!(up.frozen().map(ToString::to_string).collect::<Vec<_>>(), ["ana"]);
}

#[test]
fn a_client_on_demand_waits_and_is_left_running_once_it_was_needed() {
    let mut lab = lab(&[("g01", &["ana"])]);
    let mut up = up(&lab);
    lab.docker.clients = Start::OnDemand;
    assert_eq!(read(&plan(&lab, &up).1), Vec::<String>::new());
    up.objects.get_mut(&client("ana")).expect("created").state = State::Stopped;
    assert_eq!(read(&plan(&lab, &up).1), Vec::<String>::new());
    lab.docker.clients = Start::Always;
    assert_eq!(read(&plan(&lab, &up).1), ["start client `g01/ana`: it does not run"]);
}

#[test]
fn a_backbone_comes_before_the_servers_that_join_it_and_goes_without_them() {
    let mut lab = lab(&[("g01", &[])]);
    let before = up(&lab);
    lab.settings.relay = true;
    let (desired, steps) = plan(&lab, &before);
    let why = "its network is another one";
    let expected = [
        "create the servers' backbone: there is none".to_owned(),
        format!("remove server `g01`: {why}"),
        format!("create server `g01`: {why}"),
    ];
    assert_eq!(read(&steps), expected);
    let after = perform(&steps, &desired, before);
    lab.settings.relay = false;
    assert_eq!(read(&plan(&lab, &after).1)[0], "remove the servers' backbone: the lab has no relay");
}

/// 2525 is what SMTP has on the embedded engine where a lab writes nothing.
#[test]
fn a_port_that_the_lab_writes_holds_and_others_are_standard() {
    let mut lab = lab(&[("g01", &["ana"])]);
    let ports = |lab: &Lab| {
        let (desired, _) = plan(lab, &Observed::default());
        let Spec::Server { config, .. } = &desired[&Object { role: Role::Server, ..client("ana") }] else {
            panic!("a server is one")
        };
        let Spec::Client { variables, .. } = &desired[&client("ana")] else { panic!("a client is one") };
        let ports = config.endpoints.iter().map(|endpoint| (endpoint.service, endpoint.address.port()));
        let ports: BTreeMap<_, _> = ports.collect();
        assert_eq!(variables["LABCTL_SMTP"], ports[&Service::Smtp].to_string());
        ports
    };
    let standard = ports(&lab);
    assert!(standard.iter().all(|(service, port)| *port == service.standard_port()) && standard.len() > 1);
    lab.settings.ports.insert(Service::Smtp, Service::Smtp.embedded_port());
    let written = ports(&lab);
    assert_eq!(written[&Service::Smtp], 2525);
    assert!(standard.iter().all(|(service, port)| *service == Service::Smtp || written[service] == *port));
}
