//! What is said of servers that are not as they should be: that ended without being stopped, or that cannot write.

use crate::{
    cli::{error::count, output::Output},
    control::Status,
    evidence::{Cause, Interruption, Timestamp},
    store::Trouble,
};

/// The servers that were started after such an end.
pub fn of(status: Option<&Status>) -> impl Iterator<Item = (&str, &Interruption)> {
    let servers = status.into_iter().flat_map(|status| &status.servers);
    servers.filter_map(|server| Some((server.config.group.as_str(), server.after.as_ref()?)))
}

/// Says when and why, and who was connected: once where it was the same for many, as where all are one process.
pub fn warn<'a>(out: Output, cuts: impl Iterator<Item = (&'a str, &'a Interruption)>) {
    for Cut { groups, whole } in alike(cuts) {
        let (first, more) = (groups[0], groups.len() - 1);
        let others = if more == 0 { String::new() } else { format!(" and {}", count(more, "other")) };
        let at = whole.time.of_day(out.words().utc_offset_secs);
        out.warn(format_args!("server `{first}`{others} ended at {at} and was started again: {whole}"));
    }
}

/// Says that a server's store cannot be written, or that it can again.
pub fn tell(out: Output, group: &str, trouble: Option<&Trouble>) {
    match trouble {
        Some(trouble) => {
            let since = trouble.since.of_day(out.words().utc_offset_secs);
            out.warn(format_args!("server `{group}`, since {since}: {trouble}"));
        }
        None => out.note(format_args!("server `{group}`: its store can be written again")),
    }
}

/// Servers that ended for the same reason.
struct Cut<'a> {
    groups: Vec<&'a str>,
    whole: Interruption,
}

fn alike<'a>(cuts: impl Iterator<Item = (&'a str, &'a Interruption)>) -> Vec<Cut<'a>> {
    let mut all: Vec<Cut<'a>> = Vec::new();
    for (group, cut) in cuts {
        // What nobody saw has in each group the time of its own last event.
        let same = |known: &&mut Cut<'_>| {
            known.whole.cause == cut.cause && (cut.cause == Cause::Unseen || known.whole.time == cut.time)
        };
        match all.iter_mut().find(same) {
            Some(known) => {
                known.groups.push(group);
                known.whole.time = Timestamp(known.whole.time.0.max(cut.time.0));
                known.whole.connected.extend(cut.connected.iter().cloned());
                known.whole.unknown += cut.unknown;
            }
            None => all.push(Cut { groups: vec![group], whole: cut.clone() }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_one_process_are_told_of_together() {
        let cut = |time, cause, login: &str| Interruption {
            time: Timestamp(time),
            cause,
            connected: vec![login.parse().unwrap()],
            unknown: 1,
        };
        let killed = || Cause::Signal { signal: 9 };
        let (one, two, three) = (cut(5, killed(), "ana"), cut(5, killed(), "ben"), cut(6, killed(), "eva"));
        let (four, five) = (cut(1, Cause::Unseen, "ida"), cut(2, Cause::Unseen, "leo"));
        let cuts = [("g1", &one), ("g2", &two), ("g3", &three), ("g4", &four), ("g5", &five)];
        let told: Vec<(Vec<&str>, i64, usize, usize)> = alike(cuts.into_iter())
            .into_iter()
            .map(|cut| (cut.groups, cut.whole.time.0, cut.whole.connected.len(), cut.whole.unknown))
            .collect();
        assert_eq!(told, [(vec!["g1", "g2"], 5, 2, 2), (vec!["g3"], 6, 1, 1), (vec!["g4", "g5"], 2, 2, 2)]);
    }
}
