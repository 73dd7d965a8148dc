//! The planner against a world that is one function: what an Engine has after a step.

use std::collections::BTreeMap;

use super::*;
use crate::{
    lab::Lab,
    plan::resolve::tests::{key, lab},
};

fn plan(lab: &Lab, observed: &Observed) -> (Desired, Vec<Step>) {
    let layouts = layouts(lab, observed, Subnet::default_pool()).expect("room");
    let images = Images { server: "server:1".into(), client: "client:1".into() };
    let desired = desired(lab, &key(), &layouts, &images);
    let steps = steps(&desired, observed);
    (desired, steps)
}

/// The world. The Engine refuses what Engines refuse: a second object, a network in use, a container without its network.
fn world(step: &Step, desired: &Desired, mut observed: Observed) -> Observed {
    let network = Object { group: step.object.group.clone(), role: Role::Network };
    let objects = &mut observed.objects;
    match step.action {
        Action::Remove => {
            let gone = objects.remove(&step.object).expect("only what is there is removed");
            let uses = |found: &Found| found.network.as_deref() == Some(gone.id.as_str());
            assert!(!objects.values().any(uses), "{step}: in use");
        }
        Action::Create => {
            let number = objects.values().map(|found| found.id.parse().unwrap_or(0)).max().unwrap_or(0) + 1;
            let on = (step.object.role != Role::Network).then(|| objects[&network].id.clone());
            let parts = desired[&step.object].parts();
            let found = Found { id: number.to_string(), parts, state: State::Running, network: on };
            assert!(objects.insert(step.object.clone(), found).is_none(), "{step}: there is one");
        }
        Action::Start => {
            let found = objects.get_mut(&step.object).expect("only what is there starts");
            (found.state, found.parts) = (State::Running, desired[&step.object].parts());
        }
        Action::Resume => objects.get_mut(&step.object).expect("only what is there resumes").state = State::Running,
        Action::Update => {
            let found = objects.get_mut(&step.object).expect("only what is there is told");
            assert_eq!((found.state, &step.object.role), (State::Running, &Role::Server), "{step}");
            found.parts = desired[&step.object].parts();
        }
    }
    observed
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
    vec![
        lab(&[("g01", &["ana", "ben"])]),
        lab(&[("g01", &["ana", "ben"]), ("g02", &["eva"])]),
        lab(&[("g02", &["eva", "leo"]), ("g03", &[])]),
        lab(&[("g01", &many)]),
        relay,
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
                if object.role != Role::Network {
                    damaged.objects.get_mut(object).expect("of the same world").state = state;
                    worlds.push(damaged);
                }
            }
            let mut cut = up.clone();
            cut.objects.get_mut(object).expect("of the same world").network = None;
            worlds.push(cut);
        }
        worlds.push(up);
    }
    worlds
}

#[test]
fn planning_again_after_performing_finds_nothing() {
    for before in worlds() {
        for to in labs() {
            let (desired, steps) = plan(&to, &before);
            let after = perform(&steps, &desired, before.clone());
            assert_eq!(plan(&to, &after).1, []);
            assert!(after.objects.keys().eq(desired.keys()));
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
        let mut by_group: BTreeMap<&GroupName, Vec<Step>> = BTreeMap::new();
        for step in &steps {
            by_group.entry(&step.object.group).or_default().push(step.clone());
        }
        let reversed: Vec<Step> = by_group.into_values().rev().flatten().collect();
        let after = perform(&reversed, &desired, before.clone());
        assert_eq!(plan(to, &after).1, []);
    }
}

#[test]
fn a_plan_reads_like_a_to_do_list() {
    let before = &labs()[0];
    let (desired, first) = plan(before, &Observed::default());
    let read = |steps: &[Step]| steps.iter().map(Step::to_string).collect::<Vec<_>>();
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
    let ben = Object { group: "g01".parse().unwrap(), role: Role::Client("ben".parse().unwrap()) };
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
    let client = |login: &str| Object { group: "g01".parse().unwrap(), role: Role::Client(login.parse().unwrap()) };
    assert_eq!(after[&client("ben")], desired[&client("ben")]);
    assert!(!steps.iter().any(|step| step.object == client("ben") || step.object == client("eva")));
}
