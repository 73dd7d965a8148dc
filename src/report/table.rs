//! The table: students by exercises, as wide as the terminal allows and no wider; what does not fit is split by session, and
//! a session that does not fit by columns.

use std::collections::BTreeSet;

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

use super::{Report, sign};
use crate::{
    lab::exercise::Points,
    marking::{Mark, StudentMarks, Verdict},
    trace::visible,
    words::{Lang, Phrase, Words, phrase},
};

/// The longest student column, in characters; the rest of a name is cut.
pub const STUDENT_WIDTH: usize = 32;

/// The narrowest table that is drawn, in characters.
pub const MIN_WIDTH: usize = 40;

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How to draw the table.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    /// The language.
    pub lang: Lang,
    /// Whether signs are coloured as well.
    pub colour: bool,
    /// How many characters fit on a line.
    pub width: usize,
    /// Only the exercises of this session.
    pub session: Option<u32>,
}

impl TableOptions {
    fn say(&self, phrase: &Phrase) -> String {
        Words { lang: self.lang, utc_offset_secs: 0 }.say(phrase)
    }
}

/// How much a cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `1.1` and `✓ 2.5`
    Wide,
    /// `1.1` and `✓`, with names
    Signs,
    /// `1.1` and `✓`
    Logins,
    /// `1.` over `1`, and `✓`
    Narrow,
}

/// A table cell before it is drawn: lines of text, and the verdict that colours it.
type Text = (String, Option<Verdict>);

/// Draws the table, with a legend below.
pub fn table(report: &Report, options: TableOptions) -> String {
    let Some(first) = report.students.first() else {
        return options.say(&phrase("no-students")) + "\n";
    };
    let sessions = first.exercises.iter().map(|mark| mark.exercise.session);
    let sessions: BTreeSet<u32> =
        sessions.filter(|session| options.session.is_none_or(|only| only == *session)).collect();
    let of = |session: u32| {
        let all = first.exercises.iter().enumerate();
        all.filter(move |(_, mark)| mark.exercise.session == session).map(|(place, _)| place).collect::<Vec<_>>()
    };
    let drawing = Drawing { report, options };
    let together: Vec<usize> = sessions.iter().flat_map(|session| of(*session)).collect();
    let title = visible(report.title.in_language(options.lang.code()));
    let mut parts = vec![title];
    if let Some(whole) = drawing.fitting(&together) {
        parts.push(whole);
    } else {
        for session in &sessions {
            parts.push(format!(
                "{}\n{}",
                options.say(&phrase("session").with("session", u64::from(*session))),
                drawing.split(&of(*session))
            ));
        }
    }
    parts.push(drawing.legend());
    parts.join("\n\n") + "\n"
}

struct Drawing<'a> {
    report: &'a Report,
    options: TableOptions,
}

