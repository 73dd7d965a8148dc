//! What `start`, `restart`, `freeze` and `thaw` have in common: whose containers are meant, and what is said of each.

use crate::{
    cli::{
        error::{Error, count},
        exit::Exit,
        naming::{Opened, Shell},
        whom::Whom,
    },
    engine::{Engine, docker::Care},
    lab::EngineKind,
    plan::docker::{Object, Observed, Role},
};

/// A verb, and its words.
pub struct Verb {
    /// What is done.
    pub care: Care,
    /// What the verb is called.
    pub name: &'static str,
    /// What its containers are then.
    pub done: &'static str,
    /// What to do on the embedded engine, which has no containers.
    pub instead: &'static str,
}

/// Does it to a student, a group, or everybody.
pub fn run(shell: &Shell, opened: &Opened, whom: Option<&Whom>, verb: &Verb) -> Result<Exit, Error> {
    let name = &opened.lab.name;
    if opened.record.engine == EngineKind::Embedded {
        return Err(Error::OnlyContainers { name: name.clone(), verb: verb.name, instead: verb.instead });
    }
    let _lock = opened.dir.lock(|| shell.out.note("waiting for another labctl that changes this lab"))?;
    super::runtime()?.block_on(async {
        let Engine::Docker(docker) = opened.engine().await? else {
            return Err(Error::NoContainers { name: name.clone() });
        };
        let observed = docker.observe().await?;
        let (objects, left) = objects(opened, whom, &observed, verb.care);
        let tended = docker.tend(&observed, objects, verb.care).await;
        let (mut changed, mut same, mut failed) = (0, 0, 0);
        for one in &tended {
            match &one.outcome {
                Ok(true) => changed += 1,
                Ok(false) => same += 1,
                Err(problem) => {
                    failed += 1;
                    shell.out.problem(format_args!("{}: {problem}", one.object), problem.hint().as_deref());
                }
            }
        }
        let already = if same > 0 { format!("; {same} already") } else { String::new() };
        shell.out.note(format_args!("{}: {}{already}", verb.done, count(changed, "container")));
        if left > 0 {
            shell.out.note(format_args!("{} stay frozen: `labctl thaw --lab {name}`", count(left, "container")));
        }
        Ok(match (failed, changed + same) {
            (0, _) => Exit::Done,
            (_, 0) => Exit::Failed,
            (_, _) => Exit::Partly,
        })
    })
}

/// The containers that are meant, and how many others of a class or group are passed over because they are frozen.
fn objects(opened: &Opened, whom: Option<&Whom>, observed: &Observed, care: Care) -> (Vec<Object>, usize) {
    let wanted = |object: &Object| match whom {
        None => true,
        Some(Whom::Group(group)) => object.group.as_ref() == Some(group),
        Some(Whom::Student(_, login)) => object.role == Role::Client(login.clone()),
    };
    let clients = opened.lab.students();
    let clients = clients.map(|(group, student)| Object::of(&group.name, Role::Client(student.login.clone())));
    let servers = opened.lab.groups.iter().map(|group| Object::of(&group.name, Role::Server));
    let servers = servers.filter(|_| care == Care::Restart);
    let all: Vec<Object> = servers.chain(clients).filter(wanted).collect();
    let passed_over = matches!(care, Care::Start | Care::Restart) && !matches!(whom, Some(Whom::Student(..)));
    let frozen = |object: &Object| observed.objects.get(object).is_some_and(|found| found.frozen);
    let (left, objects): (Vec<Object>, Vec<Object>) = all.into_iter().partition(|object| passed_over && frozen(object));
    (objects, left.len())
}
