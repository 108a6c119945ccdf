//! From the cases of test files to rehearsals with checks.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use runbook::{
    expectation::{self, Case},
    rehearsal::{Crashes, Profile, Rehearsal, lengths, stand_in},
};
use runbook_engine::{
    diagnostic::Diagnostic,
    document::{
        self, Sources,
        expectation::{Dying, Setting, TestCase, TestFile, Written},
        nearest,
    },
    plan::{Gate, Plan, Work},
};
use runbook_steps::world::{FaultRule, FleetFile, Person, World};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Session,
    exit::Exit,
    planning::{self, Cast},
    problem::Problem,
    source,
};

/// How the names of test files end.
pub const ENDING: &str = ".test.yaml";

/// How many machines a group has where no fleet is stated.
const MADE_UP: u32 = 10;

/// A test file that was read.
pub struct Script {
    path: PathBuf,
    sources: Sources,
    /// What it says.
    pub file: TestFile,
}

/// Why a case cannot be tried.
pub enum Wrong {
    /// Because of what is written in the test file.
    Here(Vec<Diagnostic>),
    /// Because of something that it names.
    There(Problem),
}

impl From<Diagnostic> for Wrong {
    fn from(problem: Diagnostic) -> Self {
        Self::Here(vec![problem])
    }
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        Self::There(problem)
    }
}

