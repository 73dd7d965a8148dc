//! `labctl images`: the images of the docker engine. `up` makes what it needs by itself; here they are made ahead of a class,
//! looked at, and taken away.

use std::{collections::BTreeSet, path::Path};

use serde::Serialize;

use crate::{
    cli::{
        args::{Images as Args, ImagesVerb},
        error::{Error, count},
        exit::Exit,
        naming::Shell,
    },
    engine::docker::{
        Host, Making,
        images::{Kind, Stored},
    },
};

/// What `--json` prints.
#[derive(Serialize)]
struct Listed {
    version: u32,
    images: Vec<Image>,
}

#[derive(Serialize)]
struct Image {
    name: String,
    kind: &'static str,
    octets: u64,
    created: i64,
    labs: Vec<String>,
}

/// Lists, builds or takes away.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    super::runtime()?.block_on(async {
        let docker = Host::connect().await?;
        match &args.verb {
            None | Some(ImagesVerb::List) => list(shell, &docker, args.json).await,
            Some(ImagesVerb::Build { base, server_binary }) => {
                build(shell, &docker, base.as_deref(), server_binary.as_deref()).await
            }
            Some(ImagesVerb::Prune { all }) => prune(shell, &docker, *all).await,
        }
    })
}

async fn list(shell: &Shell, docker: &Host, json: bool) -> Result<Exit, Error> {
    let images = docker.images().await?;
    if json {
        let image = |image: &Stored| Image {
            name: image.name.clone(),
            kind: image.kind.as_str(),
            octets: image.octets,
            created: image.created,
            labs: image.users.iter().cloned().collect(),
        };
        shell.out.json(&Listed { version: 1, images: images.iter().map(image).collect() })?;
        return Ok(Exit::Done);
    }
    if images.is_empty() {
        shell.out.note(format_args!("the Engine at {} has no image of labctl's", docker.place()));
        return Ok(Exit::Done);
    }
    let now = jiff::Timestamp::now().as_second();
    let row = |image: &Stored| {
        let users: Vec<&str> = image.users.iter().map(String::as_str).collect();
        let used = if users.is_empty() { "-".to_owned() } else { users.join(", ") };
        let (kind, age) = (image.kind.as_str().to_owned(), age(now - image.created));
        vec![image.name.clone(), kind, size(image.octets), age, used]
    };
    let rows: Vec<Vec<String>> = images.iter().map(row).collect();
    shell.out.table(&["IMAGE", "FOR", "SIZE", "AGE", "USED BY"], &rows)?;
    Ok(Exit::Done)
}

async fn build(shell: &Shell, docker: &Host, base: Option<&str>, program: Option<&Path>) -> Result<Exit, Error> {
    let say = |what: &str| shell.out.note(what);
    let making = Making { state: &shell.state, say: &say };
    let server = docker.server_image(program, Some(&making)).await?;
    let client = docker.client_image(base, Some(&making)).await?;
    shell.out.note(format_args!("images `{server}` and `{client}` are there"));
    Ok(Exit::Done)
}

/// Takes away what is old; what this labctl would use stays, unless everything is to go.
async fn prune(shell: &Shell, docker: &Host, all: bool) -> Result<Exit, Error> {
    let now = jiff::Timestamp::now().as_second();
    let wanted = wanted(shell, docker).await?;
    let goes = |image: &Stored| {
        if all {
            return image.users.is_empty();
        }
        image.kind != Kind::Base && image.is_old(now) && !wanted.contains(&image.name)
    };
    let (mut gone, mut octets) = (0, 0);
    let images = docker.images().await?;
    // A base goes behind what was built on it, or the Engine keeps it.
    for image in images.iter().rev().filter(|image| goes(image)) {
        if docker.remove_image(image).await? {
            shell.out.note(format_args!("removed `{}`", image.name));
            gone += 1;
            octets += image.octets;
        }
    }
    let left = images.len() - gone;
    shell.out.note(format_args!("{} removed, {} at most; {left} left", count(gone, "image"), size(octets)));
    Ok(Exit::Done)
}

/// What the next `up` of a lab that labctl knows would use.
async fn wanted(shell: &Shell, docker: &Host) -> Result<BTreeSet<String>, Error> {
    let known: Vec<_> = shell.state.known()?.into_iter().map(|(_, record)| record.docker).collect();
    let programs: BTreeSet<_> = known.iter().map(|choices| choices.server_binary.as_deref()).chain([None]).collect();
    let bases: BTreeSet<_> = known.iter().map(|choices| choices.base.as_deref()).chain([None]).collect();
    let mut wanted = BTreeSet::new();
    for program in programs {
        // What cannot run there, or is there no more, has no image.
        wanted.extend(docker.server_image(program, None).await.ok());
    }
    for base in bases {
        wanted.insert(docker.client_image(base, None).await?);
    }
    Ok(wanted)
}

/// Octets for people, as Docker counts them.
fn size(octets: u64) -> String {
    match octets {
        0..1_000_000 => format!("{} kB", octets.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", (octets + 500_000) / 1_000_000),
        _ => format!("{}.{} GB", octets / 1_000_000_000, octets % 1_000_000_000 / 100_000_000),
    }
}

fn age(seconds: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let unit = UNITS.into_iter().find(|(length, _)| seconds >= *length);
    let number = |length| usize::try_from(seconds / length).unwrap_or_default();
    unit.map_or_else(|| "now".to_owned(), |(length, name)| count(number(length), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_for_people() {
        assert_eq!([999_999, 1_000_000, 999_499_999, 1_250_000_000].map(size), ["1000 kB", "1 MB", "999 MB", "1.2 GB"]);
        assert_eq!([59, 60, 7_200, 86_400].map(age), ["now", "1 minute", "2 hours", "1 day"]);
    }
}
