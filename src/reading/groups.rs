//! Who sits with whom: groups as the roster has them, as the lab lists them, or dealt in order.

use std::collections::{BTreeMap, HashMap};

use super::{
    diagnostic::{Code, Findings, Place, Span, in_lab},
    fields::Fields,
    people::Seat,
    slug::slug,
};
use crate::{
    lab::{GroupName, MAX_GROUP, MAX_GROUPS, Student},
    names::order::natural,
};

/// The one group of a lab that names none.
pub const ONLY_GROUP: &str = "class";

/// The students of each group, in the order of their logins.
pub type Rooms = BTreeMap<GroupName, Vec<Student>>;

/// Seats every student. `shared` says that all groups would share one domain, so that there can be but one.
pub fn seat(lab: &Fields<'_>, seats: Vec<Seat>, shared: bool, findings: &mut Findings<'_>) -> Rooms {
    let listed = listed(lab, findings);
    let size = lab.get("group_size");
    if let (Some(size), Some(groups)) = (&size, lab.get("groups")) {
        let problem = findings.lab(Code::Conflict, &size.key_span, "a lab has `group_size` or `groups`, not both");
        problem.second(in_lab(&groups.key_span), "the groups are listed here");
    }
    let size = size.and_then(|field| field.number(1..=MAX_GROUP as u64, findings));
    let class =
        Class { closed: !listed.is_empty(), rooms: listed.into_keys().map(|name| (name, Vec::new())).collect() };
    // Where people are named but could not be read, that is what is wrong.
    let named = ["users", "students", "roster"].into_iter().any(|key| lab.get(key).is_some());
    if seats.is_empty() && !(named && findings.errors() > 0) {
        let problem = findings.lab(Code::Nobody, &lab.span, "the lab has no students");
        problem.help("name them in `users`, in `students`, or in a roster: `roster = \"roster.csv\"`");
    }
    class.fill(seats, size, shared, findings)
}

/// The groups while they fill.
struct Class {
    /// Whether the lab lists its groups.
    closed: bool,
    rooms: BTreeMap<GroupName, Vec<Seat>>,
}

impl Class {
    fn fill(mut self, seats: Vec<Seat>, size: Option<u64>, shared: bool, findings: &mut Findings<'_>) -> Rooms {
        let (with, without): (Vec<Seat>, Vec<Seat>) = seats.into_iter().partition(|seat| seat.group.is_some());
        let mut names = Names::default();
        for seat in with {
            let name = seat.group.as_ref().and_then(|(written, place)| names.of(written, place, findings));
            if let Some(name) = name {
                self.join(name, seat, findings);
            }
        }
        self.place(without, size, shared, findings);
        if self.rooms.len() > MAX_GROUPS {
            let seat = self.rooms.values().nth(MAX_GROUPS).and_then(|seats| seats.first());
            let place = seat.map_or_else(|| in_lab(&(0..0)), |seat| seat.place.clone());
            let message = format!("there are {} groups, but a lab has at most {MAX_GROUPS}", self.rooms.len());
            findings
                .add(Code::TooMany, place, message)
                .help("make groups of more students, or several labs of the class");
        }
        for (name, seats) in self.rooms.iter().filter(|(_, seats)| seats.len() > MAX_GROUP) {
            let message = format!("group `{name}` has {} students, but a group has at most {MAX_GROUP}", seats.len());
            let problem = findings.add(Code::TooMany, seats[MAX_GROUP].place.clone(), message);
            problem
                .label("the first one too many")
                .help("make several groups of it, for example with `group_size = 2`");
        }
        let students = |seats: Vec<Seat>| {
            let mut students: Vec<Student> = seats.into_iter().map(|seat| seat.student).collect();
            students.sort_by(|a, b| natural(a.login.as_str(), b.login.as_str()));
            students
        };
        self.rooms.into_iter().map(|(name, seats)| (name, students(seats))).collect()
    }

    fn join(&mut self, name: GroupName, seat: Seat, findings: &mut Findings<'_>) {
        if self.closed && !self.rooms.contains_key(&name) {
            let message = format!("the group `{name}` of student `{}` is not among `groups`", seat.student.login);
            let place = seat.group.map_or(seat.place, |(_, place)| place);
            let problem = findings.add(Code::UnknownGroup, place, message);
            problem.help("add it to `groups`, or remove `groups`");
            problem.did_you_mean(name.as_str(), self.rooms.keys().map(GroupName::as_str));
            return;
        }
        self.rooms.entry(name).or_default().push(seat);
    }

