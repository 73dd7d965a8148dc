//! `labctl archive`: mail, evidence and marks of a lab in a folder that needs no labctl to be read. The stores are copied
//! while the lab runs, each as of one moment.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Component, Path, PathBuf},
};

use jiff::Zoned;

use crate::{
    cli::{
        args::Archive,
        error::Error,
        exit::Exit,
        labfile,
        marks::{self, Marked},
        naming::{Opened, Shell},
    },
    report::{self, Report},
    store::Reader,
};

/// Copies.
pub fn run(shell: &Shell, args: &Archive) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    opened.settle(shell.out)?;
    let now = Zoned::now();
    let name = format!("{}-archive-{}", opened.lab.name, now.strftime("%Y%m%d-%H%M"));
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from(".")).join(name);
    if folder.exists() {
        return Err(Error::Exists { path: folder });
    }
    let stores = folder.join("stores");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&stores);
    made.map_err(Error::file("make the folder", &stores))?;
    copy_lab(&opened, &folder)?;
    copy_stores(shell, &opened, &stores)?;
    write_marks(shell, &opened, &folder)?;
    if args.with_key {
        copy(&opened.dir.path().join("key"), &folder.join("key"))?;
    }
    write(&folder.join("README.txt"), &readme(&opened, &now, args.with_key))?;
    shell.out.data(&format!("{}\n", folder.display()))?;
    Ok(Exit::Done)
}

/// The lab file, and its roster where the lab file looks for it.
fn copy_lab(opened: &Opened, folder: &Path) -> Result<(), Error> {
    let source = &opened.lab.source;
    copy(source, &folder.join(labfile::NAME))?;
    let Some(roster) = labfile::roster(source)? else { return Ok(()) };
    let home = source.parent().unwrap_or(Path::new("/"));
    let below = roster
        .strip_prefix(home)
        .ok()
        .filter(|path| path.components().all(|part| matches!(part, Component::Normal(_))));
    let target = folder.join(below.or_else(|| roster.file_name().map(Path::new)).unwrap_or(Path::new("roster.csv")));
    let parent = target.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(Error::file("make the folder", parent))?;
    copy(&roster, &target)
}

fn copy_stores(shell: &Shell, opened: &Opened, stores: &Path) -> Result<(), Error> {
    let mut progress = shell.out.progress("stores", opened.lab.groups.len());
    for group in &opened.lab.groups {
        let store = opened.dir.store(&group.name);
        if store.exists() {
            Reader::open(&store)?.copy_to(&stores.join(format!("{}.sqlite", group.name)))?;
        }
        progress.step();
    }
    progress.finish();
    Ok(())
}

fn write_marks(shell: &Shell, opened: &Opened, folder: &Path) -> Result<(), Error> {
    let (groups, _) = marks::of_lab(&opened.lab, &opened.key, &opened.dir);
    let report = Report::new(&opened.lab, groups.iter().flat_map(Marked::marks).collect());
    write(&folder.join("report.json"), &(report::json(&report, shell.out.words()) + "\n"))?;
    write(&folder.join("report.csv"), &report::csv(&report))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(Error::file("copy", from))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file("write", path))
}

fn readme(opened: &Opened, now: &Zoned, with_key: bool) -> String {
    let key = if with_key {
        "key                  what passwords and secrets are drawn from: keep it from students\n"
    } else {
        ""
    };
    format!(
        "Lab `{}`, archived by labctl {} on {}.\n\n\
         lab.toml             the lab; beside it its roster, if it has one\n\
         stores/GROUP.sqlite  mail and evidence of one group: tables `message` and `event`, for any SQLite client\n\
         report.csv           marks, a line per student\n\
         report.json          marks with the reason and the events of every verdict\n\
         {key}",
        opened.lab.name,
        env!("CARGO_PKG_VERSION"),
        now.strftime("%Y-%m-%d %H:%M %Z"),
    )
}
