//! The table `[docker]`: how a lab wants its containers.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{
    diagnostic::{Code, Findings, in_lab},
    fields::{Field, Fields},
    keys,
};
use crate::lab::{
    Containers, Limits,
    containers::{Allowance, Start},
    subnet,
};

/// Octets of memory: an Engine takes no less than 6 MiB, and a server of labctl needs some of them.
const MEMORY: RangeInclusive<u64> = 16 << 20..=1 << 40;

/// Thousandths of a processor.
const MILLICPUS: RangeInclusive<u32> = 50..=256_000;

/// Processes and threads.
const PROCESSES: RangeInclusive<u64> = 16..=32_768;

/// Open files of a process.
const FILES: RangeInclusive<u64> = 64..=1_048_576;

/// Octets on the disk.
const DISK: RangeInclusive<u64> = 16 << 20..=1 << 44;

/// Decimals of a number of processors.
const DECIMALS: usize = 3;

/// Reads the table.
pub fn containers(lab: &Fields<'_>, findings: &mut Findings<'_>) -> Containers {
    let default = Containers::default();
    let Some(table) = lab.get("docker").and_then(|field| field.table(&keys::DOCKER, findings)) else {
        return default;
    };
    let start = [("always", Start::Always), ("on-demand", Start::OnDemand)];
    let containers = Containers {
        pool: table.get("pool").and_then(|field| pool(&field, findings)),
        internet: table.boolean("internet", default.internet, findings),
        clients: table.get("clients").and_then(|field| field.choice(&start, findings)).unwrap_or(default.clients),
        publish: table.get("publish").and_then(|field| publish(&field, findings)),
        server: allowance(&table, "server", default.server, findings),
        client: allowance(&table, "client", default.client, findings),
    };
    if let (Some(internet), Some(publish)) = (table.get("internet"), table.get("publish"))
        && containers.internet
        && containers.publish.is_some_and(|address| !address.is_loopback())
    {
        let message = "students with a way out would reach each other's published ports";
        let problem = findings.lab(Code::Conflict, &publish.span, message);
        problem.second(in_lab(&internet.key_span), "the way out");
        problem.help("a port says whose connection it is: publish at loopback, or do without `internet`");
    }
    containers
}

/// Notes where limits and memory contradict each other: a message that has no room, a server that would be ended for its memory.
pub fn memory(lab: &Fields<'_>, limits: &Limits, server: Allowance, findings: &mut Findings<'_>) {
    let limit = |key| lab.get("limits")?.inside(key);
    if limits.mail_under_way < limits.largest_message()
        && let Some(field) = limit("mail_under_way").or_else(|| limit("message"))
    {
        let message = "a message of the largest size has no room in `mail_under_way`";
        let problem = findings.lab(Code::TightMemory, &field.span, message);
        problem.help(format!("it takes {} while it comes in", size(limits.largest_message())));
    }
    let memory = lab.get("docker").and_then(|docker| docker.inside("server")?.inside("memory"));
    let limit = ["mail_under_way", "message", "sessions"].into_iter().find_map(limit);
    let needed = limits.memory();
    if let Some(place) = memory.as_ref().or(limit.as_ref()).filter(|_| server.memory < needed) {
        let message = format!("with all that the limits let come in at once a server needs {}", size(needed));
        let problem = findings.lab(Code::TightMemory, &place.span, message);
        problem.label(format!("a server's container has {}", size(server.memory)));
        problem.help(
            "raise `memory` in `[docker.server]`, or lower `mail_under_way`, `message` or `sessions` in `[limits]`",
        );
    }
}

/// Octets as people write them.
fn size(octets: u64) -> String {
    format!("{} MiB", octets.div_ceil(1 << 20))
}

fn pool(field: &Field<'_>, findings: &mut Findings<'_>) -> Option<subnet::Subnet> {
    let text = field.text(findings)?;
    match subnet::pool(text) {
        Ok(pool) => Some(pool),
        Err(problem) => {
            let message = format!("`{text}` is no pool of addresses");
            let noted = findings.lab(Code::UnknownValue, &field.span, message);
            noted.label(problem).help("write for example `pool = \"10.99.0.0/16\"`");
            None
        }
    }
}

/// A switch, or the address of the host; `true` means loopback.
fn publish(field: &Field<'_>, findings: &mut Findings<'_>) -> Option<IpAddr> {
    if !field.is_text() {
        return field.boolean(findings)?.then(|| [127, 0, 0, 1].into());
    }
    let text = field.text(findings)?;
    let address = text.parse::<IpAddr>().ok();
    if address.is_none() {
        let problem = findings.lab(Code::UnknownValue, &field.span, format!("`{text}` is no address of a host"));
        problem.help("write `publish = true` for this machine alone, or an IP address of the Engine's host");
    }
    address
}

fn allowance(docker: &Fields<'_>, key: &'static str, default: Allowance, findings: &mut Findings<'_>) -> Allowance {
    let Some(table) = docker.get(key).and_then(|field| field.table(&keys::ALLOWANCE, findings)) else {
        return default;
    };
    let count = |key, default: u32, range, findings: &mut Findings<'_>| {
        u32::try_from(table.number(key, default.into(), range, findings)).unwrap_or(default)
    };
    let octets = |key, default, range, findings: &mut Findings<'_>| {
        table.get(key).and_then(|field| field.octets(range, findings)).unwrap_or(default)
    };
    Allowance {
        memory: octets("memory", default.memory, MEMORY, findings),
        millicpus: table.get("cpus").and_then(|field| millicpus(&field, findings)).unwrap_or(default.millicpus),
        processes: count("processes", default.processes, PROCESSES, findings),
        files: count("files", default.files, FILES, findings),
        disk: octets("disk", default.disk, DISK, findings),
    }
}

/// A number of processors, in thousandths: `2` or `0.5`.
fn millicpus(field: &Field<'_>, findings: &mut Findings<'_>) -> Option<u32> {
    let Some(text) = field.decimal() else {
        // A number that is none is noted in the words of all numbers.
        field.number(1..=u64::from(MILLICPUS.end() / 1_000), findings)?;
        return None;
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let exact = fraction.len() <= DECIMALS;
    let digits = format!("{whole}{fraction:0<DECIMALS$}").replace('_', "");
    let value = digits.parse::<u32>().ok().filter(|value| exact && MILLICPUS.contains(value));
    if value.is_none() {
        let (least, most) = (f64::from(*MILLICPUS.start()) / 1e3, MILLICPUS.end() / 1_000);
        let message = format!("`cpus` must be from {least} to {most}, with at most {DECIMALS} decimals");
        findings.lab(Code::OutOfRange, &field.span, message);
    }
    value
}