    /// Finds a group for the students who have none.
    fn place(&mut self, seats: Vec<Seat>, size: Option<u64>, shared: bool, findings: &mut Findings<'_>) {
        let Some(first) = seats.first() else {
            return;
        };
        if let Some(size) = size {
            return self.deal(seats, size);
        }
        let only = match (self.rooms.len(), shared) {
            (1, _) if self.closed => self.rooms.keys().next().cloned(),
            (0, true) => Some(ONLY_GROUP.parse().expect("a name")),
            _ => None,
        };
        if let Some(only) = only {
            self.rooms.entry(only).or_default().extend(seats);
            return;
        }
        let others = match seats.len() {
            1 => String::new(),
            count => format!(" and {} more have", count - 1),
        };
        let verb = if others.is_empty() { " has" } else { "" };
        let message = format!("student `{}`{others}{verb} no group", first.student.login);
        let problem = findings.add(Code::MissingGroup, first.place.clone(), message);
        problem.help("give each student a group, or let `group_size = 2` make groups in the order of the list");
    }

    /// Deals students into g01, g02 and so on, past names that are taken.
    fn deal(&mut self, seats: Vec<Seat>, size: u64) {
        let size = usize::try_from(size).unwrap_or(MAX_GROUP);
        let digits = seats.len().div_ceil(size).to_string().len().max(2);
        let mut numbers = 1..;
        let mut free = || {
            let name = numbers.next().map(|number: usize| format!("g{number:0digits$}"));
            name.and_then(|name| name.parse().ok()).expect("letters and digits are a name")
        };
        let mut seats = seats.into_iter().peekable();
        while seats.peek().is_some() {
            let mut name: GroupName = free();
            while self.rooms.contains_key(&name) {
                name = free();
            }
            self.rooms.insert(name, seats.by_ref().take(size).collect());
        }
    }
}

/// What the groups of the roster are called, each decided once.
#[derive(Default)]
struct Names {
    known: HashMap<String, Option<GroupName>>,
    taken: HashMap<GroupName, (String, Place)>,
}

impl Names {
    fn of(&mut self, written: &str, place: &Place, findings: &mut Findings<'_>) -> Option<GroupName> {
        let folded = written.to_lowercase();
        if let Some(name) = self.known.get(&folded) {
            return name.clone();
        }
        let name = self.decide(written, place, findings);
        self.known.insert(folded, name.clone());
        name
    }

    fn decide(&mut self, written: &str, place: &Place, findings: &mut Findings<'_>) -> Option<GroupName> {
        let (name, renamed) = match written.parse::<GroupName>() {
            Ok(name) => (Ok(name), false),
            Err(_) => (slug(written).parse::<GroupName>(), true),
        };
        let name = match name {
            Ok(name) => name,
            Err(problem) => {
                let message = format!("`{written}` is no name for a group");
                findings.add(Code::BadName, place.clone(), message).label(problem.0);
                return None;
            }
        };
        if renamed {
            let problem = findings.add(Code::Renamed, place.clone(), format!("group `{written}` is called `{name}`"));
            problem.help("a group's name becomes part of its mail domain");
            problem.alike("groups renamed", format!("`{written}` to `{name}`"));
        }
        if let Some((other, first)) = self.taken.get(&name) {
            let message = format!("groups `{other}` and `{written}` would both be called `{name}`");
            let problem = findings.add(Code::SameGroup, place.clone(), message);
            problem.second(first.clone(), "the other one").help("rename one of them");
            return None;
        }
        self.taken.insert(name.clone(), (written.to_owned(), place.clone()));
        Some(name)
    }
}

fn listed(lab: &Fields<'_>, findings: &mut Findings<'_>) -> BTreeMap<GroupName, Span> {
    let mut listed: BTreeMap<GroupName, Span> = BTreeMap::new();
    let entries = lab.get("groups").map(|field| field.at_most(MAX_GROUPS, findings)).unwrap_or_default();
    for entry in entries {
        let Some(name) = entry.name::<GroupName>("a group", findings) else { continue };
        if let Some(first) = listed.get(&name) {
            let problem = findings.lab(Code::Duplicate, &entry.span, format!("group `{name}` stands twice"));
            problem.second(in_lab(first), "first here");
        } else {
            listed.insert(name, entry.span);
        }
    }
    listed
}
