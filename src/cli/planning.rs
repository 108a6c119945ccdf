//! From a file and the options of `plan` and `run` to a plan.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use runbook::{
    policy::stand_in,
    rehearsal,
    world::{self, Choice, Environment},
};
use runbook_engine::{
    diagnostic::{self, Diagnostic, Severity},
    document::{self, Reading, Sources, model::Runbook, params},
    experience::Experience,
    ids::GroupName,
    plan::{self, Making, Plan, Refusal},
    target::{Target, TargetQuery},
};
use runbook_steps::{
    catalog::Actions,
    ports::fault::{Fault, FaultKind},
    world::FleetFile,
};
use serde_json::Value;

use super::{
    Session,
    exit::Exit,
    freezing,
    history::{self, Unread},
    problem::Problem,
    source::{self, Folder},
};

/// Values of parameters.
#[derive(Debug, Args)]
pub struct Values {
    /// A value of a parameter; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// A YAML or JSON file with values of parameters; `--param` goes before it
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
}

/// What is planned, for which machines.
#[derive(Debug, Args)]
pub struct Wishes {
    #[command(flatten)]
    pub values: Values,
    /// Only these machines: a target group, or a machine's id; may be repeated
    #[arg(long, value_name = "GROUP|ID")]
    pub limit: Vec<String>,
    /// A simulated fleet, in place of the real world
    #[arg(long, value_name = "FILE")]
    pub fleet: Option<PathBuf>,
    /// Plan as if nothing were known of how long actions took in earlier runs
    #[arg(long)]
    pub no_experience: bool,
}

impl Wishes {
    /// Whether anything was said that only a runbook can take, and not a plan.
    fn are_for_runbooks(&self) -> bool {
        !self.values.param.is_empty()
            || self.values.params.is_some()
            || !self.limit.is_empty()
            || self.no_experience
    }

    /// The world that is meant.
    pub fn choice(&self) -> Choice {
        self.fleet.clone().map_or(Choice::Real, Choice::Fleet)
    }
}

/// Plans a runbook, or reads a plan and compares it with the fleet.
///
/// # Errors
/// Everything that is wrong with the file, the parameters, the limit or the fleet.
pub fn from_file(session: &Session, file: &Path, wishes: &Wishes, unread: Unread) -> Result<Plan, Problem> {
    let bytes = runbook(file)?;
    if is_plan(&bytes) {
        saved(session, file, &bytes, wishes)
    } else {
        fresh(session, file, &bytes, wishes, unread)
    }
}

/// A plan is a JSON object with a `format`; a runbook never has one.
fn is_plan(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.get("format").is_some())
}

