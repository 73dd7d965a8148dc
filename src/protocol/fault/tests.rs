//! Which fault strikes when: tables of a few lines, and after each line the record alone gives the same ledger.

use super::*;
use crate::evidence::{By, Seq, Who};

fn fault(id: &str, at: &str, act: &str) -> Fault {
    Fault {
        id: id.parse().unwrap(),
        protocol: Protocol::Smtp,
        at: at.parse().unwrap(),
        act: act.parse().unwrap(),
        count: Count::Times(1),
        after: Vec::new(),
        again: false,
    }
}

fn times(count: u32, fault: Fault) -> Fault {
    Fault { count: Count::Times(count), ..fault }
}

fn after(steps: &[&str], again: bool, fault: Fault) -> Fault {
    Fault { after: steps.iter().map(|step| step.parse().unwrap()).collect(), again, ..fault }
}

/// A server's ledger, and the record that goes with it: after every event a second ledger, which has only the record, is the
/// first one's like.
struct Played {
    lab: Vec<Fault>,
    ledger: Ledger,
    record: Vec<Event>,
    secs: i64,
}

impl Played {
    fn new(lab: Vec<Fault>) -> Self {
        let mut ledger = Ledger::default();
        ledger.tell(lab.clone(), "lib.simulacion");
        Self { lab, ledger, record: Vec::new(), secs: 0 }
    }

    fn event(&self, login: &str, conn: u64, kind: EventKind) -> Event {
        let who = Who::Student { login: login.parse().unwrap(), by: By::Endpoint };
        Event { seq: Seq(1), time: Timestamp(self.secs * 1_000_000), run: 1, conn: Conn(conn), who, kind }
    }

    fn write_down(&mut self, login: &str, conn: u64, kinds: Vec<EventKind>) {
        for kind in kinds {
            self.record.push(self.event(login, conn, kind));
        }
    }

    /// What the record alone makes of it.
    fn restarted(&self) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.tell(self.lab.clone(), "lib.simulacion");
        self.record.iter().for_each(|event| ledger.take(event));
        ledger
    }

    fn tell(&mut self, kind: EventKind) {
        let event = Event { who: Who::Instructor, ..self.event("x", 0, kind) };
        self.ledger.take(&event);
        self.record.push(event);
    }

    /// A student says a line; the fault that strikes it, else `-`. Unless it is struck the answer is 250, and what it arms is told.
    fn says(&mut self, login: &str, conn: u64, line: &str) -> String {
        let student: Login = login.parse().unwrap();
        let verb = line.split(' ').next().unwrap().to_owned();
        let heard = Heard { protocol: Protocol::Smtp, verb: verb.clone().into(), line: line.to_owned().into() };
        let (strike, passed) = self.ledger.strike(&student, Conn(conn), &heard, Timestamp(self.secs * 1_000_000));
        self.write_down(login, conn, passed);
        let said = if let Some(strike) = strike {
            let event = strike.event(FaultMoment::Struck);
            let EventKind::Fault { fault, .. } = &event else { unreachable!() };
            let name = fault.to_string();
            self.write_down(login, conn, vec![event]);
            name
        } else {
            let command = EventKind::Command {
                verb: verb.as_str().into(),
                line: line.to_owned(),
                octets: 0,
                reply: "250 ok\r\n".to_owned(),
                reply_octets: 0,
                before: crate::evidence::State::Ready,
                after: crate::evidence::State::Ready,
                pipelined: false,
                times: 1,
            };
            let now = Timestamp(self.secs * 1_000_000);
            let armed = self.ledger.saw(&student, Conn(conn), Protocol::Smtp, (&command, now));
            let said = if armed.is_empty() { "-" } else { "armed" };
            self.write_down(login, conn, armed);
            said.to_owned()
        };
        let students = ["ana".parse().unwrap(), "ben".parse().unwrap()];
        assert_eq!(self.restarted().standing(&students), self.ledger.standing(&students), "after `{line}`");
        said
    }
}

#[test]
fn a_fault_strikes_each_student_its_own_number_of_times() {
    let mut played = Played::new(vec![times(2, fault("busy", "<connect>", "refuse 421"))]);
    assert_eq!(played.says("ana", 1, "<connect>"), "busy");
    assert_eq!(played.says("ben", 2, "<connect>"), "busy");
    assert_eq!(played.says("ana", 3, "<connect>"), "busy");
    assert_eq!(played.says("ana", 4, "<connect>"), "-");
    assert_eq!(played.says("ben", 5, "<connect>"), "busy");
    assert_eq!(played.says("ben", 6, "<connect>"), "-");
}

#[test]
fn connections_are_counted_and_not_replies() {
    let mut played = Played::new(vec![Fault { count: Count::Connections(2), ..fault("slow", "*", "drip") }]);
    assert_eq!([1, 1, 2, 1, 3].map(|conn| played.says("ana", conn, "NOOP")), ["slow", "slow", "slow", "slow", "-"]);
}

#[test]
fn a_fault_strikes_at_its_place_only() {
    let mut played = Played::new(vec![times(9, fault("full", "RCPT *user2*", "full"))]);
    assert_eq!(played.says("ana", 1, "MAIL FROM:<user2@x>"), "-");
    assert_eq!(played.says("ana", 1, "RCPT TO:<user1@lib.simulacion>"), "-");
    assert_eq!(played.says("ana", 1, "RCPT TO: user2"), "full");
}

