//! An Engine as such, whatever labs it has: where it is, and the connection to it.

use std::{env, fs, time::Duration};

use tokio::time::timeout;

use super::{
    DockerError,
    about::About,
    place::{self, Endpoint, Place},
    told, transport,
};

/// How long an Engine may take to say which version it is; Podman looks at much
/// for that, and by ssh somebody may have to type a password first.
const ANSWER: Duration = Duration::from_secs(20);
const ANSWER_BY_SSH: Duration = Duration::from_mins(1);

/// An Engine that answers.
#[derive(Debug, Clone)]
pub struct Host {
    pub(super) api: bollard::Docker,
    pub(super) place: Place,
    pub(super) about: About,
}

impl Host {
    /// Connects to the Engine that the environment names, else to the one of this machine.
    pub async fn connect() -> Result<Self, DockerError> {
        let place = place::find(|name| env::var(name).ok(), |path| fs::read_to_string(path))?;
        match connect(&place).await {
            Ok((api, about)) => Ok(Self { api, place, about }),
            Err(why) => Err(DockerError::Unreachable { place, why }),
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is.
    pub fn about(&self) -> &About {
        &self.about
    }
}

/// The API of the Engine at a place, in a version that both sides speak, and what it is; or why not.
async fn connect(place: &Place) -> Result<(bollard::Docker, About), String> {
    let (api, words, spoken) = transport::api(place).map_err(|problem| problem.to_string())?;
    let patience = if matches!(place.endpoint, Endpoint::Ssh(_)) { ANSWER_BY_SSH } else { ANSWER };
    match timeout(patience, api.version()).await {
        Ok(Ok(version)) => {
            spoken.settle(&version);
            Ok((api, About::of(&version)))
        }
        Ok(Err(answer)) => Err(words.last().unwrap_or_else(|| told(&answer))),
        Err(_elapsed) => {
            Err(words.last().unwrap_or_else(|| format!("no answer within {} seconds", patience.as_secs())))
        }
    }
}
