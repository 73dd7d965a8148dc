//! How far work is that has several stages at once: a bar for each on a terminal, a plain line for each step elsewhere.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use anstyle::Style;

use super::{Error, Output, say};

/// A bar: its name, what is drawn, how much is done.
const TEMPLATE: &str = "{msg:10} {bar:30} {pos}/{len}";

/// Stages of a work, in the order in which they are shown; one without steps is not shown.
pub struct Stages {
    out: Output,
    done: usize,
    total: usize,
    bars: Option<Bars>,
}

/// What a terminal shows.
struct Bars {
    all: MultiProgress,
    of: Vec<ProgressBar>,
}

impl Output {
    /// Shows stages of so many steps each.
    pub fn stages(self, stages: &[(&'static str, usize)]) -> Stages {
        let total = stages.iter().map(|(_, steps)| steps).sum();
        Stages { out: self, done: 0, total, bars: io::stderr().is_terminal().then(|| Bars::new(stages)) }
    }
}

impl Bars {
    fn new(stages: &[(&'static str, usize)]) -> Self {
        let all = MultiProgress::new();
        let bar = |(name, steps): &(&'static str, usize)| {
            let style = ProgressStyle::with_template(TEMPLATE).expect("a template that is tested");
            let bar = ProgressBar::new(*steps as u64).with_style(style).with_message(*name);
            if *steps == 0 {
                return bar;
            }
            let bar = all.add(bar);
            bar.tick();
            bar
        };
        let of = stages.iter().map(bar).collect();
        Self { all, of }
    }
}

impl Stages {
    /// A step of the stage is done, or was tried in vain.
    pub fn step(&mut self, stage: usize, what: impl Display) {
        self.done += 1;
        match &self.bars {
            Some(bars) => bars.of[stage].inc(1),
            None => say(Style::new(), "", format_args!("{:>5}/{} {what}", self.done, self.total)),
        }
    }

    /// Prints data above the bars.
    pub fn data(&self, text: &str) -> Result<(), Error> {
        self.apart(|| self.out.data(text))
    }

    /// Says what went wrong, or what is going on, above the bars.
    pub fn apart<T>(&self, tell: impl FnOnce() -> T) -> T {
        match &self.bars {
            Some(bars) => bars.all.suspend(tell),
            None => tell(),
        }
    }

    /// Takes the bars away.
    pub fn finish(self) {
        if let Some(bars) = self.bars {
            bars.of.iter().for_each(ProgressBar::finish_and_clear);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
