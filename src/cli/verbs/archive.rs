//! `labctl archive`: mail, evidence and marks of a lab in a folder that needs no labctl to be read. The stores are copied
//! while the lab runs, each as of one moment.

use std::{
    fs::{self, DirBuilder, DirEntry, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
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
    engine::state::RosterFile,
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
        let key = opened.dir.path().join("key");
        write(&folder.join("key"), &fs::read(&key).map_err(Error::file("read", key))?)?;
    }
    write(&folder.join("README.txt"), readme(&opened, &now, args.with_key))?;
    shell.out.data(&format!("{}\n", folder.display()))?;
    Ok(Exit::Done)
}

/// The lab file, and its roster where the lab file looks for it.
fn copy_lab(opened: &Opened, folder: &Path) -> Result<(), Error> {
    let source = &opened.lab.source;
    // Where the file is gone or wrong, the marks are of the one that was kept.
    let current = labfile::reading(source).is_ok_and(|reading| reading.lab.is_some_and(|lab| lab == opened.lab));
    let files = if current { None } else { opened.dir.kept()? };
    let files = files.map_or_else(|| labfile::files(source), Ok)?;
    write(&folder.join(labfile::NAME), &files.lab)?;
    let Some(RosterFile { path: roster, content }) = files.roster else { return Ok(()) };
    let home = source.parent().unwrap_or(Path::new("/"));
    let below = roster
        .strip_prefix(home)
        .ok()
        .filter(|path| path.components().all(|part| matches!(part, Component::Normal(_))));
    let target = folder.join(below.or_else(|| roster.file_name().map(Path::new)).unwrap_or(Path::new("roster.csv")));
    let parent = target.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(Error::file("make the folder", parent))?;
    write(&target, &content)
}

/// All there are, also of groups that the lab no longer has.
fn copy_stores(shell: &Shell, opened: &Opened, stores: &Path) -> Result<(), Error> {
    let folder = opened.dir.stores();
    let entries = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut all: Vec<PathBuf> =
        entries.map_err(Error::file("read the folder", folder))?.iter().map(DirEntry::path).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "sqlite"));
    all.sort();
    let mut progress = shell.out.progress("stores", all.len());
    for store in all {
        let copy = stores.join(store.file_name().unwrap_or_default());
        Reader::open(&store)?.copy_to(&copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).map_err(Error::file("protect", copy))?;
        progress.step();
    }
    progress.finish();
    Ok(())
}

fn write_marks(shell: &Shell, opened: &Opened, folder: &Path) -> Result<(), Error> {
    let (groups, _) = marks::of_lab(&opened.lab, &opened.key, &opened.dir);
    let report = Report::new(&opened.lab, groups.iter().flat_map(Marked::marks).collect());
    write(&folder.join("report.json"), report::json(&report, shell.out.words()) + "\n")?;
    write(&folder.join("report.csv"), report::csv(&report))
}

/// Writes a file that only its owner can read.
fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(content.as_ref())).map_err(Error::file("write", path))
}

fn readme(opened: &Opened, now: &Zoned, with_key: bool) -> String {
    let key = if with_key {
        "key                  what passwords and secrets are drawn from: keep it from students\n"
    } else {
        ""
    };
    format!(
        "Lab `{}`, archived by labctl {} on {}.\n\n\
         lab.toml             the lab, with the passwords that it fixes; beside it its roster, if it has one\n\
         stores/GROUP.sqlite  mail and evidence of one group: tables `message` and `event`, for any SQLite client\n\
         report.csv           marks, a line per student\n\
         report.json          marks with the reason and the events of every verdict\n\
         {key}",
        opened.lab.name,
        env!("CARGO_PKG_VERSION"),
        now.strftime("%Y-%m-%d %H:%M %Z"),
    )
}
