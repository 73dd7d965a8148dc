//! Octets and paths in JSON: as text where they are text, else in Base64. Neither a roster nor the name of a folder need be
//! UTF-8.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize as _, Serializer, de::Error as _};

#[derive(serde::Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(Cow<'a, str>),
    Octets { base64: String },
}

pub(super) fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let written = match std::str::from_utf8(octets) {
        Ok(text) => Written::Text(Cow::Borrowed(text)),
        Err(_) => Written::Octets { base64: BASE64_STANDARD.encode(octets) },
    };
    written.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    match Written::deserialize(deserializer)? {
        Written::Text(text) => Ok(text.into_owned().into_bytes()),
        Written::Octets { base64 } => BASE64_STANDARD.decode(base64).map_err(D::Error::custom),
    }
}

/// The same for a path.
pub(super) mod path {
    use std::{
        ffi::OsString,
        os::unix::ffi::{OsStrExt as _, OsStringExt as _},
        path::{Path, PathBuf},
    };

    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        super::serialize(path.as_os_str().as_bytes(), serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        super::deserialize(deserializer).map(|octets| OsString::from_vec(octets).into())
    }
}
