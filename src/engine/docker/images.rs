//! The images that labctl made on an Engine: which there are, who uses them, and taking away those that nobody does.

use std::collections::{BTreeMap, BTreeSet};

use bollard::{
    models::{ContainerSummary, ImageSummary},
    query_parameters::{ListContainersOptions, ListImagesOptions, RemoveImageOptions},
};

use super::{DockerError, Host, expected, failed, labels};

/// How long an image must have been there before it is old, in seconds: an `up` of somebody else may be about to use it.
pub const OLD_SECS: i64 = 3_600;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The clients' are built on it.
    Base,
    /// For servers.
    Server,
    /// For clients.
    Client,
}

impl Kind {
    /// As labels and tables write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// The kind of an image by its name. Labels are inherited by what others build on our images, names are not.
    fn of(name: &str) -> Option<Self> {
        let (repository, _) = name.rsplit_once(':')?;
        match repository {
            "labctl-base" => Some(Self::Base),
            "labctl-server" => Some(Self::Server),
            "labctl-client" => Some(Self::Client),
            _ => None,
        }
    }
}

/// An image that labctl made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name with its tag.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Its size in octets, with what it shares with others.
    pub octets: u64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The labs that have containers of it, whoever owns them; a container of nobody's lab by its own name.
    pub users: BTreeSet<String>,
}

impl Stored {
    /// Whether it can go: nobody uses it, and it was not made just now.
    pub fn is_old(&self, now: i64) -> bool {
        self.users.is_empty() && now - self.created >= OLD_SECS
    }
}

impl Host {
    /// The images that labctl made, by name.
    pub async fn images(&self) -> Result<Vec<Stored>, DockerError> {
        let filters = Some([("label".to_owned(), vec![labels::VERSION.to_owned()])].into());
        let images = self.api.list_images(Some(ListImagesOptions { filters, ..Default::default() }));
        let containers = self.api.list_containers(Some(ListContainersOptions { all: true, ..Default::default() }));
        let images = images.await.map_err(failed("list the images"))?;
        let containers = containers.await.map_err(failed("list the containers"))?;
        Ok(stored(&images, &containers))
    }

    /// Takes an image away; false where a container has come to use it meanwhile.
    pub async fn remove_image(&self, image: &Stored) -> Result<bool, DockerError> {
        let removed = self.api.remove_image(&image.name, None::<RemoveImageOptions>, None).await;
        let removed = expected(removed.map(|gone| !gone.is_empty()), &[404, 409]);
        removed.map_err(failed(format!("remove image `{}`", image.name)))
    }
}

fn stored(images: &[ImageSummary], containers: &[ContainerSummary]) -> Vec<Stored> {
    let mut users: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for container in containers {
        let Some(image) = container.image_id.as_deref() else { continue };
        users.entry(image).or_default().extend(user(container));
    }
    let mut stored: Vec<Stored> = images
        .iter()
        .flat_map(|image| image.repo_tags.iter().map(move |name| (image, name)))
        .filter_map(|(image, name)| {
            Some(Stored {
                name: name.clone(),
                kind: Kind::of(name)?,
                octets: u64::try_from(image.size).unwrap_or_default(),
                created: image.created,
                users: users.get(image.id.as_str()).cloned().unwrap_or_default(),
            })
        })
        .collect();
    stored.sort_by(|a, b| (a.kind, b.created, &a.name).cmp(&(b.kind, a.created, &b.name)));
    stored
}

fn user(container: &ContainerSummary) -> Option<String> {
    let lab = container.labels.as_ref().and_then(|labels| labels.get(labels::LAB)).cloned();
    let name = || container.names.as_ref()?.first().map(|name| name.trim_start_matches('/').to_owned());
    lab.or_else(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, names: &[&str], created: i64) -> ImageSummary {
        let repo_tags = names.iter().map(|name| (*name).to_owned()).collect();
        ImageSummary { id: id.into(), repo_tags, created, size: 10, ..Default::default() }
    }

    fn container(image: &str, name: &str, lab: Option<&str>) -> ContainerSummary {
        ContainerSummary {
            image_id: Some(image.into()),
            names: Some(vec![format!("/{name}")]),
            labels: lab.map(|lab| [(labels::LAB.to_owned(), lab.to_owned())].into()),
            ..Default::default()
        }
    }

    #[test]
    fn images_are_known_by_their_names_with_who_uses_them() {
        let images = [
            image("1", &["labctl-client:aa"], 5),
            image("2", &["labctl-server:bb", "mine:1"], 5),
            image("3", &["labctl-server:cc"], 9),
            image("4", &["built-on-ours:1"], 9),
            image("5", &[], 9),
        ];
        let containers = [
            container("1", "c1", Some("p2")),
            container("1", "c2", Some("p2")),
            container("1", "c3", Some("argosoft")),
            container("2", "somebody", None),
        ];
        let shown: Vec<String> = stored(&images, &containers)
            .iter()
            .map(|image| format!("{} {} {:?}", image.kind.as_str(), image.name, image.users))
            .collect();
        assert_eq!(
            shown,
            [
                "server labctl-server:cc {}",
                r#"server labctl-server:bb {"somebody"}"#,
                r#"client labctl-client:aa {"argosoft", "p2"}"#,
            ]
        );
    }

    #[test]
    fn what_is_used_or_was_made_just_now_stays() {
        let mut unused = stored(&[image("1", &["labctl-server:aa"], 100)], &[]).remove(0);
        assert!(!unused.is_old(100 + OLD_SECS - 1));
        assert!(unused.is_old(100 + OLD_SECS));
        unused.users.insert("p2".into());
        assert!(!unused.is_old(100 + OLD_SECS));
    }
}