impl Script {
    /// Reads a test file.
    ///
    /// # Errors
    /// It cannot be read, and everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let name = source::name(path);
        let bytes = source::bytes(path).map_err(|error| unread(path, &error))?;
        let reading = document::read_test(&name, &bytes);
        match reading.file {
            Some(file) if reading.diagnostics.is_empty() => {
                Ok(Self { path: path.to_owned(), sources: reading.sources, file })
            }
            _ => Err(invalid(&name, reading.diagnostics, &reading.sources)),
        }
    }

    /// The file's name in messages.
    pub fn name(&self) -> String {
        source::name(&self.path)
    }

    /// What is wrong with the file, as a problem.
    pub fn invalid(&self, diagnostics: Vec<Diagnostic>) -> Problem {
        invalid(&self.name(), diagnostics, &self.sources)
    }

    /// The case of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn case(&self, name: &str) -> Result<&TestCase, Problem> {
        self.file.cases.iter().find(|case| case.name.value == name).ok_or_else(|| {
            let names: Vec<&str> = self.file.cases.iter().map(|case| case.name.value.as_str()).collect();
            let problem = Problem::new(Exit::Usage, format!("there is no case `{name}`")).at(self.name());
            match nearest(name, names.iter().copied()) {
                Some(near) => problem.next(format!("--case {near}")),
                None => problem.next(format!("one of {}", names.join(", "))),
            }
        })
    }

    /// The runbook that it tests.
    pub fn runbook(&self) -> PathBuf {
        self.beside(&self.file.runbook.value)
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
    }

    /// A case with its plan and its worlds: every name in it means something.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn stage(&self, session: &Session, case: &TestCase) -> Result<Case, Wrong> {
        let setting = &case.setting;
        let runbook = self.runbook();
        if !runbook.is_file() {
            let message = format!("there is no runbook {}", runbook.display());
            return Err(Diagnostic::error("no-runbook", message, self.file.runbook.place).into());
        }
        let cast = match &setting.fleet {
            Some(written) => Cast::Fleet(Box::new(self.fleet(case, written)?)),
            None => Cast::MadeUp(setting.machines.as_ref().map_or(MADE_UP, |machines| machines.value)),
        };
        let cast = self.with_what_goes_wrong(setting, cast)?;
        let limit: Vec<String> = setting.limit.iter().map(|word| word.value.clone()).collect();
        let (plan, mut fleet) =
            planning::staged(session, &runbook, setting.params.clone(), &limit, cast.cast)?;
        cast.scene.dress(&plan, &mut fleet)?;
        cast.scene.profile.fits(&fleet).map_err(|error| {
            let place = setting.faults.as_ref().map_or(case.name.place, |written| written.place);
            Diagnostic::error("senseless-world", error.to_string(), place)
        })?;
        let lengths = lengths::settle(&mut fleet, &plan);
        let world = World::of(fleet.clone(), 1).map_err(|error| {
            let place = setting.faults.as_ref().or(setting.fleet.as_ref()).map(|written| written.place);
            Diagnostic::error("senseless-world", error.to_string(), place.unwrap_or(case.name.place))
        })?;
        let checks = expectation::resolve(case, &plan, &world).map_err(Wrong::Here)?;
        let setup = session.setup()?;
        let rehearsal = Rehearsal {
            plan: Arc::new(plan),
            fleet,
            profile: cast.scene.profile,
            crashes: match setting.crash {
                None | Some(Dying::Never) => Crashes::None,
                Some(Dying::Random) => Crashes::Random,
                Some(Dying::EveryAppend) => Crashes::EveryAppend,
            },
            settings: setup.settings,
            capacity: setup.capacity,
            lengths,
        };
        let seeds = setting.seeds.as_ref().map_or_else(|| vec![1], document::expectation::Seeds::list);
        Ok(Case { rehearsal, seeds, checks })
    }

    fn fleet(&self, case: &TestCase, written: &Written) -> Result<FleetFile, Wrong> {
        match &written.value {
            Value::String(name) => {
                let path = self.beside(name);
                if !path.is_file() {
                    let message = format!("there is no fleet file {}", path.display());
                    return Err(Diagnostic::error("no-fleet", message, written.place).into());
                }
                Ok(planning::fleet_file(&path)?)
            }
            stated => {
                let mut stated = stated.clone();
                if let Value::Object(keys) = &mut stated {
                    keys.entry("fleet").or_insert_with(|| case.name.value.clone().into());
                }
                Ok(typed(stated, written, None)?)
            }
        }
    }

    fn with_what_goes_wrong(&self, setting: &Setting, cast: Cast) -> Result<Staging, Wrong> {
        let (mut faults, mut people) = (Vec::new(), None);
        let profile = match &setting.faults {
            None => shipped("none")?,
            Some(written) => match &written.value {
                Value::String(name) => self.profile(name, written)?,
                Value::Array(rules) => {
                    for (number, rule) in rules.iter().enumerate() {
                        let place = written.items.get(number).copied().unwrap_or(written.place);
                        faults.push((typed::<FaultRule>(rule.clone(), written, Some(number))?, place));
                    }
                    shipped("none")?
                }
                stated => {
                    let mut stated = stated.clone();
                    if let Value::Object(keys) = &mut stated {
                        keys.entry("profile").or_insert_with(|| "stated".into());
                    }
                    let text = serde_yaml::to_string(&stated).unwrap_or_default();
                    Profile::read(&text).map_err(|error| misread(&error.to_string(), written, None))?
                }
            },
        };
        if let Some(written) = &setting.people {
            let mut all = Vec::new();
            for (number, person) in written.value.as_array().into_iter().flatten().enumerate() {
                let place = written.items.get(number).copied().unwrap_or(written.place);
                all.push((typed::<Person>(person.clone(), written, Some(number))?, place));
            }
            people = Some(all);
        }
        let scene = Scene { profile, faults, people, start: setting.start };
        Ok(Staging { cast, scene })
    }

    fn profile(&self, name: &str, written: &Written) -> Result<Profile, Wrong> {
        if Profile::shipped(name).is_some() {
            return shipped(name);
        }
        let path = self.beside(name);
        let bytes = source::bytes(&path).map_err(|error| {
            let names: Vec<&str> = Profile::names().collect();
            let message = format!("the faults `{name}` cannot be read: {}", source::reason(&error));
            let problem = Diagnostic::error("no-faults", message, written.place);
            match nearest(name, names.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("a file, or one of {}", names.join(", "))),
            }
        })?;
        let text = String::from_utf8_lossy(&bytes);
        Profile::read(&text)
            .map_err(|error| Problem::from_error(Exit::Invalid, &error).at(source::name(&path)).into())
    }
}

struct Staging {
    cast: Cast,
    scene: Scene,
}

/// What a case says of its worlds besides the machines.
struct Scene {
    profile: Profile,
    faults: Vec<(FaultRule, runbook_engine::diagnostic::Place)>,
    people: Option<Vec<(Person, runbook_engine::diagnostic::Place)>>,
    start: Option<jiff::Timestamp>,
}

