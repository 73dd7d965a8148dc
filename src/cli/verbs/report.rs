//! `labctl report`: marks, read straight from the stores, so it works whether the lab is up or not.

use std::{fs, time::Duration};

use tokio::{sync::mpsc, time::timeout};

use crate::{
    cli::{
        args::Report as Args,
        error::Error,
        exit::Exit,
        marks::{self, Marked},
        naming::{Opened, Shell},
        output::Output,
        verbs::interrupted,
        whom::Whom,
    },
    control::Followed,
    engine::Engine,
    lab::{Lab, exercise::Points},
    marking::StudentMarks,
    report::{self, Report, TableOptions},
    trace::Look,
    words::Words,
};

/// Changes that come closer together than this are shown together.
const TOGETHER: Duration = Duration::from_millis(250);

/// Events that may wait to be marked.
const WAITING: usize = 1_024;

/// The width of a table where nobody knows how wide the terminal is.
const WIDTH: usize = 100;

/// Shows marks; with `--follow` again whenever they change.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    let whom = student_of(&opened.lab, whom, args.student.as_deref())?;
    if args.proof {
        of_one_student(&opened.lab, whom.as_ref())?;
    }
    opened.settle(shell.out)?;
    if let Some(session) = args.session
        && !opened.lab.exercises.iter().any(|exercise| exercise.session == session)
    {
        return Err(Error::UnknownSession { lab: opened.lab.name, session });
    }
    let view = View { out: shell.out, args, whom };
    let (groups, problems) = marks::of_lab(&opened.lab, &opened.key, &opened.dir);
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

/// Shows the marks again whenever they change, until the lab is down.
async fn follow(view: &View<'_>, opened: &Opened, mut groups: Vec<Marked>) -> Result<(), Error> {
    let engine = opened.engine().await?;
    engine.status().await?.ok_or_else(|| Error::NotUp { name: opened.lab.name.clone() })?;
    let mut events = subscribe(opened, &engine, &groups).await?;
    let mut shown = String::new();
    loop {
        let text = view.render(opened, &groups);
        if text != shown {
            view.out.clear()?;
            view.out.styled(&text)?;
            shown = text;
        }
        let Some(first) = events.recv().await else { return Ok(()) };
        take(view, opened, &mut groups, first);
        while let Ok(Some(next)) = timeout(TOGETHER, events.recv()).await {
            take(view, opened, &mut groups, next);
        }
        if let Engine::Docker(docker) = &engine {
            // The mail that these events speak of is not in the copies yet.
            docker.settle().await?;
            (groups, _) = marks::of_lab(&opened.lab, &opened.key, &opened.dir);
        }
    }
}

fn take(view: &View<'_>, opened: &Opened, groups: &mut [Marked], (index, followed): (usize, Followed)) {
    match followed {
        Followed::Event(event) => groups[index].take(&event),
        Followed::Trouble(trouble) => {
            interrupted::tell(view.out, opened.lab.groups[index].name.as_str(), trouble.as_ref());
        }
    }
}

/// The events of all groups that come after what was marked, each with the place of its group.
async fn subscribe(
    opened: &Opened,
    engine: &Engine,
    groups: &[Marked],
) -> Result<mpsc::Receiver<(usize, Followed)>, Error> {
    let client = engine.client().await?;
    let (send, receive) = mpsc::channel(WAITING);
    for (index, (group, marked)) in opened.lab.groups.iter().zip(groups).enumerate() {
        let mut events = client.follow(&group.name, marked.last()).await?;
        let send = send.clone();
        tokio::spawn(async move {
            while let Ok(Some(followed)) = events.next().await {
                if send.send((index, followed)).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receive)
}
