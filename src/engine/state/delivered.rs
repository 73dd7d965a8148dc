//! Which groups are known to have their mail, so that an `up` with nothing to do need not ask every server. A cache: it holds
//! for one container only, whoever loses it only loses time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    LabDir, StateError,
    files::{read, replace},
};
use crate::lab::GroupName;

const FILE: &str = "delivered.json";

/// Groups that have all of their mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    groups: BTreeMap<GroupName, Mark>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The server's container: another one may have another store.
    server: String,
    /// A digest of which mail it was.
    mail: String,
}

impl Delivered {
    /// Whether the server in this container has this mail.
    pub fn holds(&self, group: &GroupName, server: &str, mail: &str) -> bool {
        self.groups.get(group).is_some_and(|mark| mark.server == server && mark.mail == mail)
    }

    /// It has.
    pub fn add(&mut self, group: GroupName, server: String, mail: String) {
        self.groups.insert(group, Mark { server, mail });
    }
}

impl LabDir {
    /// What is known; what cannot be read is not.
    pub fn delivered(&self) -> Delivered {
        let text = read(&self.path().join(FILE)).ok().flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Remembers it.
    pub fn write_delivered(&self, delivered: &Delivered) -> Result<(), StateError> {
        let text = serde_json::to_vec(delivered).expect("names and digests");
        replace(&self.path().join(FILE), &text)
    }

    /// Forgets a group, before its server is told to forget what it was sent.
    pub fn forget_delivered(&self, group: &GroupName) -> Result<(), StateError> {
        let mut delivered = self.delivered();
        if delivered.groups.remove(group).is_none() {
            return Ok(());
        }
        self.write_delivered(&delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StateDir;

    #[test]
    fn a_mark_holds_for_its_container_and_its_mail_until_it_is_forgotten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::new(folder.path().to_owned()).lab(&"a".parse().unwrap());
        let group: GroupName = "g01".parse().unwrap();
        assert_eq!(dir.delivered(), Delivered::default());
        dir.make().unwrap();
        let mut delivered = Delivered::default();
        delivered.add(group.clone(), "c1".into(), "m1".into());
        dir.write_delivered(&delivered).unwrap();
        let read = dir.delivered();
        assert!(read.holds(&group, "c1", "m1") && !read.holds(&group, "c2", "m1") && !read.holds(&group, "c1", "m2"));
        dir.forget_delivered(&group).unwrap();
        assert_eq!(dir.delivered(), Delivered::default());
        std::fs::write(dir.path().join(FILE), "rubbish").unwrap();
        assert_eq!(dir.delivered(), Delivered::default());
    }
}
