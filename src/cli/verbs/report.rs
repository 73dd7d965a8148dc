//! `labctl report`: marks, read straight from the stores, so it works whether the lab is up or not.

use std::{collections::BTreeMap, fs, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{
    cli::{
        args::Report as Args,
        error::Error,
        exit::Exit,
        marks::{self, Marked},
        naming::{Opened, Shell},
        output::Output,
        verbs::trace::tell,
        whom::Whom,
    },
    evidence::Seq,
    lab::{Lab, exercise::Points},
    live::{Health, Live, News},
    marking::StudentMarks,
    names::GroupName,
    report::{self, Report, TableOptions},
    trace::Look,
    words::Words,
};

/// How long changes are gathered before they are shown, from the first one on.
const TOGETHER: Duration = Duration::from_millis(250);

/// The width of a table where nobody knows how wide the terminal is.
const WIDTH: usize = 100;

/// Shows marks; with `--follow` again whenever they change.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    let whom = student_of(&opened.lab, whom, args.student.as_deref())?;
    if args.proof {
        of_one_student(&opened.lab, whom.as_ref())?;
    }
    let only = whom.as_ref().map(|whom| whom.group(&opened.lab));
    opened.settle(shell.out, only.map(|group| &group.name))?;
    if let Some(session) = args.session
        && !opened.lab.exercises.iter().any(|exercise| exercise.session == session)
    {
        return Err(Error::UnknownSession { lab: opened.lab.name, session });
    }
    let (groups, problems) = match only {
        Some(group) => {
            let (marked, problems) = marks::of_group(&opened.lab, group, &opened.key, &opened.dir);
            (vec![marked], problems)
        }
        None => marks::of_lab(&opened.lab, &opened.key, &opened.dir),
    };
    let view = View { out: shell.out, args, whom };
    for problem in &problems {
        shell.out.problem(format_args!("{problem}; what depends on it is marked unclear"), None);
    }
    let exit = if problems.is_empty() { Exit::Done } else { Exit::Partly };
    if args.follow {
        super::runtime()?.block_on(follow(&view, &opened, groups))?;
        return Ok(exit);
    }
    let mut text = view.render(&opened, &groups);
    if args.proof {
        let words = shell.out.words();
        let look =
            Look { utc_offset_secs: words.utc_offset_secs, colour: shell.out.is_colored() && args.output.is_none() };
        let wanted = |marks: &StudentMarks| view.wants(marks);
        if let Some(marks) = groups.iter().flat_map(Marked::marks).find(wanted) {
            text = text + "\n" + &super::proof::transcript(&opened, &marks, look)?;
        }
    }
    match &args.output {
        Some(path) => fs::write(path, text).map_err(Error::file("write", path))?,
        None => shell.out.styled(&text)?,
    }
    Ok(exit)
}

/// What of the marks is shown, and how.
struct View<'a> {
    out: Output,
    args: &'a Args,
    whom: Option<Whom>,
}

/// Whom the report is about, where `--student` may name the student.
fn student_of(lab: &Lab, whom: Option<Whom>, student: Option<&str>) -> Result<Option<Whom>, Error> {
    let Some(name) = student else { return Ok(whom) };
    let (group, login) = Whom::student_only(lab, name)?;
    match whom {
        Some(other) if !other.includes(group.as_str(), login.as_str()) => {
            Err(Error::Usage { why: format!("`--student {login}` is not of whom is named beside it") })
        }
        Some(_) | None => Ok(Some(Whom::Student(group, login))),
    }
}

/// That proof is asked for of one student.
fn of_one_student(lab: &Lab, whom: Option<&Whom>) -> Result<(), Error> {
    match whom {
        Some(Whom::Student(..)) => Ok(()),
        Some(Whom::Group(group)) => Whom::student_only(lab, group.as_str()).map(drop),
        None => Err(Error::Usage { why: "`--proof` is for one student: `labctl report LOGIN --proof`".into() }),
    }
}

impl View<'_> {
    fn wants(&self, marks: &StudentMarks) -> bool {
        self.whom.as_ref().is_none_or(|whom| whom.includes(marks.group.as_str(), marks.login.as_str()))
    }

    fn render(&self, opened: &Opened, groups: &[Marked]) -> String {
        let mut students: Vec<StudentMarks> = groups.iter().flat_map(Marked::marks).collect();
        students.retain(|marks| self.wants(marks));
        if let Some(session) = self.args.session {
            for marks in &mut students {
                keep_session(marks, session);
            }
        }
        let report = Report::new(&opened.lab, students);
        let words = self.out.words();
        if self.args.json {
            return report::json(&report, words) + "\n";
        }
        if self.args.csv {
            return report::csv(&report);
        }
        let to_terminal = self.args.output.is_none() && self.out.is_terminal();
        let colour = self.args.output.is_none() && self.out.is_colored();
        if matches!(self.whom, Some(Whom::Student(..))) {
            let width = if to_terminal { self.out.width() } else { None };
            return report.students.iter().map(|marks| report::words(marks, words, colour, width)).collect();
        }
        if to_terminal { self.table(&report, words, colour) } else { plain(&report) }
    }

    fn table(&self, report: &Report, words: Words, colour: bool) -> String {
        let width = self.out.width().unwrap_or(WIDTH);
        report::table(report, TableOptions { lang: words.lang, colour, width, session: None })
    }
}

