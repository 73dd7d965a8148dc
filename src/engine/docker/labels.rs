//! The labels of every object: the only truth about what belongs to which lab.

use std::collections::HashMap;

use crate::{
    lab::{GroupName, LabName},
    plan::docker::{Object, Parts, Role},
};

pub(super) const LAB: &str = "labctl.lab";
const OWNER: &str = "labctl.owner";
/// What the owner's machine and state directory were called: only lost labs are found by it.
const CALLED: &str = "labctl.called";
/// The id of an Engine that holds labs, at a volume that is nothing else.
pub(super) const ENGINE: &str = "labctl.engine";
const GROUP: &str = "labctl.group";
const STUDENT: &str = "labctl.student";
const ROLE: &str = "labctl.role";
const PARTS: &str = "labctl.config";
pub(super) const VERSION: &str = "labctl.version";

/// Whose objects they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The random id of a state directory; empty where it has none yet.
    pub id: String,
    /// What it and its machine are called.
    pub called: String,
}

/// The labels of an object.
pub(super) fn of(lab: &LabName, owner: &Owner, object: &Object, role: &str, parts: &Parts) -> HashMap<String, String> {
    let parts = serde_json::to_string(parts).expect("parts are texts");
    let mut labels = vec![
        (LAB, lab.to_string()),
        (OWNER, owner.id.clone()),
        (CALLED, owner.called.clone()),
        (ROLE, role.to_owned()),
        (PARTS, parts),
        (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    labels.extend(object.group.as_ref().map(|group| (GROUP, group.to_string())));
    if let Role::Client(login) = &object.role {
        labels.push((STUDENT, login.to_string()));
    }
    labels.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
}

/// A filter for the lab's objects.
pub(super) fn filter(lab: &LabName, owner: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{LAB}={lab}"), format!("{OWNER}={owner}")])])
}

/// A filter for one object.
pub(super) fn filter_of(lab: &LabName, owner: &str, object: &Object) -> HashMap<String, Vec<String>> {
    let mut filter = filter(lab, owner);
    let whose = Owner { id: owner.to_owned(), called: String::new() };
    let labels = of(lab, &whose, object, object.role.name(), &Parts::new());
    let named = [GROUP, ROLE, STUDENT].into_iter().filter_map(|label| Some(format!("{label}={}", labels.get(label)?)));
    filter.entry("label".to_owned()).or_default().extend(named);
    filter
}

/// A filter for the objects of all labs of this name, whoever's they are.
pub(super) fn filter_of_all(lab: &LabName) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{LAB}={lab}")])])
}

/// Whose object it is.
pub(super) fn owner(labels: &HashMap<String, String>) -> Option<Owner> {
    let called = labels.get(CALLED).cloned().unwrap_or_default();
    Some(Owner { id: labels.get(OWNER)?.clone(), called })
}

/// Whether these are labels of this lab.
pub(super) fn are_of(labels: &HashMap<String, String>, lab: &LabName, owner: &str) -> bool {
    labels.get(LAB).is_some_and(|found| found == lab.as_str()) && labels.get(OWNER).is_some_and(|found| found == owner)
}

/// The object that labels speak of, and its parts; none where they are not labctl's.
pub(super) fn read(labels: &HashMap<String, String>) -> Option<(Object, Parts)> {
    let group: Option<GroupName> = match labels.get(GROUP) {
        Some(group) => Some(group.parse().ok()?),
        None => None,
    };
    let role = match labels.get(ROLE)?.as_str() {
        "backbone" => Role::Backbone,
        "front" => Role::Front,
        "network" => Role::Network,
        "server" => Role::Server,
        "client" => Role::Client(labels.get(STUDENT)?.parse().ok()?),
        _ => return None,
    };
    // Parts that do not read are others than those wanted, and so the object is made again.
    let parts = labels.get(PARTS).and_then(|parts| serde_json::from_str(parts).ok()).unwrap_or_default();
    Some((Object { group, role }, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_read_back_as_they_were_written() {
        let lab: LabName = "p2".parse().unwrap();
        let group: GroupName = "g01".parse().unwrap();
        let of_group = [Role::Network, Role::Server, Role::Client("ana".parse().unwrap())];
        let of_group = of_group.map(|role| Object::of(&group, role)).into_iter();
        let of_lab = [Role::Backbone, Role::Front].map(|role| Object { group: None, role });
        for object in of_group.chain(of_lab) {
            let parts = Parts::from([("image".to_owned(), "a\"b".to_owned())]);
            let whose = Owner { id: "abc".into(), called: "host".into() };
            let labels = of(&lab, &whose, &object, object.role.name(), &parts);
            assert!(are_of(&labels, &lab, "abc"));
            assert!(!are_of(&labels, &lab, "abd"));
            assert_eq!(read(&labels), Some((object, parts)));
        }
        assert_eq!(read(&HashMap::new()), None);
    }
}
