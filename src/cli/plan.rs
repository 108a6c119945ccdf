//! `runbook plan`.

use std::{fs, path::PathBuf};

use clap::{Args, ValueEnum};
use runbook::view::{paint::Paint, plan_page};
use runbook_engine::plan::Plan;

use super::{
    Done, Session,
    exit::Exit,
    history::Unread,
    planning::{self, Wishes},
    preview,
    problem::Problem,
    source,
};

/// Show exactly what a run would do to which machines, without changing anything
///
/// The plan is frozen: runbook, parameters and machines. Its SHA-256 is what approvers approve, and what
/// `runbook run --expect-plan` insists on.
#[derive(Debug, Args)]
pub struct PlanCommand {
    /// The runbook, or a saved plan
    file: PathBuf,
    #[command(flatten)]
    wishes: Wishes,
    /// Save the plan, for `runbook run PLAN`
    #[arg(short, long, value_name = "PLAN")]
    output: Option<PathBuf>,
    /// Draw the graph of tasks instead of the page
    #[arg(long, value_name = "AS", conflicts_with = "json")]
    graph: Option<Graph>,
    /// Ask Ansible what each playbook would change (`--check`), and show that below the plan; it is no part of the plan
    #[arg(long, conflicts_with_all = ["json", "graph"])]
    ansible_check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Graph {
    /// Mermaid flowchart
    Mermaid,
    /// Graphviz
    Dot,
    /// Picture
    Svg,
}

impl PlanCommand {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let plan = planning::from_file(session, &self.file, &self.wishes, Unread::Noted)?;
        if let Some(output) = &self.output {
            save(&plan, output)?;
        }
        if session.screen.json {
            session.screen.json_page(&plan.to_summary_json());
            return Ok(Exit::Succeeded);
        }
        match self.graph {
            Some(Graph::Mermaid) => session.screen.data(&plan.to_mermaid()),
            Some(Graph::Dot) => session.screen.data(&plan.to_dot()),
            Some(Graph::Svg) => session.screen.data(&plan.to_svg()),
            None => session.screen.data(&plan_page::page(&plan, Paint(session.screen.color))),
        }
        if let Some(output) = &self.output {
            session.screen.note(&format!("saved; run it with: runbook run {}\n", output.display()));
        }
        if self.ansible_check {
            session.screen.data(&preview::page(session, &self.file, &self.wishes, &plan)?);
        }
        Ok(Exit::Succeeded)
    }
}

/// Written beside it and renamed, so that a plan is whole or not there.
fn save(plan: &Plan, output: &PathBuf) -> Result<(), Problem> {
    let place = output.display().to_string();
    let mut beside = output.clone().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    fs::write(&beside, plan.to_canonical_json()).and_then(|()| fs::rename(&beside, output)).map_err(|error| {
        Problem::new(Exit::Usage, format!("the plan cannot be saved: {}", source::reason(&error))).at(place)
    })
}
