//! Whom a verb is about: a student or a group of the lab that is meant, as the command line names them.

use super::{
    args::Whose,
    error::Error,
    labfile,
    naming::{Opened, Shell},
};
use crate::{
    lab::{Group, GroupName, Lab, Login},
    reading::diagnostic::closest,
};

impl Shell {
    /// The lab, and who of it is meant. A name alone that is no student's and no group's is the lab's.
    pub fn open_for(&self, whose: &Whose) -> Result<(Opened, Option<Whom>), Error> {
        let (lab, who) = self.whose(whose)?;
        let opened = self.open(lab)?;
        let whom = who.map(|who| Whom::find(&opened.lab, who)).transpose()?;
        Ok((opened, whom))
    }

    /// Whom a name means in the lab that is meant, which need not be up.
    pub fn find(&self, lab: Option<&str>, who: Option<&str>) -> Result<Option<Whom>, Error> {
        let Some(who) = who else { return Ok(None) };
        let located = self.locate(lab)?;
        let lab = match self.look(&located)? {
            Some(lab) => lab,
            None => labfile::read_briefly(self.out, &located.source)?,
        };
        Whom::find(&lab, who).map(Some)
    }

    /// The same, without opening it: the lab's name, and the student's or group's.
    pub fn whose<'a>(&self, whose: &'a Whose) -> Result<(Option<&'a str>, Option<&'a str>), Error> {
        let (lab, Some(who)) = (whose.lab.as_deref(), whose.who.as_deref()) else {
            return Ok((whose.lab.as_deref(), None));
        };
        if lab.is_some() {
            return Ok((lab, Some(who)));
        }
        let obvious = match self.locate(None) {
            Ok(located) => self.look(&located)?,
            Err(_) => None,
        };
        if obvious.as_ref().is_some_and(|lab| Whom::find(lab, who).is_ok()) {
            return Ok((None, Some(who)));
        }
        match (self.locate(Some(who)), obvious) {
            (Ok(_), _) => Ok((Some(who), None)),
            (Err(Error::UnknownLab { near, .. }), Some(lab)) if who.parse::<Login>().is_ok() => {
                let near = self::near(&lab, who).or(near);
                Err(Error::Nobody { lab: lab.name, who: who.to_owned(), near })
            }
            (Err(Error::UnknownLab { name, known, near }), None) if who.parse::<Login>().is_ok() => {
                Err(Error::NobodyOrLab { name, known, near })
            }
            (Err(problem), _) => Err(problem),
        }
    }
}

/// The student or group that was probably meant.
fn near(lab: &Lab, name: &str) -> Option<String> {
    let students = lab.students().map(|(_, student)| student.login.as_str());
    let known = students.chain(lab.groups.iter().map(|group| group.name.as_str()));
    closest(name, known).map(str::to_owned)
}

/// A student or a whole group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// One student.
    Student(GroupName, Login),
    /// A group.
    Group(GroupName),
}

impl Whom {
    /// Whom a name means in a lab; a student before a group of the same name.
    pub fn find(lab: &Lab, name: &str) -> Result<Self, Error> {
        let wanted = name.to_ascii_lowercase();
        if let Some((group, student)) = lab.students().find(|(_, student)| student.login.as_str() == wanted) {
            return Ok(Self::Student(group.name.clone(), student.login.clone()));
        }
        if let Some(group) = lab.group(&wanted) {
            return Ok(Self::Group(group.name.clone()));
        }
        Err(Error::Nobody { lab: lab.name.clone(), who: name.to_owned(), near: near(lab, &wanted) })
    }

    /// The student of this name.
    pub fn student_only(lab: &Lab, name: &str) -> Result<(GroupName, Login), Error> {
        match Self::find(lab, name)? {
            Self::Student(group, login) => Ok((group, login)),
            Self::Group(group) => {
                let students = lab.group(group.as_str()).into_iter().flat_map(|group| &group.students);
                let students = students.map(|student| student.login.to_string()).collect();
                Err(Error::GroupNotStudent { group, students })
            }
        }
    }

    /// The group.
    pub fn group<'a>(&self, lab: &'a Lab) -> &'a Group {
        let (Self::Student(name, _) | Self::Group(name)) = self;
        lab.group(name.as_str()).expect("found in this lab")
    }

    /// The student, if it is one.
    pub fn student(&self) -> Option<&Login> {
        match self {
            Self::Student(_, login) => Some(login),
            Self::Group(_) => None,
        }
    }

    /// Whether somebody of the group is meant.
    pub fn is_in(&self, group: &str) -> bool {
        let (Self::Student(own, _) | Self::Group(own)) = self;
        own.as_str() == group
    }

    /// Whether the student is meant.
    pub fn includes(&self, group: &str, login: &str) -> bool {
        match self {
            Self::Student(own, student) => own.as_str() == group && student.as_str() == login,
            Self::Group(own) => own.as_str() == group,
        }
    }
}
