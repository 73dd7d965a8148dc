//! `labctl report`: marks, read straight from the stores, so it works whether the lab is up or not.

use std::{fs, time::Duration};

use tokio::{sync::mpsc, time::timeout};

use crate::{
    cli::{
        args::Report as Args,
        error::Error,
        exit::Exit,
        marks::{self, Marked},
        naming::{Opened, Shell, Whom},
        output::Output,
        verbs::interrupted,
    },
    control::Followed,
    engine::Engine,
    lab::exercise::Points,
    marking::StudentMarks,
    report::{self, Report, TableOptions},
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
    let opened = shell.open_to_read(args.lab.as_deref())?;
    opened.settle(shell.out)?;
    if let Some(session) = args.session
        && !opened.lab.exercises.iter().any(|exercise| exercise.session == session)
    {
        return Err(Error::UnknownSession { lab: opened.lab.name, session });
    }
    let student = args.student.as_deref().map(|name| Whom::student_only(&opened.lab, name)).transpose()?;
    let view = View { out: shell.out, args, student: student.map(|login| login.to_string()) };
    let (groups, problems) = marks::of_lab(&opened.lab, &opened.key, &opened.dir);
    for problem in &problems {
        shell.out.problem(format_args!("{problem}; what depends on it is marked unclear"), None);
    }
    let exit = if problems.is_empty() { Exit::Done } else { Exit::Partly };
    if args.follow {
        super::runtime()?.block_on(follow(&view, &opened, groups))?;
        return Ok(exit);
    }
    let text = view.render(&opened, &groups);
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
    student: Option<String>,
}

impl View<'_> {
    fn render(&self, opened: &Opened, groups: &[Marked]) -> String {
        let mut students: Vec<StudentMarks> = groups.iter().flat_map(Marked::marks).collect();
        students.retain(|marks| self.student.as_deref().is_none_or(|login| marks.login.as_str() == login));
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
        if self.student.is_some() {
            return report.students.iter().map(|marks| report::words(marks, words, colour)).collect();
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
