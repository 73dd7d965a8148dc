//! What a person sees while groups come up: how far each kind of object is, and the table, which fills group by group.

use std::collections::BTreeSet;

use crate::{
    cli::{
        error::{Error, count},
        output::{Output, growing::Growing, stages::Stages},
        verbs::{
            credentials::{self, Student},
            up::said,
        },
    },
    engine::docker::{Progress, Work},
    lab::{GroupName, Lab},
    plan::docker::{Action, Object, Role},
};

/// The stages, in the order in which a group goes through them.
const STAGES: [&str; 4] = ["images", "networks", "servers", "clients"];

/// The bars and the table.
pub struct Shown {
    out: Output,
    /// None where JSON is printed.
    table: Option<Growing>,
    /// What stands below it.
    notes: Vec<String>,
    stages: Option<Stages>,
    students: Vec<Student>,
    /// Which students' rows are printed.
    printed: BTreeSet<usize>,
    /// Groups with steps still to come.
    busy: BTreeSet<String>,
    failed: BTreeSet<(String, Option<String>)>,
}

impl Shown {
    /// Nothing yet.
    pub fn new(out: Output) -> Self {
        let (students, printed) = (Vec::new(), BTreeSet::new());
        let (busy, failed) = (BTreeSet::new(), BTreeSet::new());
        Self { out, table: None, notes: Vec::new(), stages: None, students, printed, busy, failed }
    }

    /// Begins with a plan: whoever gets a container or a server by it has a row.
    pub fn begin(&mut self, lab: &Lab, work: &Work, json: bool) -> Result<(), Error> {
        let of_server = |config| credentials::of_server(config, lab.docker.publish);
        let created: BTreeSet<&Object> =
            work.steps.iter().filter(|step| step.action == Action::Create).map(|step| &step.object).collect();
        let new = |student: &Student| {
            let Ok(group) = student.group.parse::<GroupName>() else { return false };
            let client = student.login.parse().map(|login| Object::of(&group, Role::Client(login)));
            created.contains(&Object::of(&group, Role::Server)) || client.is_ok_and(|client| created.contains(&client))
        };
        self.students = super::servers(&work.desired).flat_map(of_server).filter(new).collect();
        if !json {
            let (table, notes) = said::table(self.out, &self.students);
            (self.table, self.notes) = (Some(table), notes);
        }
        self.failed.clear();
        let busy = work.steps.iter().filter_map(|step| step.object.group.as_ref()).map(ToString::to_string);
        self.busy = busy.collect();
        let of = |stage| work.steps.iter().filter(|step| stage_of(&step.object) == stage).count();
        let needed = images(work);
        let steps = [usize::from(needed.server) + usize::from(needed.client), of(1), of(2), of(3)];
        let stages: Vec<_> = STAGES.into_iter().zip(steps).collect();
        self.stages = (!work.steps.is_empty()).then(|| self.out.stages(&stages));
        self.print()
    }

    /// An image that is not there is being made; that takes several lines.
    pub fn making(&self, what: &str) {
        self.apart(|out| out.note(what));
    }

    /// An image is there.
    pub fn image(&mut self, image: &str) {
        if let Some(stages) = &mut self.stages {
            stages.step(0, format_args!("image `{image}`"));
        }
    }

    /// Takes news from the engine.
    pub fn tell(&mut self, news: &Progress<'_>) -> Result<(), Error> {
        match news {
            Progress::Step(step, problem) => {
                if problem.is_some() {
                    let client = match &step.object.role {
                        Role::Client(login) => Some(login.to_string()),
                        Role::Backbone | Role::Front | Role::Network | Role::Server => None,
                    };
                    let group = step.object.group.as_ref().map(ToString::to_string);
                    self.failed.extend(group.map(|group| (group, client)));
                }
                if let Some(stages) = &mut self.stages {
                    let failed = if problem.is_some() { "failed: " } else { "" };
                    stages.step(stage_of(&step.object), format_args!("{failed}{}", step.what()));
                }
                Ok(())
            }
            Progress::Group(group, _) => {
                self.busy.remove(group.as_str());
                self.print()
            }
            Progress::Stopping => {
                let note = "stopping: what was begun is brought to its end; Ctrl-C again does not wait for it";
                self.apart(|out| out.note(note));
                Ok(())
            }
        }
    }

    /// Ends the bars and, where it was begun, the table.
    pub fn end(&mut self) -> Result<(), Error> {
        self.rest();
        let Some(table) = self.table.as_ref().filter(|_| !self.printed.is_empty()) else { return Ok(()) };
        self.out.data(table.foot())?;
        let usable = self.usable().count();
        if usable > self.printed.len() {
            self.out.note(format_args!("… and {}", count(usable - self.printed.len(), "more student")));
        }
        for note in &self.notes {
            self.out.sentence(note);
        }
        Ok(())
    }

    /// Ends the bars only.
    pub fn rest(&mut self) {
        if let Some(stages) = self.stages.take() {
            stages.finish();
        }
    }

    /// The first student who can begin.
    pub fn first(&self) -> Option<&Student> {
        self.usable().next().map(|(_, student)| student)
    }

    /// Students who can begin, up to the first group that is not done, so that the rows are in the order of the lab.
    fn usable(&self) -> impl Iterator<Item = (usize, &Student)> {
        let done = self.students.iter().enumerate().take_while(|(_, student)| !self.busy.contains(&student.group));
        done.filter(|(_, student)| {
            let failed = |client: Option<&String>| self.failed.contains(&(student.group.clone(), client.cloned()));
            !failed(None) && !failed(Some(&student.login))
        })
    }

    /// Prints the rows that came to hold.
    fn print(&mut self) -> Result<(), Error> {
        let Some(table) = &self.table else { return Ok(()) };
        let room = said::most_rows(self.out).saturating_sub(self.printed.len());
        let new = self.usable().map(|(row, _)| row).filter(|row| !self.printed.contains(row));
        let new: Vec<usize> = new.take(room).collect();
        if new.is_empty() {
            return Ok(());
        }
        let head = if self.printed.is_empty() { table.head() } else { "" };
        let text = std::iter::once(head).chain(new.iter().map(|row| table.row(*row))).collect::<String>();
        self.apart(|out| out.data(&text))?;
        self.printed.extend(new);
        Ok(())
    }

    /// Prints beside the bars.
    fn apart<T>(&self, print: impl FnOnce(Output) -> T) -> T {
        match &self.stages {
            Some(stages) => stages.apart(|| print(self.out)),
            None => print(self.out),
        }
    }
}

/// Which images a plan needs.
pub struct Needed {
    /// The servers'.
    pub server: bool,
    /// The clients'.
    pub client: bool,
}

/// Which images containers are made of.
pub fn images(work: &Work) -> Needed {
    let creates =
        |stage| work.steps.iter().any(|step| step.action == Action::Create && stage_of(&step.object) == stage);
    Needed { server: creates(2), client: creates(3) }
}

fn stage_of(object: &Object) -> usize {
    match object.role {
        Role::Backbone | Role::Front | Role::Network => 1,
        Role::Server => 2,
        Role::Client(_) => 3,
    }
}
