//! What everything else is told apart by: names and numbers that must not be mixed up, each its own type, parsed once, cheap to
//! clone; and who somebody was. What a name may look like is decided here and nowhere else. Nothing is imported from elsewhere.

mod numbers;
pub mod order;
mod who;

use std::{borrow::Borrow, cmp::Ordering, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

pub use numbers::{Conn, MessageId, Seq, Timestamp, Uid};
pub use who::{By, Who};

use self::order::natural;

/// The longest lab, group, login or exercise name, in characters.
pub const MAX_NAME: usize = 64;

/// The longest domain, in octets (RFC 5321 4.5.3.1.2 allows 255; RFC 1035 2.3.4 makes that 253 as text).
pub const MAX_DOMAIN: usize = 253;

/// The longest label of a domain, in octets (RFC 1035 2.3.4).
pub const MAX_LABEL: usize = 63;

/// A name that does not fit its rule; `Display` says which rule, as a fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(pub String);

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> Result<String, BadName> = $check;
                check(text).map(|name| Self(name.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, out)
            }
        }
    };
}

/// Names that are found by their text, and so have its order.
macro_rules! found_by_text {
    ($($type:ident)*) => {
        $(
            impl Borrow<str> for $type {
                fn borrow(&self) -> &str {
                    &self.0
                }
            }

            impl Ord for $type {
                fn cmp(&self, other: &Self) -> Ordering {
                    self.0.cmp(&other.0)
                }
            }

            impl PartialOrd for $type {
                fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                    Some(self.cmp(other))
                }
            }
        )*
    };
}

found_by_text!(LabName Login ExerciseId MailId FaultId Domain);

/// Whatever lists groups lists them as people count.
impl Ord for GroupName {
    fn cmp(&self, other: &Self) -> Ordering {
        natural(&self.0, &other.0)
    }
}

impl PartialOrd for GroupName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

name!(
    /// The name of a lab: letters, digits, `-`, `_` and `.`; also a folder name in the state directory.
    LabName,
    |text| plain(text, false)
);
name!(
    /// The name of a group: lower-case letters, digits, `-` and `_`, because it becomes a label of the group's domain.
    GroupName,
    |text| plain(text, true)
);
name!(
    /// A student's login or the name of a shared mailbox: a local part without quoting, kept in lower case.
    Login,
    |text| plain(text, true)
);
name!(
    /// The number of an exercise as the instructor wrote it, for example `1.2`.
    ExerciseId,
    |text| plain(text, false)
);
name!(
    /// The name of a piece of mail that the lab injects.
    MailId,
    |text| plain(text, false)
);
name!(
    /// The name of a fault.
    FaultId,
    |text| plain(text, false)
);
name!(
    /// A mail domain (RFC 1035 2.3.1), kept in lower case, without a final dot.
    Domain,
    domain
);

fn plain(text: &str, lower: bool) -> Result<String, BadName> {
    if text.is_empty() {
        return Err(BadName("a name may not be empty".into()));
    }
    if text.chars().count() > MAX_NAME {
        return Err(BadName(format!("a name has at most {MAX_NAME} characters")));
    }
    if let Some(wrong) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        return Err(BadName(format!("`{wrong}` may not stand in a name: use letters, digits, `-`, `_` and `.`")));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(BadName("a name starts with a letter or a digit".into()));
    }
    Ok(if lower { text.to_ascii_lowercase() } else { text.to_owned() })
}

fn domain(text: &str) -> Result<String, BadName> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(BadName("a domain may not be empty".into()));
    }
    if name.len() > MAX_DOMAIN {
        return Err(BadName(format!("a domain has at most {MAX_DOMAIN} octets")));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(BadName("a domain may not have two dots in a row or start with one".into()));
        }
        if label.len() > MAX_LABEL {
            return Err(BadName(format!("a label of a domain has at most {MAX_LABEL} octets")));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(BadName(format!("the label `{label}` may not start or end with `-`")));
        }
        if let Some(wrong) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
            return Err(BadName(format!("`{wrong}` may not stand in a domain: use letters, digits, `-` and `.`")));
        }
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_limited_on_both_sides() {
        assert!("a".repeat(MAX_NAME).parse::<Login>().is_ok());
        assert!("a".repeat(MAX_NAME + 1).parse::<Login>().is_err());
        assert!("".parse::<Login>().is_err());
        assert!("a b".parse::<Login>().is_err());
        assert!("../etc".parse::<LabName>().is_err());
    }

    #[test]
    fn a_domain_is_limited_on_both_sides() {
        let label = "a".repeat(MAX_LABEL);
        assert!(label.parse::<Domain>().is_ok());
        assert!(format!("{label}a").parse::<Domain>().is_err());
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), MAX_DOMAIN);
        assert!(longest.parse::<Domain>().is_ok());
        assert!(format!("{longest}a").parse::<Domain>().is_err());
        for bad in ["", ".", "a..b", ".a", "-a", "a-", "a_b", "ñ.lab", "a b"] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
        assert_eq!("Lib.Simulacion.".parse::<Domain>().unwrap().as_str(), "lib.simulacion");
    }
}
