//! `labctl fault`: what servers do wrong on purpose, set, shown and taken away while the lab is up.

use serde::Serialize;

use crate::{
    cli::{
        args::{Fault as Args, FaultClear, FaultList, FaultSet, FaultVerb},
        error::{Error, count},
        exit::Exit,
        naming::Shell,
        whom::Whom,
    },
    control::{Client, FaultChanges},
    lab::{
        Fault, GroupName, Lab, Login,
        fault::{Count, place},
    },
    protocol::fault::Standing,
};

/// What `list --json` prints.
#[derive(Serialize)]
struct Faults {
    version: u32,
    faults: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    group: GroupName,
    #[serde(flatten)]
    standing: Standing,
}

/// Sets, lists or clears.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    match &args.what {
        FaultVerb::Set(args) => set(shell, args),
        FaultVerb::List(args) => list(shell, args),
        FaultVerb::Clear(args) => clear(shell, args),
    }
}

fn set(shell: &Shell, args: &FaultSet) -> Result<Exit, Error> {
    let fault = fault(args)?;
    let (group, students, changed) = change(shell, args.lab.as_deref(), &args.who, |_, students| {
        let set = students.iter().map(|login| (login.clone(), fault.clone())).collect();
        Ok(FaultChanges { set, clear: Vec::new() })
    })?;
    let Fault { id, at, act, .. } = &fault;
    let whom = count(students, "student");
    shell.out.note(format_args!("fault `{id}` at {} is set for {whom} of `{group}`: {act}", at.text));
    Ok(changed)
}

/// The fault that the command line describes.
fn fault(args: &FaultSet) -> Result<Fault, Error> {
    let FaultSet { act, protocol, .. } = args;
    let wrong = |why: String| Error::Usage { why };
    let usual = || act.usual_place().map(|usual| place(usual).expect("the usual places are places"));
    let nowhere = || wrong(format!("`{act}` does not say where: add for example `--at MAIL`"));
    let at = args.at.clone().or_else(usual).ok_or_else(nowhere)?;
    act.may_stand(*protocol, &at).map_err(wrong)?;
    let named = || act.kind().parse().expect("a kind of act is a name");
    let connections = args.connections.map(Count::Connections);
    Ok(Fault {
        id: args.id.clone().unwrap_or_else(named),
        protocol: *protocol,
        at,
        act: act.clone(),
        count: connections.unwrap_or(Count::Times(args.times.unwrap_or(1))),
        after: Vec::new(),
        again: false,
    })
}

fn clear(shell: &Shell, args: &FaultClear) -> Result<Exit, Error> {
    let (group, students, changed) = change(shell, args.lab.as_deref(), &args.who, |standing, _| {
        let wanted = |standing: &&Standing| args.id.as_ref().is_none_or(|id| *id == standing.fault.id);
        let found = standing.iter().filter(wanted);
        let clear: Vec<_> = found.map(|met| (met.student.clone(), met.fault.id.clone())).collect();
        match &args.id {
            Some(id) if clear.is_empty() => Err(Error::UnknownFault { who: args.who.clone(), fault: id.clone() }),
            Some(_) | None => Ok(FaultChanges { set: Vec::new(), clear }),
        }
    })?;
    let what = args.id.as_ref().map_or("every fault".to_owned(), |id| format!("fault `{id}`"));
    let students = count(students, "student");
    shell.out.note(format_args!("{what} is cleared for {students} of `{group}`"));
    Ok(changed)
}

/// Has a group's server change the faults of whom is meant: its name, how many students, how the verb ends.
fn change(
    shell: &Shell,
    lab: Option<&str>,
    who: &str,
    changes: impl FnOnce(&[Standing], &[Login]) -> Result<FaultChanges, Error>,
) -> Result<(GroupName, usize, Exit), Error> {
    let opened = shell.open(lab)?;
    let whom = Whom::find(&opened.lab, who)?;
    let (group, students) = (whom.group(&opened.lab).name.clone(), students(&opened.lab, &whom));
    super::runtime()?.block_on(async {
        let engine = opened.engine().await?;
        engine.status().await?.ok_or_else(|| Error::NotUp { name: opened.lab.name.clone() })?;
        let client = engine.client().await?;
        let standing = of(&client, &group, &students).await?;
        client.change_faults(&group, &changes(&standing, &students)?).await?;
        Ok((group, students.len(), Exit::Done))
    })
}

fn students(lab: &Lab, whom: &Whom) -> Vec<Login> {
    let all = || whom.group(lab).students.iter().map(|student| student.login.clone()).collect();
    whom.student().map_or_else(all, |login| vec![login.clone()])
}

async fn of(client: &Client, group: &GroupName, students: &[Login]) -> Result<Vec<Standing>, Error> {
    let mut standing = client.faults(group).await?;
    standing.retain(|standing| students.contains(&standing.student));
    Ok(standing)
}

fn list(shell: &Shell, args: &FaultList) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let whom = args.who.as_deref().map(|who| Whom::find(&opened.lab, who)).transpose()?;
    let wanted: Vec<Whom> = match whom {
        Some(whom) => vec![whom],
        None => opened.lab.groups.iter().map(|group| Whom::Group(group.name.clone())).collect(),
    };
    let faults = super::runtime()?.block_on(async {
        let engine = opened.engine().await?;
        engine.status().await?.ok_or_else(|| Error::NotUp { name: opened.lab.name.clone() })?;
        let client = engine.client().await?;
        let mut faults = Vec::new();
        for whom in wanted {
            let group = whom.group(&opened.lab).name.clone();
            let standing = of(&client, &group, &students(&opened.lab, &whom)).await?;
            faults.extend(standing.into_iter().map(|standing| Shown { group: group.clone(), standing }));
        }
        Ok::<_, Error>(faults)
    })?;
    if args.json {
        shell.out.json(&Faults { version: 1, faults })?;
    } else if faults.is_empty() {
        shell.out.note("nobody meets a fault");
    } else {
        let rows: Vec<Vec<String>> = faults.iter().map(row).collect();
        shell.out.table(&["GROUP", "STUDENT", "FAULT", "AT", "WHAT", "STRUCK", "STATE"], &rows)?;
    }
    Ok(Exit::Done)
}

fn row(shown: &Shown) -> Vec<String> {
    let Shown { group, standing: Standing { student, fault, by_hand: _, armed, strikes, spent } } = shown;
    let of = match fault.count {
        Count::Times(times) => format!("{strikes} of {times}"),
        Count::Connections(connections) => format!("{strikes} ({})", count(connections as usize, "connection")),
    };
    let state = match (armed, spent) {
        (_, true) => "over",
        (true, false) => "armed",
        (false, false) => "waiting",
    };
    let at = format!("{} {}", fault.protocol, fault.at.text);
    vec![group.to_string(), student.to_string(), fault.id.to_string(), at, fault.act.to_string(), of, state.to_owned()]
}
