//! Whose labs these are on an Engine: a random id, so that a machine or a state directory may be called something else
//! tomorrow. What both are called today is a second name, by which a lab is found whose state directory was lost.

use std::fs;

use super::{
    StateDir, StateError, draw,
    files::{failed, make_folder, open_lock, read_text, replace},
    to_hex,
};
use crate::plan::docker::digest;

/// The octets of an owner's id: it keeps the labs of a handful of people on one machine apart.
const OWNER: usize = 4;

impl StateDir {
    /// The id of the owner; none where nothing was brought up on an Engine yet.
    pub fn owner(&self) -> Result<Option<String>, StateError> {
        Ok(read_text(&self.root.join("owner"))?.map(|text| text.trim().to_owned()).filter(|owner| !owner.is_empty()))
    }

    /// The id of the owner, drawn now if there was none.
    pub fn owner_or_new(&self) -> Result<String, StateError> {
        make_folder(&self.root)?;
        let path = self.root.join("lock");
        let lock = open_lock(&path)?;
        lock.lock().map_err(failed("lock", &path))?;
        if let Some(owner) = self.owner()? {
            return Ok(owner);
        }
        let owner = to_hex(&draw::<OWNER>()?);
        replace(&self.root.join("owner"), format!("{owner}\n").as_bytes())?;
        Ok(owner)
    }

    /// What this machine and this state directory are called, as a digest.
    pub fn called(&self) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let mut called = digest([host.trim().as_bytes(), self.root.as_os_str().as_encoded_bytes()]);
        called.truncate(2 * OWNER);
        called
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_drawn_once_whatever_it_is_called_later() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [one, other] = ["one", "other"].map(|name| StateDir::new(folder.path().join(name)));
        assert_eq!(one.owner().unwrap(), None);
        let drawn = one.owner_or_new().unwrap();
        assert_eq!(drawn.len(), 2 * OWNER);
        assert_eq!(one.owner_or_new().unwrap(), drawn);
        assert_ne!(other.owner_or_new().unwrap(), drawn);
        let called = one.called();
        fs::rename(&one.root, folder.path().join("moved")).unwrap();
        let moved = StateDir::new(folder.path().join("moved"));
        assert_eq!(moved.owner().unwrap(), Some(drawn));
        assert_ne!(moved.called(), called);
    }
}