/// What is not in this session is not there, also not in the sums.
fn keep_session(marks: &mut StudentMarks, session: u32) {
    marks.exercises.retain(|mark| mark.exercise.session == session);
    let sum = |points: &mut dyn Iterator<Item = Points>| Points(points.map(|points| points.0).sum());
    marks.points = sum(&mut marks.exercises.iter().map(|mark| mark.points));
    marks.out_of = sum(&mut marks.exercises.iter().map(|mark| mark.exercise.points));
}

/// The table as lines with tabs, for pipes and files.
fn plain(report: &Report) -> String {
    let exercises = report.students.first().map_or(&[][..], |marks| &marks.exercises);
    let ids = exercises.iter().map(|mark| mark.exercise.id.to_string());
    let head = ["GROUP".to_owned(), "STUDENT".to_owned()].into_iter().chain(ids).chain(["POINTS".to_owned()]);
    let line = |cells: Vec<String>| cells.join("\t") + "\n";
    let row = |marks: &StudentMarks| {
        let verdicts = marks.exercises.iter().map(|mark| mark.verdict.as_str().to_owned());
        let who = [marks.group.to_string(), marks.login.to_string()];
        let points = format!("{}/{}", marks.points, marks.out_of);
        line(who.into_iter().chain(verdicts).chain([points]).collect())
    };
    line(head.collect()) + &report.students.iter().map(row).collect::<String>()
}

/// Shows the marks again whenever they change, until the lab is down: at once, and then as often as [`TOGETHER`] lets it,
/// however much goes on. What does not answer is waited for, and it is said.
async fn follow(view: &View<'_>, opened: &Opened, mut groups: Vec<Marked>) -> Result<(), Error> {
    let engine = opened.engine().await?;
    engine.status().await?.ok_or_else(|| Error::NotUp { name: opened.lab.name.clone() })?;
    let seen: BTreeMap<GroupName, Seq> =
        groups.iter().map(|marked| (marked.group().clone(), marked.last_written())).collect();
    let live = Live::open(engine.clone(), opened.dir.clone(), seen.clone());
    let mut watch = live.watch(seen);
    let (mut shown, mut awaited) = (String::new(), BTreeMap::new());
    view.draw(opened, &groups, &awaited, &mut shown)?;
    while let Some(first) = watch.next().await {
        let (mut next, until) = (Some(first), Instant::now() + TOGETHER);
        while let Some(news) = next.take() {
            match news {
                News::Event { group, event } => {
                    let Some(marked) = groups.iter_mut().find(|marked| *marked.group() == group) else { continue };
                    let message = match event.kind.stored() {
                        Some(id) => watch.message(&group, id).await,
                        None => None,
                    };
                    if !marked.take(&event, message.as_deref()) {
                        // It has to look again at what was, and at what came since the copy.
                        let settled = engine.settle(Some(&group)).await;
                        if let (Ok(()), Some(found)) = (settled, opened.lab.group(group.as_str())) {
                            (*marked, _) = marks::of_group(&opened.lab, found, &opened.key, &opened.dir);
                        }
                    }
                }
                News::Health { group, health } => {
                    tell(view.out, &group, &health);
                    match health {
                        Health::Answers | Health::Store(None) => awaited.remove(&group),
                        Health::Awaited { .. } | Health::Store(Some(_)) => awaited.insert(group, health),
                    };
                }
                News::Behind { .. } => {}
            }
            next = timeout_at(until, watch.next()).await.ok().flatten();
        }
        view.draw(opened, &groups, &awaited, &mut shown)?;
    }
    Ok(())
}

impl View<'_> {
    /// Shows the marks where they are others than those shown.
    fn draw(
        &self,
        opened: &Opened,
        groups: &[Marked],
        awaited: &BTreeMap<GroupName, Health>,
        shown: &mut String,
    ) -> Result<(), Error> {
        let text = self.render(opened, groups);
        if text != *shown {
            self.out.clear()?;
            self.out.styled(&text)?;
            if self.out.is_terminal() {
                for (group, health) in awaited {
                    tell(self.out, group, health);
                }
            }
            *shown = text;
        }
        Ok(())
    }
}