impl Scene {
    /// Puts it into the fleet. A fault in a step that is not in the plan never strikes, and somebody who answers a gate
    /// that is not there says nothing: both are refused.
    fn dress(&self, plan: &Plan, fleet: &mut FleetFile) -> Result<(), Wrong> {
        let mut problems = Vec::new();
        let every = || plan.tasks.iter().chain(&plan.rollback);
        for (rule, place) in &self.faults {
            let strikes = every().any(|task| rule.may_strike_in(task.name.as_str()));
            if let Some(step) = rule.step.as_deref().filter(|_| !strikes) {
                let message = format!("the plan has no step `{step}` in which the fault could strike");
                let problem = Diagnostic::error("unknown-step", message, *place);
                let steps = every().map(|task| task.step.as_str().rsplit('/').next().unwrap_or_default());
                problems.push(match nearest(step, steps) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
            fleet.faults.push(rule.clone());
        }
        match &self.people {
            None => fleet.people.extend(stand_in::people(plan, fleet)),
            Some(people) => {
                fleet.people.clear();
                for (person, place) in people {
                    let asked =
                        |work: &Work| matches!(work, Work::Gate(Gate::Approval { .. } | Gate::Manual { .. }));
                    let gates = every().filter(|task| asked(&task.work));
                    let answers = gates.clone().any(|task| person.answers(task.name.as_str()));
                    if let Some(gate) = person.gate.as_deref().filter(|_| !answers) {
                        let message = format!("the plan has no gate `{gate}` that asks anybody");
                        problems.push(Diagnostic::error("unknown-gate", message, *place));
                    }
                    fleet.people.push(person.clone());
                }
            }
        }
        if let Some(start) = self.start {
            fleet.start = start;
        }
        if problems.is_empty() { Ok(()) } else { Err(Wrong::Here(problems)) }
    }
}

/// The rehearsal of one case, for those who look at its worlds one by one.
///
/// # Errors
/// What is wrong with the file or the case.
pub fn rehearsal(session: &Session, file: &Path, case: &str) -> Result<Case, Problem> {
    let script = Script::read(file)?;
    script.stage(session, script.case(case)?).map_err(|wrong| match wrong {
        Wrong::Here(diagnostics) => script.invalid(diagnostics),
        Wrong::There(problem) => problem,
    })
}

/// A test file, or a folder of them, that cannot be read.
pub fn unread(path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(Exit::Invalid, source::reason(error)).at(source::name(path));
    match error.kind() {
        io::ErrorKind::NotFound => problem.next("runbook test DIR"),
        io::ErrorKind::IsADirectory => problem.next(format!("runbook test {}", path.display())),
        _ => problem,
    }
}

fn invalid(name: &str, diagnostics: Vec<Diagnostic>, sources: &Sources) -> Problem {
    Problem::invalid("the tests cannot be tried", diagnostics, sources.clone()).at(name)
}

fn shipped(name: &str) -> Result<Profile, Wrong> {
    let text = Profile::shipped(name).unwrap_or_default();
    Profile::read(text).map_err(|error| Problem::bug(error.to_string()).into())
}

/// What is written, as something of the simulated world; `item`: this one of a list.
fn typed<T: DeserializeOwned>(value: Value, written: &Written, item: Option<usize>) -> Result<T, Diagnostic> {
    serde_json::from_value(value).map_err(|error| misread(&error.to_string(), written, item))
}

/// Where something is wrong that only its reader understood: at the key that it names, else at the item, else at the whole.
fn misread(said: &str, written: &Written, item: Option<usize>) -> Diagnostic {
    let begins = item.and_then(|item| written.items.get(item).copied()).unwrap_or(written.place);
    let ends = item.and_then(|item| written.items.get(item + 1).copied());
    let mut quoted = said.split('`').skip(1).step_by(2);
    let unknown = said.starts_with("unknown field").then(|| quoted.next()).flatten();
    let key = unknown.and_then(|name| {
        written.keys.iter().find(|key| {
            let after = (key.place.line, key.place.column) >= (begins.line, begins.column);
            let before = ends.is_none_or(|end| (key.place.line, key.place.column) < (end.line, end.column));
            key.value == name && after && before
        })
    });
    let Some((name, key)) = unknown.zip(key) else {
        return Diagnostic::error("misread", said.to_owned(), begins);
    };
    let known: Vec<&str> = quoted.collect();
    let problem = Diagnostic::error("unknown-key", format!("there is no key `{name}` here"), key.place);
    match nearest(name, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!("the keys are {}", known.join(", "))),
    }
}
