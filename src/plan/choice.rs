//! Where a lab runs: where it was, by the command line, by the lab, or by what answers. Pure: whether an Engine answers is an
//! argument, and it is asked for only where nothing else decides.

use std::fmt;

use crate::lab::EngineKind;

/// What is known before an Engine is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// What `--engine` says.
    pub asked: Option<EngineKind>,
    /// What the lab says.
    pub lab: Option<EngineKind>,
    /// Where the lab is up, or has its mail and evidence.
    pub held: Option<Held>,
    /// An option of the command line that only one engine has, by its name.
    pub option: Option<(EngineKind, &'static str)>,
}

/// What ties a lab to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The engine.
    pub engine: EngineKind,
    /// Whether the lab is up there; else only its mail and evidence are.
    pub up: bool,
}

/// An engine, and why that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The engine.
    pub engine: EngineKind,
    /// Why.
    pub why: Why,
}

/// Why a lab runs where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The command line says so.
    Asked,
    /// The lab says so.
    Lab,
    /// It is there.
    Held(Held),
    /// The command line has an option that only this engine has.
    Option(&'static str),
    /// A Docker Engine answers there.
    Answers(String),
    /// None does, for this reason.
    Silent(String),
}

/// That a lab should run elsewhere than where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where it is.
    pub held: EngineKind,
}

/// The choice; none where only asking for a Docker Engine can decide.
pub fn choose(known: &Known) -> Result<Option<Choice>, Elsewhere> {
    let wanted = known.asked.map(|engine| (engine, Why::Asked)).or(known.lab.map(|engine| (engine, Why::Lab)));
    match (wanted, known.held) {
        (Some((engine, _)), Some(held)) if engine != held.engine => Err(Elsewhere { held: held.engine }),
        (Some((engine, why)), _) => Ok(Some(Choice { engine, why })),
        (None, Some(held)) => Ok(Some(Choice { engine: held.engine, why: Why::Held(held) })),
        (None, None) => Ok(known.option.map(|(engine, name)| Choice { engine, why: Why::Option(name) })),
    }
}

/// The choice where only what answers decides: where a Docker Engine does, or why none does.
pub fn by_answer(answer: Result<String, String>) -> Choice {
    match answer {
        Ok(place) => Choice { engine: EngineKind::Docker, why: Why::Answers(place) },
        Err(why) => Choice { engine: EngineKind::Embedded, why: Why::Silent(why) },
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "engine `{}`: ", self.engine.as_str())?;
        match &self.why {
            Why::Asked => out.write_str("`--engine` says so"),
            Why::Lab => out.write_str("the lab says so"),
            Why::Held(Held { up: true, .. }) => out.write_str("the lab is up there"),
            Why::Held(Held { up: false, .. }) => out.write_str("the lab's mail and evidence are there"),
            Why::Option(name) => write!(out, "`{name}` is for that one"),
            Why::Answers(place) => write!(out, "a Docker Engine answers at {place}"),
            Why::Silent(why) => out.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EngineKind::{Docker, Embedded};

    fn shown(known: Known) -> String {
        match choose(&known) {
            Ok(Some(choice)) => choice.to_string(),
            Ok(None) => "ask".into(),
            Err(Elsewhere { held }) => format!("it is on `{}`", held.as_str()),
        }
    }

    #[test]
    fn the_command_line_comes_before_the_lab_and_both_before_what_answers() {
        let known = Known { asked: Some(Embedded), lab: Some(Docker), ..Known::default() };
        assert_eq!(shown(known), "engine `embedded`: `--engine` says so");
        assert_eq!(shown(Known { asked: None, ..known }), "engine `docker`: the lab says so");
        assert_eq!(shown(Known::default()), "ask");
        let choice = by_answer(Ok("`unix:///run/docker.sock`".into()));
        assert_eq!(choice.to_string(), "engine `docker`: a Docker Engine answers at `unix:///run/docker.sock`");
        assert_eq!(by_answer(Err("no Docker Engine answers".into())).engine, Embedded);
    }

    #[test]
    fn a_lab_stays_where_it_is_and_is_not_moved_by_a_slip() {
        let held = Some(Held { engine: Embedded, up: true });
        assert_eq!(shown(Known { held, ..Known::default() }), "engine `embedded`: the lab is up there");
        let down = Some(Held { engine: Docker, up: false });
        let stays = "engine `docker`: the lab's mail and evidence are there";
        assert_eq!(shown(Known { held: down, ..Known::default() }), stays);
        for known in
            [Known { asked: Some(Docker), ..Known::default() }, Known { lab: Some(Docker), ..Known::default() }]
        {
            assert_eq!(shown(Known { held, ..known }), "it is on `embedded`");
            assert!(choose(&Known { held: down, ..known }).is_ok());
        }
    }

    #[test]
    fn an_option_of_one_engine_chooses_it_for_a_new_lab() {
        let option = Some((Docker, "--pool"));
        assert_eq!(shown(Known { option, ..Known::default() }), "engine `docker`: `--pool` is for that one");
        let held = Some(Held { engine: Embedded, up: false });
        assert_eq!(choose(&Known { held, option, ..Known::default() }).unwrap().unwrap().engine, Embedded);
    }
}