fn saved(session: &Session, file: &Path, bytes: &[u8], wishes: &Wishes) -> Result<Plan, Problem> {
    let name = source::name(file);
    if wishes.are_for_runbooks() {
        return Err(Problem::new(Exit::Usage, "a plan is frozen: it takes no parameters and no limit")
            .at(name)
            .next("runbook plan FILE --param NAME=VALUE -o PLAN"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::new(Exit::Invalid, "the plan is not UTF-8 text").at(name.as_str()))?;
    let plan = Plan::from_json(text)
        .map_err(|error| Problem::from_error(Exit::Invalid, &error).at(name.as_str()))?;
    let environment = world::planning(&wishes.choice(), &session.setup()?, Folder::of(file).path())?;
    let queries: Vec<(GroupName, TargetQuery)> =
        plan.selection.queries.iter().map(|(group, query)| (group.clone(), query.clone())).collect();
    let resolved = resolve(&environment, Folder::of(file).path(), &queries)?;
    say_notes(session, &environment);
    let drift = plan.drift(&resolved);
    if !drift.is_empty() {
        let most = 8;
        let mut cause =
            format!("the fleet is no longer the planned one: {}", drift[..drift.len().min(most)].join("; "));
        if drift.len() > most {
            cause.push_str(&format!("; and {} more differences", drift.len() - most));
        }
        return Err(Problem::new(Exit::Invalid, cause).at(name).next("runbook plan FILE -o PLAN"));
    }
    let changed = freezing::drift(&environment, &plan);
    if !changed.is_empty() {
        let cause = format!("a playbook is no longer the planned one: {}", changed.join("; "));
        return Err(Problem::new(Exit::Invalid, cause).at(name).next("runbook plan FILE -o PLAN"));
    }
    Ok(plan)
}

fn fresh(
    session: &Session,
    file: &Path,
    bytes: &[u8],
    wishes: &Wishes,
    unread: Unread,
) -> Result<Plan, Problem> {
    let asked = Asked::read(session, file, bytes, &wishes.values)?;
    let environment = world::planning(&wishes.choice(), &session.setup()?, Folder::of(file).path())?;
    let resolved = resolve(&environment, Folder::of(file).path(), &asked.queries)?;
    say_notes(session, &environment);
    let experience = if wishes.no_experience {
        Experience::default()
    } else {
        history::of(session, &wishes.choice(), unread)?
    };
    let mut plan = asked.plan(resolved, wishes.limit.clone(), experience)?;
    freezing::playbooks(session, &environment, &mut plan)
        .map_err(|problem| problem.at(source::name(file)))?;
    Ok(plan)
}

/// What inventories say of the machines, and the plan does not.
fn say_notes(session: &Session, environment: &Environment) {
    if session.screen.json {
        return;
    }
    for note in environment.block_on(environment.ports().inventory.notes()) {
        session.screen.note(&format!("note: {note}\n"));
    }
}

/// The machines of every group that a runbook uses, and the world that was asked.
///
/// # Errors
/// Everything that is wrong with the file and the parameters, and what the outside world refused.
pub fn machines(
    session: &Session,
    file: &Path,
    values: &Values,
    choice: &Choice,
) -> Result<(Environment, BTreeMap<GroupName, Vec<Target>>), Problem> {
    let bytes = runbook(file)?;
    let asked = Asked::read(session, file, &bytes, values)?;
    let environment = world::planning(choice, &session.setup()?, Folder::of(file).path())?;
    let resolved = resolve(&environment, Folder::of(file).path(), &asked.queries)?;
    Ok((environment, resolved))
}

/// Plans every step of a runbook, in one wave, on machines that are not there: one of each group on AWS, which is not
/// asked. With these, by group.
///
/// # Errors
/// Everything that is wrong with the file and the parameters.
pub fn with_stand_ins(
    session: &Session,
    file: &Path,
    values: &Values,
) -> Result<(Plan, BTreeMap<GroupName, Vec<Target>>), Problem> {
    let bytes = runbook(file)?;
    let mut asked = Asked::read(session, file, &bytes, values)?;
    let (aws, hosts): (Vec<_>, Vec<_>) =
        asked.queries.iter().cloned().partition(|(_, query)| matches!(query, TargetQuery::Aws { .. }));
    let texts: Vec<&str> = asked.sources.files.iter().map(|(_, text)| text.as_str()).collect();
    let machines = stand_in::machines(&asked.runbook, &aws, &texts);
    let environment = world::planning(&Choice::Real, &session.setup()?, Folder::of(file).path())?;
    let mut resolved = resolve(&environment, Folder::of(file).path(), &hosts)?;
    resolved.extend(machines.clone());
    asked.runbook = stand_in::simplified(asked.runbook);
    Ok((asked.plan(resolved, Vec::new(), Experience::default())?, machines))
}

/// Plans a runbook for a simulated world that nobody has changed anything in: the fleet of this file, else machines that
/// are made up for it. The plan, and the fleet that it was made for.
///
/// # Errors
/// Everything that is wrong with the file, the parameters, the limit or the fleet.
pub fn rehearsed(
    session: &Session,
    file: &Path,
    values: &Values,
    limit: &[String],
    fleet: Option<&Path>,
    machines: u32,
    no_experience: bool,
) -> Result<(Plan, FleetFile), Problem> {
    let asked = Asked::read(session, file, &runbook(file)?, values)?;
    let cast = match fleet {
        Some(path) => Cast::Fleet(Box::new(fleet_file(path)?)),
        None => Cast::MadeUp(machines),
    };
    let named = fleet.map(source::name);
    let experience =
        if no_experience { Experience::default() } else { history::to_rehearse_with(session, fleet)? };
    asked.cast(file, limit, cast, experience).map_err(|problem| match (named, &problem.at) {
        (Some(named), None) => problem.at(named),
        _ => problem,
    })
}

/// The same with values of parameters that are known already, and without experience: a test comes out the same
/// wherever it is tried. Warnings are not told: `check` tells them.
///
/// # Errors
/// As [`rehearsed`].
pub fn staged(
    session: &Session,
    file: &Path,
    params: BTreeMap<String, Value>,
    limit: &[String],
    cast: Cast,
) -> Result<(Plan, FleetFile), Problem> {
    Asked::with(session, file, &runbook(file)?, &params, &mut |_, _| ())?.cast(
        file,
        limit,
        cast,
        Experience::default(),
    )
}

/// The machines of a simulated world.
pub enum Cast {
    /// As written down.
    Fleet(Box<FleetFile>),
    /// So many for each group of the runbook.
    MadeUp(u32),
}

/// The fleet of a file.
///
/// # Errors
/// It cannot be read, or is none.
pub fn fleet_file(path: &Path) -> Result<FleetFile, Problem> {
    let wrong = |why: String| Problem::new(Exit::Invalid, why).at(source::name(path));
    let bytes = source::bytes(path).map_err(|error| wrong(source::reason(&error)))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
    FleetFile::read(text).map_err(|error| wrong(error.to_string()))
}

/// A runbook that cannot be read.
fn unread(file: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(Exit::Invalid, source::reason(error)).at(source::name(file));
    match error.kind() {
        io::ErrorKind::NotFound => problem.next("runbook init"),
        io::ErrorKind::IsADirectory => problem.next(format!("runbook check {}/*.yaml", file.display())),
        _ => problem,
    }
}

fn runbook(file: &Path) -> Result<Vec<u8>, Problem> {
    source::bytes(file).map_err(|error| unread(file, &error))
}

/// A runbook with the values of its parameters, and what its groups ask the inventories.
struct Asked {
    name: String,
    sources: Sources,
    named: Sources,
    runbook: Runbook,
    params: BTreeMap<String, Value>,
    env: BTreeMap<String, String>,
    queries: Vec<(GroupName, TargetQuery)>,
}

impl Asked {
    fn read(session: &Session, file: &Path, bytes: &[u8], values: &Values) -> Result<Self, Problem> {
        let mut tell = |diagnostics: &[Diagnostic], sources: &Sources| {
            if !diagnostics.is_empty() && !session.screen.json {
                let text = diagnostic::render(diagnostics, sources, session.screen.error_color);
                session.screen.note(&format!("{}\n\n", text.trim_end()));
            }
        };
        Self::with(session, file, bytes, &given(values)?, &mut tell)
    }

    fn with(
        session: &Session,
        file: &Path,
        bytes: &[u8],
        given: &BTreeMap<String, Value>,
        tell: &mut dyn FnMut(&[Diagnostic], &Sources),
    ) -> Result<Self, Problem> {
        let name = source::name(file);
        let Reading { sources, runbook, diagnostics } =
            document::read(&name, bytes, &Folder::of(file)).checked(&Actions::standard());
        let errors = diagnostics.iter().any(|each| each.severity == Severity::Error);
        let Some(runbook) = runbook.filter(|_| !errors) else {
            return Err(invalid(&name, &sources, diagnostics));
        };
        tell(&diagnostics, &sources);
        let params = params::resolve(&runbook, given).map_err(|diagnostics| {
            Problem::invalid("the parameters do not fit the runbook", diagnostics, sources.clone())
                .at(name.as_str())
                .next(format!("runbook plan {name} --param NAME=VALUE"))
        })?;
        let env = session.surroundings.variables.clone();
        let queries = plan::queries(&runbook, &params, &env)
            .map_err(|diagnostics| invalid(&name, &sources, diagnostics))?;
        let named = short_names(&sources, file);
        Ok(Self { name, sources, named, runbook, params, env, queries })
    }

    /// Plans for a simulated world that nobody has changed anything in.
    fn cast(
        self,
        file: &Path,
        limit: &[String],
        cast: Cast,
        experience: Experience,
    ) -> Result<(Plan, FleetFile), Problem> {
        let fleet = match cast {
            Cast::Fleet(fleet) => *fleet,
            Cast::MadeUp(machines) => rehearsal::stand_in::fleet(&self.runbook, &self.queries, machines)
                .map_err(|error| {
                    Problem::new(Exit::Invalid, error.to_string())
                        .at(self.name.as_str())
                        .next(format!("runbook rehearse {} --fleet FLEET", self.name))
                })?,
        };
        let environment = world::of_fleet(fleet.clone())?;
        let resolved = resolve(&environment, Folder::of(file).path(), &self.queries)?;
        Ok((self.plan(resolved, limit.to_vec(), experience)?, fleet))
    }

    fn plan(
        self,
        resolved: BTreeMap<GroupName, Vec<Target>>,
        limit: Vec<String>,
        experience: Experience,
    ) -> Result<Plan, Problem> {
        let Self { name, sources, named, runbook, params, env, queries: _ } = self;
        let catalog = Actions::standard();
        let making = Making {
            runbook: &runbook,
            sources: &named,
            catalog: &catalog,
            params,
            env,
            resolved,
            limit,
            tested: None,
            experience,
        };
        plan::make(making).map_err(|refusal| match refusal {
            Refusal::Invalid(diagnostics) if diagnostics.iter().all(|each| each.code == "unknown-limit") => {
                unknown_limit(&name, &diagnostics)
            }
            Refusal::Invalid(diagnostics) => invalid(&name, &sources, diagnostics),
            refusal @ Refusal::NoTargets { .. } => Problem::from_error(Exit::Refused, &refusal)
                .at(name.as_str())
                .next(format!("runbook check {name}")),
        })
    }
}

fn invalid(name: &str, sources: &Sources, diagnostics: Vec<Diagnostic>) -> Problem {
    // What only experience tells, the runbook alone does not show.
    let next = if diagnostics.iter().all(|each| each.code == "window-too-short") {
        format!("runbook plan {name} --no-experience")
    } else {
        format!("runbook check {name}")
    };
    Problem::invalid("the runbook cannot be planned", diagnostics, sources.clone()).at(name).next(next)
}

/// A limit stands in no file: there is no line to point at.
fn unknown_limit(name: &str, diagnostics: &[Diagnostic]) -> Problem {
    let mut cause: Vec<&str> = diagnostics.iter().map(|each| each.message.as_str()).collect();
    cause.extend(diagnostics.first().and_then(|each| each.hint.as_deref()));
    Problem::new(Exit::Invalid, cause.join("; ")).at(name).next("--limit GROUP")
}

/// Sources without the folder that the runbook was read from: the same runbook has the same digest wherever one
/// stands when one types the command.
fn short_names(sources: &Sources, file: &Path) -> Sources {
    let mut sources = sources.clone();
    let short = file.file_name().map(|name| name.to_string_lossy().into_owned());
    if let (Some(entry), Some(short)) = (sources.files.first_mut(), short) {
        entry.0 = short;
    }
    sources
}

/// Asks the inventory for every group; inventory files are in this folder, that of the runbook.
///
/// # Errors
/// The outside world gave no answer.
pub fn resolve(
    environment: &Environment,
    folder: &Path,
    queries: &[(GroupName, TargetQuery)],
) -> Result<BTreeMap<GroupName, Vec<Target>>, Problem> {
    let mut resolved = BTreeMap::new();
    for (group, query) in queries {
        let targets = environment
            .block_on(environment.ports().inventory.resolve(group, query))
            .map_err(|fault| unresolved(folder, group, query, &fault))?;
        resolved.insert(group.clone(), targets);
    }
    Ok(resolved)
}

fn unresolved(folder: &Path, group: &GroupName, query: &TargetQuery, fault: &Fault) -> Problem {
    // What is wrong in a file is not the outside world's refusal.
    let exit = if fault.kind == FaultKind::Invalid { Exit::Invalid } else { Exit::Refused };
    match query {
        TargetQuery::HostInventory { file, .. } => {
            let cause = format!("the machines of group `{group}` cannot be found: {}", fault.message);
            Problem::new(exit, cause)
                .next(format!("runbook inventory --inventory {}", folder.join(file).display()))
        }
        _ => Problem::new(Exit::Refused, format!("the machines of group `{group}` cannot be found: {fault}")),
    }
}

/// The values of `--params` and `--param`.
fn given(values: &Values) -> Result<BTreeMap<String, Value>, Problem> {
    let mut given: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(file) = &values.params {
        let at = source::name(file);
        let bytes = source::bytes(file)
            .map_err(|error| Problem::new(Exit::Invalid, source::reason(&error)).at(at.as_str()))?;
        given = serde_yaml::from_slice(&bytes).map_err(|error| {
            Problem::new(Exit::Invalid, format!("it is not a mapping of parameters: {error}")).at(at.as_str())
        })?;
    }
    for text in &values.param {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Problem::new(Exit::Usage, format!("`{text}` is not NAME=VALUE"))
                .at("--param")
                .next("--param NAME=VALUE"));
        };
        given.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    Ok(given)
}
