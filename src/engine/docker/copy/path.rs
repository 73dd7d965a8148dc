//! A place in a student's home, as an instructor writes it.

use std::{fmt, str::FromStr};

use crate::engine::docker::make::HOME;

/// The longest path that a kernel takes (limits.h, `PATH_MAX`).
const MAX_PATH: usize = 4_096;

/// A path below the home; empty: the home itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomePath {
    names: Vec<String>,
    /// Whether it was written as a folder: with a slash at its end, or as the home itself.
    pub is_folder: bool,
}

impl HomePath {
    /// Its names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The path in the container.
    pub fn absolute(&self) -> String {
        self.prefixes().last().unwrap_or_else(|| HOME.to_owned())
    }

    /// The paths in the container of each of its names, outermost first.
    pub fn prefixes(&self) -> impl Iterator<Item = String> + '_ {
        (1..=self.names.len()).map(|count| format!("{HOME}/{}", self.names[..count].join("/")))
    }

    /// What is called `name` in it.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let names = self.names.iter().cloned().chain([name.to_owned()]).collect();
        Self { names, is_folder: false }
    }

    /// The folder that it is in; none: it is the home.
    pub fn folder(&self) -> Option<Self> {
        let (_, folder) = self.names.split_last()?;
        Some(Self { names: folder.to_vec(), is_folder: true })
    }

    /// The folder that it is in, and its name there; none: it is the home.
    pub fn split(&self) -> Option<(String, &str)> {
        let (name, folder) = self.names.split_last()?;
        let folder: Vec<&str> = [HOME].into_iter().chain(folder.iter().map(String::as_str)).collect();
        Some((folder.join("/"), name))
    }
}

impl FromStr for HomePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATH || text.contains('\0') {
            return Err("it is no path".into());
        }
        let below = |place: &str| text.strip_prefix(place).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let relative = match below("~").or_else(|| below(HOME)) {
            Some(relative) => relative,
            None if text.starts_with('/') => return Err(format!("only what is in the home `{HOME}` is copied")),
            None => text,
        };
        let names: Vec<&str> = relative.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        if names.contains(&"..") {
            return Err(format!("`..` leads out of the home `{HOME}`"));
        }
        let is_folder = names.is_empty() || relative.ends_with('/') || relative.ends_with("/.");
        Ok(Self { names: names.into_iter().map(str::to_owned).collect(), is_folder })
    }
}

impl fmt::Display for HomePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "~/{}", self.names.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_the_home_or_refused() {
        let absolute = |text: &str| text.parse::<HomePath>().map(|path| path.absolute());
        for (text, path) in [
            ("", "/home/student"),
            ("~", "/home/student"),
            ("client.c", "/home/student/client.c"),
            ("./a//b/", "/home/student/a/b"),
            ("~/a", "/home/student/a"),
            ("/home/student/a", "/home/student/a"),
            ("/home/student", "/home/student"),
            ("..a", "/home/student/..a"),
        ] {
            assert_eq!(absolute(text).as_deref(), Ok(path), "{text}");
        }
        for text in ["..", "a/../b", "/etc/passwd", "/home/student/../x", "/home/studentx", "a\0b", "//etc", "~/../x"] {
            assert!(absolute(text).is_err(), "{text}");
        }
        assert!(absolute(&"x".repeat(MAX_PATH)).is_ok() && absolute(&"x".repeat(MAX_PATH + 1)).is_err());
    }

    #[test]
    fn a_slash_at_the_end_means_a_folder() {
        let is_folder = |text: &str| text.parse::<HomePath>().expect("a path").is_folder;
        assert!(is_folder("") && is_folder("a/") && is_folder("a/."));
        assert!(!is_folder("a") && !is_folder("/home/student/a"));
        assert_eq!("a/b".parse::<HomePath>().expect("a path").split(), Some(("/home/student/a".into(), "b")));
    }
}
