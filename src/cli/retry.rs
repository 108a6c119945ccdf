//! `runbook retry`.

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use runbook::{
    control::client,
    coordinator::{Start, session},
    view::{paint::Paint, plan_page},
    world::{self, Choice, Environment},
};
use runbook_engine::{
    document,
    experience::Experience,
    loader::Loader,
    outcome::TargetOutcome,
    patchset::Carried,
    plan::{self, Link, LinkKind, Making, Plan, Refusal},
};
use runbook_steps::catalog::Actions;

use super::{
    Done, Session, ending,
    exit::Exit,
    freezing,
    history::{self, Unread},
    planning,
    problem::Problem,
    watch::Watch,
};

/// Run a finished run again for its failed and not-started machines, as a new run
#[derive(Debug, Args)]
pub struct Retry {
    /// The run: its id or the beginning of it [default: the newest]
    run: Option<String>,
    /// End with exit 12 as soon as only waits are left
    #[arg(long)]
    no_wait: bool,
    /// Plan as if nothing were known of how long actions took in earlier runs
    #[arg(long)]
    no_experience: bool,
}

impl Retry {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let setup = session.setup()?;
        let standing = client::standing(&setup, self.run.as_deref())?;
        let old = standing.row.run.clone();
        let place = format!("run {old}");
        if standing.row.finished_at.is_none() {
            return Err(Problem::new(Exit::Usage, format!("run {old} is not finished"))
                .at(place)
                .next(format!("runbook resume {old}")));
        }
        if let Some(Link { run: rolled_back, kind: LinkKind::Rollback }) = &standing.run.plan().link {
            let what = format!(
                "run {old} is the rollback of run {rolled_back}: what it restored is not patched again"
            );
            return Err(Problem::new(Exit::Usage, what)
                .at(place)
                .next(format!("runbook retry {rolled_back}")));
        }
        let run = &standing.run;
        let limit: Vec<String> = run
            .targets()
            .iter()
            .filter(|each| !matches!(each.outcome, TargetOutcome::Succeeded | TargetOutcome::Excluded))
            .map(|each| each.id.to_string())
            .collect();
        if limit.is_empty() && !standing.run.plan().targets.is_empty() {
            return Err(Problem::new(Exit::Usage, format!("no machine of run {old} failed or was left out"))
                .at(place)
                .next(format!("runbook show {old}")));
        }
        let environment = world::planning(&Choice::of_run(&standing.row), &setup, Path::new("."))?;
        let link = Link { run: old, kind: LinkKind::Retry };
        let tested = run.carried_patchset();
        let experience = if self.no_experience {
            Experience::default()
        } else {
            history::of(session, &Choice::of_run(&standing.row), Unread::Refused)?
        };
        let mut plan = again(standing.run.plan(), &environment, limit, link, tested, experience)
            .map_err(|problem| problem.at(place))?;
        freezing::playbooks(session, &environment, &mut plan)
            .map_err(|problem| problem.at(format!("run {}", standing.row.run)))?;
        if !session.screen.json {
            session.screen.data(&format!("{}\n", plan_page::brief(&plan, Paint(session.screen.color))));
        }
        let start = Start { plan: plan.into(), expect_plan: None, not_before: None, no_wait: self.no_wait };
        let mut watch = Watch::new(&session.screen);
        let report = session::run(&setup, &Choice::of_run(&standing.row), start, &mut watch);
        watch.finish();
        ending::tell(session, &report?)
    }
}

/// The same texts, parameters and environment, planned anew for these machines; with what was tested for them.
fn again(
    old: &Plan,
    environment: &Environment,
    limit: Vec<String>,
    link: Link,
    tested: Option<Carried>,
    experience: Experience,
) -> Result<Plan, Problem> {
    let catalog = Actions::standard();
    let text = old.sources.get(&old.entry).map(String::as_bytes).unwrap_or_default();
    let reading = document::read(&old.entry, text, &Planned(&old.sources));
    let Some(runbook) = &reading.runbook else {
        return Err(Problem::invalid(
            "the run's own runbook cannot be read",
            reading.diagnostics,
            reading.sources,
        ));
    };
    let queries: Vec<_> =
        old.selection.queries.iter().map(|(group, query)| (group.clone(), query.clone())).collect();
    let resolved = planning::resolve(environment, Path::new("."), &queries)?;
    let making = Making {
        runbook,
        sources: &reading.sources,
        catalog: &catalog,
        params: old.params.clone(),
        env: old.env.clone(),
        resolved,
        limit,
        tested,
        experience,
    };
    match plan::make(making) {
        Ok(mut plan) => {
            plan.link = Some(link);
            Ok(plan)
        }
        Err(Refusal::Invalid(diagnostics)) => {
            Err(Problem::invalid("the runbook cannot be planned again", diagnostics, reading.sources.clone()))
        }
        Err(refusal) => Err(Problem::from_error(Exit::Refused, &refusal)),
    }
}

/// The texts that a plan keeps.
struct Planned<'a>(&'a BTreeMap<String, String>);

impl Loader for Planned<'_> {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0
            .get(path)
            .map(|text| text.clone().into_bytes())
            .ok_or_else(|| format!("the plan does not hold {path}"))
    }
}
