//! Figures and how they are printed: medians, ranges, ratios, goals. The only file of the benchmark that writes to stdout.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets::ASCII_MARKDOWN};

/// Rounds of every comparison; each round runs one after the other.
pub const ROUNDS: usize = 5;

/// What the rounds gave.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// One more round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle value; of an even number of rounds, the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let half = self.0.len() / 2;
        if self.0.len() % 2 == 1 { self.0[half] } else { f64::midpoint(self.0[half - 1], self.0[half]) }
    }

    fn show(&self) -> String {
        let (low, high) = (self.0[0], self.0[self.0.len() - 1]);
        if self.0.len() == 1 {
            return digits(low);
        }
        format!("{} ({}–{})", digits(self.median()), digits(low), digits(high))
    }
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}

/// What a figure counts, and which way is better.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Something per second: more is better.
    Rate(&'static str),
    /// Something spent: less is better.
    Cost(&'static str),
}

/// What is asked of labctl.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// This many times better than the peer.
    Times(f64),
    /// Our own figure at most (a cost) or at least (a rate) this.
    Absolute(f64),
    /// Nothing: a figure to compare with.
    Reference,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// In what.
    pub unit: Unit,
    /// labctl's rounds; none for a line that only shows a peer.
    pub ours: Option<Sample>,
    /// The peer and its rounds.
    pub peer: Option<(&'static str, Sample)>,
    /// The goal.
    pub goal: Goal,
}

impl Figure {
    /// How many times better labctl is than the peer.
    fn times(&self) -> Option<f64> {
        let (ours, theirs) = (self.ours.as_ref()?.median(), self.peer.as_ref()?.1.median());
        Some(match self.unit {
            Unit::Rate(_) => ours / theirs,
            Unit::Cost(_) => theirs / ours,
        })
    }

    fn goal(&self) -> (String, Option<bool>) {
        let ours = self.ours.as_ref().map(Sample::median);
        match (self.goal, self.unit) {
            (Goal::Times(least), _) => (format!("≥ {} ×", rounded(least)), self.times().map(|times| times >= least)),
            (Goal::Absolute(bound), Unit::Rate(_)) => (format!("≥ {bound}"), ours.map(|ours| ours >= bound)),
            (Goal::Absolute(bound), Unit::Cost(_)) => (format!("≤ {bound}"), ours.map(|ours| ours <= bound)),
            (Goal::Reference, _) => (String::new(), None),
        }
    }
}

/// Prints the machine's facts, one a line.
pub fn facts(facts: &[(String, String)]) {
    for (name, value) in facts {
        println!("{name:<12}{value}");
    }
}

/// Prints one sentence.
pub fn note(text: &str) {
    println!("\n{text}");
}

/// Prints the figures of a section.
pub fn table(section: &str, figures: &[Figure]) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["figure", "unit", "labctl", "peer", "peer's", "ratio", "goal", "met"]);
    for figure in figures {
        let (goal, met) = figure.goal();
        let (peer, theirs) = figure
            .peer
            .as_ref()
            .map_or((String::new(), String::new()), |(peer, sample)| ((*peer).into(), sample.show()));
        let (Unit::Rate(unit) | Unit::Cost(unit)) = figure.unit;
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(&figure.what),
            Cell::new(unit),
            right(figure.ours.as_ref().map_or(String::new(), Sample::show)),
            Cell::new(peer),
            right(theirs),
            right(figure.times().map_or(String::new(), |times| format!("{times:.2} ×"))),
            right(goal),
            Cell::new(met.map_or("", |met| if met { "yes" } else { "NO" })),
        ]);
    }
    println!("\n{section}: median of the rounds (least–most)\n{table}");
}

/// At most two decimals.
fn rounded(value: f64) -> f64 {
    (100.0 * value).round() / 100.0
}

/// Three digits that matter, thousands whole.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
