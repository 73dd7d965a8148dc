//! What a server costs: processor time and memory of a process and all its descendants, from /proc (proc(5)).

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use crate::Fallible;

/// A tick of /proc's times; Linux shows 100 a second on every architecture (USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// The memory of a process tree in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident pages; those that processes share count once for each.
    pub rss: f64,
    /// Proportional share: shared pages are divided among those who share them, also outside the tree.
    pub pss: f64,
}

/// One line of /proc/PID/stat.
struct Stat {
    parent: u32,
    /// User and system time of the process and of its children that have ended and been waited for.
    ticks: u32,
}

/// Processor seconds that `root` and everything it ever started have used: children that ended are in their parents' figures.
pub fn cpu_secs(root: u32) -> Fallible<f64> {
    let table = table()?;
    let ticks: u32 = tree(&table, root).iter().map(|pid| table[pid].ticks).sum();
    Ok((TICK * ticks).as_secs_f64())
}

/// What `root` and its descendants hold now.
pub fn memory(root: u32) -> Fallible<Memory> {
    let mut sum = Memory::default();
    for pid in tree(&table()?, root) {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        sum.rss += mebibytes(&text, "Rss:");
        sum.pss += mebibytes(&text, "Pss:");
    }
    Ok(sum)
}

/// The number in the first word of a pid file.
pub fn from_pid_file(path: &Path) -> Fallible<u32> {
    let text = fs::read_to_string(path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
    Ok(text.trim().parse()?)
}

fn table() -> Fallible<BTreeMap<u32, Stat>> {
    let mut table = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // A process may end between the listing and here.
        if let Some(stat) = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|line| parse(&line)) {
            table.insert(pid, stat);
        }
    }
    Ok(table)
}

/// The fields after the command, which may itself hold blanks and brackets: state, ppid, …, utime is the 14th of all.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u32>().unwrap_or(0)).sum();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}

fn tree(table: &BTreeMap<u32, Stat>, root: u32) -> Vec<u32> {
    let mut found: Vec<u32> = table.contains_key(&root).then_some(root).into_iter().collect();
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(table.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

fn mebibytes(rollup: &str, field: &str) -> f64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("");
    line.split_ascii_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
