//! Which lab is meant: a file, a folder, the name of a lab that labctl knows, or, where nothing is said, the obvious one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    error::{Error, count, shell_word},
    labfile,
    output::{self, Output},
};
use crate::{
    engine::{Engine, LabDir, Record, StateDir, docker::DockerError, embedded::EngineError},
    lab::{EngineKind, Key, Lab, LabName},
    reading::diagnostic::closest,
};

/// What every verb works with.
#[derive(Debug, Clone)]
pub struct Shell {
    /// Where it prints.
    pub out: Output,
    /// What labctl remembers.
    pub state: StateDir,
}

/// The lab that is meant.
#[derive(Debug, Clone)]
pub struct Located {
    /// Its file, absolute; it need not exist any more.
    pub source: PathBuf,
    /// Whether it was named by its name, or not at all.
    pub by_name: bool,
    /// What labctl remembers of it, where it was named by name or was up from this file.
    pub known: Option<(LabDir, Record)>,
}

/// A lab that is up without its file.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// The lab.
    pub name: LabName,
    /// Where its file was.
    pub source_file: PathBuf,
    /// Whether a file at hand says what it said.
    pub same: bool,
}

/// A lab that is or was up, with its file read.
#[derive(Debug)]
pub struct Opened {
    /// The lab.
    pub lab: Lab,
    /// Its folder in the state directory.
    pub dir: LabDir,
    /// What labctl remembers of it.
    pub record: Record,
    /// Its key.
    pub key: Key,
}

impl Shell {
    /// The lab that `named` means, or the obvious one.
    pub fn locate(&self, named: Option<&str>) -> Result<Located, Error> {
        let located = self.find_lab(named)?;
        if let Some(named) = named {
            output::given::lab(named);
        }
        Ok(located)
    }

    fn find_lab(&self, named: Option<&str>) -> Result<Located, Error> {
        let known = self.state.known()?;
        let named = match named {
            Some(named) => named,
            None if Path::new(labfile::NAME).is_file() => ".",
            None => return obvious(&known),
        };
        if let Some(source) = lab_file(Path::new(named))? {
            let known = known.into_iter().find(|(_, record)| record.source == source);
            return Ok(Located { source, by_name: false, known });
        }
        if let Some(found) = known.iter().position(|(dir, _)| dir.name().as_str() == named) {
            return Ok(located(known.into_iter().nth(found).expect("found above")));
        }
        if Path::new(named).is_dir() {
            return Err(Error::NoLabFile(named.into()));
        }
        let near = closest(named, known.iter().map(|(dir, _)| dir.name().as_str())).map(str::to_owned);
        Err(Error::UnknownLab { name: named.to_owned(), known: names(&known), near })
    }

    /// The lab that is meant and what labctl remembers of it; its file is read only where its name must be known.
    pub fn known(&self, named: Option<&str>) -> Result<(LabDir, Record), Error> {
        let located = self.locate(named)?;
        if let Some(known) = located.known {
            return Ok(known);
        }
        let lab = labfile::read_briefly(self.out, &located.source)?;
        self.remembered(&lab)
    }

    /// The lab that is meant, with what labctl remembers of it. Where its file is gone, wrong or another lab's, the lab as it
    /// was last brought up will do: evidence is there, students are at work, and a slip in the file must not be in the way.
    pub fn open(&self, named: Option<&str>) -> Result<Opened, Error> {
        let located = self.locate(named)?;
        if let Some((lab, why)) = as_up(&located)? {
            self.out.warn(format_args!("{why}: this is lab `{}` as it was last brought up", lab.name));
            return self.opened(lab);
        }
        self.opened(labfile::read_briefly(self.out, &located.source)?)
    }

    /// The lab without a word about its file; none where it can't be read.
    pub fn look(&self, located: &Located) -> Result<Option<Lab>, Error> {
        match as_up(located)? {
            Some((lab, _)) => Ok(Some(lab)),
            None => Ok(labfile::reading(&located.source).ok().and_then(|reading| reading.lab)),
        }
    }

    fn opened(&self, lab: Lab) -> Result<Opened, Error> {
        let (dir, record) = self.remembered(&lab)?;
        let key = dir.key()?.ok_or_else(|| Error::NeverUp { name: lab.name.to_string() })?;
        Ok(Opened { lab, dir, record, key })
    }

