//! The only place that prints: data to standard output, the rest to standard error. Colour, boxes and progress bars are for
//! terminals; into a pipe or a file go plain lines.
//!
//! Whatever is printed passes `harmless` first, because a name, a reply or an error may be of a student's choosing. Only
//! what programs in containers say to `shell` and `exec` is passed on as it is: whoever runs these asked for it.

pub mod given;
pub mod growing;
mod harmless;
pub mod stages;

use std::{
    fmt::Display,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Zoned;
use serde::Serialize;

use self::harmless::{Styles, harmless};
use super::{
    args::{Color, Global},
    error::{Error, shell_word},
};
use crate::{
    lab::Lab,
    trace::json_visible,
    words::{Lang, Words},
};

/// A progress bar shows after this: what takes less is over before it can be read.
const BLINK: Duration = Duration::from_millis(300);

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();
const BOLD: Style = Style::new().bold();

/// Where the program prints, and in which language.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// What the command line says.
    asked: Option<Lang>,
    language: Lang,
}

impl Output {
    /// As the command line and the environment want it.
    pub fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Self { asked: global.lang, language: global.lang.unwrap_or_else(language_of_environment) }
    }

    /// Before the command line is understood.
    pub fn plain() -> Self {
        Self { asked: None, language: language_of_environment() }
    }

    /// How marks are put into words.
    pub fn words(self) -> Words {
        Words { lang: self.language, utc_offset_secs: Zoned::now().offset().seconds() }
    }

    /// The same for what students are given: in their lab's language, unless the command line names another.
    pub fn words_for(self, lab: &Lab) -> Words {
        let words = self.words();
        let lang = lab.language().filter(|_| self.asked.is_none()).map(Lang::from_code);
        Words { lang: lang.unwrap_or(words.lang), ..words }
    }

    /// How many characters fit on a line of the terminal that data goes to.
    pub fn width(self) -> Option<usize> {
        Table::new().width().map(usize::from)
    }

    /// Whether data goes to a terminal.
    pub fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether data should be coloured.
    pub fn is_colored(self) -> bool {
        !matches!(anstream::AutoStream::choice(&io::stdout()), anstream::ColorChoice::Never)
    }

    /// Whether what goes to standard error should be coloured.
    pub fn errors_are_colored(self) -> bool {
        !matches!(anstream::AutoStream::choice(&io::stderr()), anstream::ColorChoice::Never)
    }

    /// Prints data.
    pub fn data(self, text: &str) -> Result<(), Error> {
        write(&harmless(text, Styles::None))
    }

    /// Prints data that is styled already, and whose texts were made visible before that.
    pub fn styled(self, text: &str) -> Result<(), Error> {
        write(&harmless(text, Styles::Kept))
    }

    /// Prints data as it is, for a pipe or a file.
    pub fn octets(self, octets: &[u8]) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(octets).and_then(|()| out.flush()).map_err(Error::Output)
    }

    /// Prints data as JSON, one line.
    pub fn json(self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(value).map_err(|problem| Error::Output(problem.into()))?;
        write(&(json_visible(&text) + "\n"))
    }

    /// Empties the terminal before a table is shown again; elsewhere nothing.
    pub fn clear(self) -> Result<(), Error> {
        if self.is_terminal() { write("\x1b[H\x1b[2J\x1b[3J") } else { Ok(()) }
    }

    /// Says what is going on.
    pub fn note(self, text: impl Display) {
        say(Style::new(), "", given::completed(&text.to_string()));
    }

    /// Says it in lines that fit the terminal.
    pub fn sentence(self, text: &str) {
        match Table::new().width().filter(|_| self.is_terminal()) {
            Some(width) => self.note(textwrap::fill(text, usize::from(width))),
            None => self.note(text),
        }
    }

    /// Warns.
    pub fn warn(self, text: impl Display) {
        say(YELLOW, "warning:", given::completed(&text.to_string()));
    }

    /// Says the way out.
    pub fn hint(self, text: impl Display) {
        say(CYAN, "hint:", given::completed(&text.to_string()));
    }

    /// Says what went wrong, and the way out where there is one.
    pub fn problem(self, text: impl Display, hint: Option<&str>) {
        say(RED, "error:", text);
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }

    /// Shows rendered diagnostics.
    pub fn diagnostics(self, rendered: &str) {
        write_error(&harmless(rendered, Styles::Kept));
    }

    /// A heading among notes.
    pub fn heading(self, text: impl Display) {
        let text = text.to_string();
        write_error(&format!("{BOLD}{}{BOLD:#}\n", harmless(&text, Styles::None)));
    }

    /// Shows how far something is that has `total` steps, once it has taken longer than a blink.
    pub fn progress(self, what: &'static str, total: usize) -> Progress {
        Progress { what, total, done: 0, started: Instant::now(), bar: None }
    }

    /// Asks; no is the default. Where nobody can answer, it is an error that says what to pass instead.
    pub fn ask(self, question: &str) -> Result<bool, Error> {
        if !io::stdin().is_terminal() {
            return Err(Error::CannotAsk { question: question.to_owned() });
        }
        let mut err = anstream::stderr().lock();
        write!(err, "{} [y/N] ", harmless(question, Styles::None)).and_then(|()| err.flush()).map_err(Error::Output)?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(Error::Output)?;
        let answer = answer.trim().to_lowercase();
        Ok(["y", "yes", "s", "si", "sí"].contains(&answer.as_str()))
    }
}

/// The standard streams, for a verb that only passes on what others say.
pub fn streams() -> (tokio::io::Stdin, tokio::io::Stdout) {
    (tokio::io::stdin(), tokio::io::stdout())
}

/// Standard error, for the same.
pub fn errors() -> tokio::io::Stderr {
    tokio::io::stderr()
}

/// A line of a server's log, with the date: whoever reads it comes later.
pub fn log(line: &str) {
    say(Style::new(), "", format_args!("{} {line}", Zoned::now().strftime("%Y-%m-%d %H:%M:%S")));
}

fn write(text: &str) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}

/// Says a line, behind a word of what kind it is.
fn say(style: Style, kind: &str, text: impl Display) {
    let text = text.to_string();
    let text = harmless(&text, Styles::None);
    let between = if kind.is_empty() { "" } else { " " };
    write_error(&format!("{style}{kind}{style:#}{between}{text}\n"));
}

/// Standard error that is gone is no reason to stop.
fn write_error(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// A progress bar on standard error, if that is a terminal.
pub struct Progress {
    what: &'static str,
    total: usize,
    done: usize,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// One step is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.bar.is_none() && self.started.elapsed() > BLINK && io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}").expect("a template that is tested");
            self.bar = Some(ProgressBar::new(self.total as u64).with_style(style).with_message(self.what));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The language that the environment asks for, by the variables' usual order.
fn language_of_environment() -> Lang {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    set.map_or_else(Lang::default, |value| Lang::from_code(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_template_is_one() {
        assert!(ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}").is_ok());
    }
}