impl Drawing<'_> {
    /// The columns in the widest layout that fits.
    fn fitting(&self, places: &[usize]) -> Option<String> {
        [Layout::Wide, Layout::Signs, Layout::Logins, Layout::Narrow].into_iter().find_map(|layout| {
            let rows = self.rows(places, layout);
            (width(&rows, layout) <= self.options.width.max(MIN_WIDTH)).then(|| self.draw(&rows, layout))
        })
    }

    /// As many columns at a time as fit.
    fn split(&self, places: &[usize]) -> String {
        let mut parts = Vec::new();
        let mut rest = places;
        while !rest.is_empty() {
            let fits = (1..=rest.len()).rev().find_map(|count| Some((count, self.fitting(&rest[..count])?)));
            let (count, drawn) =
                fits.unwrap_or_else(|| (1, self.draw(&self.rows(&rest[..1], Layout::Narrow), Layout::Narrow)));
            parts.push(drawn);
            rest = &rest[count..];
        }
        parts.join("\n\n")
    }

    /// Header, one row a student, and how many have done each exercise.
    fn rows(&self, places: &[usize], layout: Layout) -> Vec<Vec<Text>> {
        let say = |phrase| self.options.say(&phrase);
        let Self { report, .. } = self;
        let groups: BTreeSet<&str> = report.students.iter().map(|student| student.group.as_str()).collect();
        let head = places.iter().map(|place| (id(&report.students[0].exercises[*place], layout), None));
        let mut rows = vec![enclose(say(phrase("table-student")), head, say(phrase("table-points")))];
        for student in &report.students {
            let marks = || places.iter().map(|place| &student.exercises[*place]);
            let cells = marks().map(|mark| (cell(mark, layout), Some(mark.verdict)));
            let sum = |points: &dyn Fn(&Mark) -> Points| Points(marks().map(|mark| points(mark).0).sum());
            let points = format!("{}/{}", sum(&|mark| mark.points), sum(&|mark| mark.exercise.points));
            rows.push(enclose(label(student, groups.len() > 1, layout), cells, points));
        }
        let done = |place: usize| {
            report.students.iter().filter(|student| student.exercises[place].verdict == Verdict::Done).count()
        };
        let counts = places.iter().map(|place| (done(*place).to_string(), None));
        rows.push(enclose(say(phrase("table-done")), counts, String::new()));
        rows
    }

    fn draw(&self, rows: &[Vec<Text>], layout: Layout) -> String {
        let mut table = Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
        if self.options.colour {
            table.enforce_styling();
        }
        let cells = |row: &[Text]| row.iter().map(coloured).collect::<Vec<Cell>>();
        table.set_header(cells(&rows[0]));
        table.add_rows(rows[1..].iter().map(|row| cells(row)));
        for column in table.column_iter_mut() {
            column.set_padding((0, padding(layout)));
        }
        if let Some(points) = table.column_mut(rows[0].len() - 1) {
            points.set_cell_alignment(CellAlignment::Right);
        }
        table.trim_fmt()
    }

    fn legend(&self) -> String {
        self.options.say(&phrase("table-legend"))
    }
}

fn enclose(first: String, cells: impl Iterator<Item = Text>, last: String) -> Vec<Text> {
    [(first, None)].into_iter().chain(cells).chain([(last, None)]).collect()
}

fn id(mark: &Mark, layout: Layout) -> String {
    let id = mark.exercise.id.as_str();
    match layout {
        Layout::Wide | Layout::Signs | Layout::Logins => id.to_owned(),
        Layout::Narrow => id.replace('.', ".\n"),
    }
}

fn cell(mark: &Mark, layout: Layout) -> String {
    match layout {
        Layout::Wide if mark.points > Points(0) => format!("{} {}", sign(mark), mark.points),
        Layout::Wide | Layout::Signs | Layout::Logins | Layout::Narrow => sign(mark).to_owned(),
    }
}

fn label(student: &StudentMarks, with_group: bool, layout: Layout) -> String {
    let group = if with_group { format!("{}/", student.group) } else { String::new() };
    let name = student
        .name
        .as_ref()
        .filter(|_| matches!(layout, Layout::Wide | Layout::Signs))
        .map(|name| format!(" {}", visible(name)));
    cut(format!("{group}{}{}", student.login, name.unwrap_or_default()))
}

fn cut(label: String) -> String {
    if label.chars().count() <= STUDENT_WIDTH {
        return label;
    }
    label.chars().take(STUDENT_WIDTH - 1).chain(['…']).collect()
}

fn coloured((text, verdict): &Text) -> Cell {
    let cell = Cell::new(text);
    match verdict {
        None => cell,
        Some(Verdict::Done) => cell.fg(Color::Green),
        Some(Verdict::Missing) => cell.fg(Color::Red),
        Some(Verdict::Unclear) => cell.fg(Color::Yellow),
    }
}

/// Blanks between columns, besides the one that is always there.
const fn padding(layout: Layout) -> u16 {
    match layout {
        Layout::Wide => 1,
        Layout::Signs | Layout::Logins | Layout::Narrow => 0,
    }
}

/// How many characters a line of the table takes.
fn width(rows: &[Vec<Text>], layout: Layout) -> usize {
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let gap = 1 + usize::from(padding(layout));
    let column = |at: usize| rows.iter().map(|row| longest(&row[at].0)).max().unwrap_or(0) + gap;
    (0..rows[0].len()).map(column).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut() {
        let n = "ñ".repeat(STUDENT_WIDTH);
        assert_eq!(cut(n.clone()), n);
        let longer = cut(format!("{n}n"));
        assert_eq!((longer.chars().count(), longer.ends_with('…')), (STUDENT_WIDTH, true));
    }
}
