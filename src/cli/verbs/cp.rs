//! `labctl cp`: files into or out of a student's home.

use std::path::Path;

use super::exec::student;
use crate::{
    cli::{
        args::Cp,
        error::{Error, count},
        exit::Exit,
        naming::Shell,
    },
    engine::{
        Engine,
        docker::copy::{Copied, HomePath},
    },
};

/// A place that `cp` copies from or to.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    /// A path here.
    Here(&'a Path),
    /// A path in a student's home.
    Home(&'a str, &'a str),
}

/// Copies.
pub fn run(shell: &Shell, args: &Cp) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let (from, to) = (place(&args.from), place(&args.to));
    let sides = || Error::Sides { from: args.from.clone(), to: args.to.clone() };
    let (Place::Home(who, path), here, out) = (match (from, to) {
        (home @ Place::Home(..), Place::Here(here)) => (home, here, true),
        (Place::Here(here), home @ Place::Home(..)) => (home, here, false),
        (Place::Here(_), Place::Here(_)) | (Place::Home(..), Place::Home(..)) => return Err(sides()),
    }) else {
        return Err(sides());
    };
    let path: HomePath = path.parse().map_err(|why| Error::HomePath { path: path.to_owned(), why })?;
    let (group, login) = student(&opened, who)?;
    let copied = super::runtime()?.block_on(async {
        let Engine::Docker(docker) = opened.engine().await? else {
            let instead = "its students work on this machine: what they wrote is in their own folders";
            return Err(Error::OnlyContainers { name: opened.lab.name.clone(), verb: "cp", instead });
        };
        Ok(if out {
            docker.copy_out(&group, &login, &path, here, args.force).await?
        } else {
            docker.copy_in(&group, &login, here, &path).await?
        })
    })?;
    Ok(said(shell, &copied))
}

fn said(shell: &Shell, copied: &Copied) -> Exit {
    if let Some(why) = &copied.not_held {
        shell.out.warn(format_args!("the student's programs went on meanwhile: the Engine cannot hold them ({why})"));
    }
    for left_out in &copied.left_out {
        shell.out.warn(format_args!("left out {left_out}"));
    }
    if copied.more_left_out > 0 {
        shell.out.warn(format_args!("left out {} more", copied.more_left_out));
    }
    let files = usize::try_from(copied.files).unwrap_or(usize::MAX);
    shell.out.note(format_args!("copied {}, {} octets", count(files, "file"), copied.octets));
    if copied.left_out.is_empty() { Exit::Done } else { Exit::Partly }
}

/// A student's place has a colon before its first slash; `./a:b` is a file here.
fn place(text: &str) -> Place<'_> {
    match text.split_once(':') {
        Some((who, path)) if !who.is_empty() && !who.contains('/') => Place::Home(who, path),
        Some(_) | None => Place::Here(Path::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_before_a_slash_means_a_student() {
        assert_eq!(place("ana:client.c"), Place::Home("ana", "client.c"));
        assert_eq!(place("ana:"), Place::Home("ana", ""));
        assert_eq!(place("ana:a:b"), Place::Home("ana", "a:b"));
        for here in ["client.c", "./a:b", "/tmp/a:b", ":x"] {
            assert_eq!(place(here), Place::Here(Path::new(here)));
        }
    }
}
