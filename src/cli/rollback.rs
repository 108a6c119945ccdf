//! `runbook rollback`.

use std::path::Path;

use clap::Args;
use runbook::{
    control::client,
    coordinator::{Start, session},
    view::{paint::Paint, plan_page},
    world::{self, Choice},
};
use runbook_engine::plan::{self, Link, LinkKind};

use super::{Done, Session, ending, exit::Exit, freezing, problem::Problem, watch::Watch};

/// Restore what a finished run changed, newest wave first, as a new run
///
/// Every machine that entered a changing step and is not restored yet is restored from its own backup of that run,
/// and verified.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The run: its id or the beginning of it [default: the newest]
    run: Option<String>,
    /// Only these machines: a target group, or a machine's id; may be repeated
    #[arg(long, value_name = "GROUP|ID")]
    limit: Vec<String>,
    /// End with exit 12 as soon as only waits are left
    #[arg(long)]
    no_wait: bool,
}

impl Rollback {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let setup = session.setup()?;
        let standing = client::standing(&setup, self.run.as_deref())?;
        let old = standing.row.run.clone();
        if standing.row.finished_at.is_none() {
            return Err(Problem::new(Exit::Usage, format!("run {old} is not finished"))
                .at(format!("run {old}"))
                .next(format!("runbook cancel {old} --restore")));
        }
        let run = &standing.run;
        let mut changed = run.changed_targets();
        let wanted = |id: &runbook_engine::ids::TargetId| {
            self.limit.is_empty()
                || self.limit.iter().any(|limit| {
                    limit == id.as_str()
                        || standing.run.plan().groups.get(limit.as_str()).is_some_and(|ids| ids.contains(id))
                })
        };
        changed.values_mut().for_each(|ids| ids.retain(wanted));
        changed.retain(|_, ids| !ids.is_empty());
        if changed.is_empty() {
            return Err(Problem::new(Exit::Usage, format!("run {old} left no changed machine to restore"))
                .at(format!("run {old}"))
                .next(format!("runbook show {old}")));
        }
        let link = Link { run: old, kind: LinkKind::Rollback };
        let mut plan = plan::rollback_of(standing.run.plan(), &changed, run.backups(), link);
        if freezing::has_playbooks(&plan) {
            let environment = world::planning(&Choice::of_run(&standing.row), &setup, Path::new("."))?;
            freezing::playbooks_anew(session, &environment, &mut plan);
        }
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