#[test]
fn a_fault_waits_for_its_steps_in_one_connection() {
    let busy = after(&["HELO -> 250", "QUIT"], false, fault("busy", "<connect>", "refuse 421"));
    let mut played = Played::new(vec![busy]);
    assert_eq!(played.says("ana", 1, "<connect>"), "-");
    assert_eq!(played.says("ana", 1, "HELO me"), "-");
    assert_eq!(played.says("ana", 2, "QUIT"), "-", "another connection");
    assert_eq!(played.says("ben", 3, "<connect>"), "-");
    assert_eq!(played.says("ana", 1, "QUIT"), "armed");
    assert_eq!(played.says("ben", 4, "<connect>"), "-", "another student");
    assert_eq!(played.says("ana", 5, "<connect>"), "busy");
    for line in ["<connect>", "HELO me", "QUIT", "<connect>"] {
        assert_eq!(played.says("ana", 6, line), "-", "armed once");
    }
}

#[test]
fn with_again_a_student_arms_it_as_often_as_needed() {
    let busy = after(&["VRFY busy"], true, times(2, fault("busy", "<connect>", "refuse 421")));
    let mut played = Played::new(vec![busy]);
    for conn in [1, 5] {
        assert_eq!(played.says("ana", conn, "VRFY busy"), "armed");
        assert_eq!(played.says("ana", conn, "<connect>"), "-", "the connection that arms it is spared");
        let met: Vec<String> = (1..4).map(|next| played.says("ana", conn + next, "<connect>")).collect();
        assert_eq!(met, ["busy", "busy", "-"]);
    }
}

#[test]
fn a_greylisted_recipient_passes_when_it_has_waited() {
    let mut played = Played::new(vec![fault("grey", "RCPT", "greylist 10s")]);
    assert_eq!(played.says("ana", 1, "RCPT TO:<user2>"), "grey");
    played.secs = 9;
    assert_eq!(played.says("ana", 2, "RCPT TO:<user2>"), "grey", "too early, and not counted again");
    assert_eq!(played.says("ana", 2, "RCPT TO:<user1>"), "-", "one recipient was to be greylisted");
    played.secs = 10;
    assert_eq!(played.says("ana", 3, "RCPT TO:<USER2>"), "-");
}

#[test]
fn a_rate_lets_so_many_through_in_its_time() {
    let mut played = Played::new(vec![times(2, fault("rate", "MAIL", "rate 2 in 60s"))]);
    assert_eq!([1, 1, 1].map(|conn| played.says("ana", conn, "MAIL x")), ["-", "-", "rate"]);
    played.secs = 59;
    assert_eq!(played.says("ana", 2, "MAIL x"), "rate");
    assert_eq!(played.says("ana", 2, "MAIL x"), "-", "it has struck twice");
    let mut played = Played::new(vec![times(2, fault("rate", "MAIL", "rate 1 in 60s"))]);
    assert_eq!(played.says("ana", 1, "MAIL x"), "-");
    played.secs = 60;
    assert_eq!(played.says("ana", 1, "MAIL x"), "-");
    assert_eq!(played.says("ana", 1, "MAIL x"), "rate");
}

#[test]
fn the_instructor_sets_replaces_and_clears() {
    let mut played = Played::new(vec![fault("busy", "<connect>", "refuse 421")]);
    let (ana, ben): (Login, Login) = ("ana".parse().unwrap(), "ben".parse().unwrap());
    assert_eq!(played.says("ana", 1, "<connect>"), "busy");
    played.tell(EventKind::FaultSet { student: ana.clone(), fault: fault("busy", "MAIL", "cut") });
    assert_eq!(played.says("ana", 2, "<connect>"), "-");
    assert_eq!(played.says("ana", 2, "MAIL x"), "busy");
    played.tell(EventKind::FaultCleared { student: ben.clone(), fault: "busy".parse().unwrap() });
    assert_eq!(played.says("ben", 3, "<connect>"), "-");
    played.tell(EventKind::FaultCleared { student: ana.clone(), fault: "busy".parse().unwrap() });
    assert_eq!(played.says("ana", 4, "<connect>"), "-");
    assert!(played.ledger.standing(&[ana, ben]).is_empty());
}

#[test]
fn a_reset_begins_the_counts_anew() {
    let mut played = Played::new(vec![fault("busy", "<connect>", "refuse 421")]);
    assert_eq!(played.says("ana", 1, "<connect>"), "busy");
    assert_eq!(played.says("ana", 2, "<connect>"), "-");
    played.tell(EventKind::Reset { student: "ana".parse().unwrap(), removed: Vec::new() });
    assert_eq!(played.says("ana", 3, "<connect>"), "busy");
}

#[test]
fn chunks_are_spared() {
    let heard = |octets: &[u8]| {
        Heard::of(Protocol::Smtp, &Input::Line { octets, crlf: true }).map(|heard| heard.verb.into_owned())
    };
    assert_eq!(heard(b"bdat 10 LAST"), None);
    assert_eq!(heard(b"bdata x"), Some("BDATA".to_owned()));
}

#[test]
fn of_several_faults_the_first_strikes() {
    let lab = vec![fault("one", "MAIL", "cut"), fault("two", "*", "drip")];
    let mut played = Played::new(lab);
    assert_eq!(["MAIL x", "MAIL x", "MAIL x"].map(|line| played.says("ana", 1, line)), ["one", "two", "-"]);
}