    fn remembered(&self, lab: &Lab) -> Result<(LabDir, Record), Error> {
        let dir = self.state.lab(&lab.name);
        let Some(record) = dir.record()? else {
            return Err(match self.without_file(lab)? {
                Some(Orphan { name, source_file, .. }) => Error::FileGone { here: lab.name.clone(), name, source_file },
                None => Error::NeverUp { name: lab.name.to_string() },
            });
        };
        same_lab(lab, &record)?;
        Ok((dir, record))
    }

    /// The lab that is up and whose file is gone, where there is one: its folder was probably renamed. Of several, the one
    /// that was brought up from what this lab's file says.
    pub fn without_file(&self, lab: &Lab) -> Result<Option<Orphan>, Error> {
        let file = fs::read(&lab.source).ok();
        let mut found = None;
        for (dir, record) in self.state.known()? {
            if !record.up || record.source.exists() {
                continue;
            }
            let same = dir.kept()?.is_some_and(|kept| Some(&kept.lab) == file.as_ref());
            if same || found.is_none() {
                found = Some(Orphan { name: dir.name().clone(), source_file: record.source, same });
            }
        }
        Ok(found)
    }
}

impl Opened {
    /// Where it runs.
    pub async fn engine(&self) -> Result<Engine, EngineError> {
        Engine::of(&self.dir, self.record.engine).await
    }

    /// Has the lab's process, if one runs, commit what it has seen: what a verb reads from the stores is then all there is.
    /// Where that cannot be, what is on disk still tells the rest.
    pub fn settle(&self, out: Output) -> Result<(), Error> {
        // Of a lab that is down there is nothing newer, and perhaps no Engine to ask.
        if self.record.engine == EngineKind::Docker && !self.record.up {
            return Ok(());
        }
        let runtime = super::verbs::runtime()?;
        let settled = runtime.block_on(async { self.engine().await?.settle().await });
        // Copies that nobody brings up to date would be shown as if they were all there is.
        if let Err(problem @ EngineError::Docker(DockerError::Elsewhere { .. })) = settled {
            return Err(problem.into());
        }
        if let Err(problem) = settled {
            out.warn(format_args!("the newest events may be missing: {problem}"));
            if let Some(hint) = problem.hint() {
                out.hint(hint);
            }
        }
        Ok(())
    }
}

/// The lab as it was last brought up and why its file won't do; none where the file will, or nothing was kept.
fn as_up(located: &Located) -> Result<Option<(Lab, String)>, Error> {
    let Some((dir, record)) = &located.known else { return Ok(None) };
    let source = located.source.display();
    let why = match labfile::reading(&located.source) {
        Ok(reading) => match &reading.lab {
            Some(lab) if located.by_name && lab.name != *dir.name() => format!("`{source}` is lab `{}` now", lab.name),
            Some(_) => return Ok(None),
            None => {
                let path = shell_word(&source.to_string());
                format!("{} in `{source}` (`labctl check {path}`)", count(reading.errors(), "error"))
            }
        },
        Err(problem) => problem.to_string(),
    };
    Ok(labfile::kept(dir, &record.source)?.map(|(lab, _)| (lab, why)))
}

/// That the lab is the one that labctl remembers under its name. A file that is gone was moved.
pub fn same_lab(lab: &Lab, record: &Record) -> Result<(), Error> {
    if record.source == lab.source || !record.source.exists() {
        return Ok(());
    }
    Err(Error::OtherLab { name: lab.name.clone(), source_file: record.source.clone() })
}

/// The lab file that a path means: itself, or `lab.toml` in the folder.
fn lab_file(path: &Path) -> Result<Option<PathBuf>, Error> {
    let file = if path.is_dir() { path.join(labfile::NAME) } else { path.to_owned() };
    if !file.is_file() {
        return Ok(None);
    }
    fs::canonicalize(&file).map(Some).map_err(Error::file("find", file))
}

/// Without a name: the only lab that is up, else the only lab there is.
fn obvious(known: &[(LabDir, Record)]) -> Result<Located, Error> {
    let up = known.iter().filter(|(_, record)| record.up).count();
    let wanted = |record: &Record| if up == 0 { known.len() == 1 } else { up == 1 && record.up };
    match known.iter().find(|(_, record)| wanted(record)) {
        Some(found) => Ok(located(found.clone())),
        None => Err(Error::WhichLab { known: names(known) }),
    }
}

fn located((dir, record): (LabDir, Record)) -> Located {
    Located { source: record.source.clone(), by_name: true, known: Some((dir, record)) }
}

fn names(known: &[(LabDir, Record)]) -> Vec<(LabName, bool)> {
    known.iter().map(|(dir, record)| (dir.name().clone(), record.up)).collect()
}
