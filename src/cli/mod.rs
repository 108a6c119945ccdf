//! The command line: one file per command.

mod approve;
mod artifacts;
mod cancel;
mod cases;
mod check;
mod completions;
mod ending;
mod events;
mod exclude;
mod exit;
mod freezing;
mod history;
mod iam_policy;
mod init;
mod inventory;
mod list;
mod logs;
mod man;
mod order;
mod pause;
mod plan;
mod planning;
mod preview;
mod problem;
mod progress;
mod reference;
mod rehearse;
mod reject;
mod resolve;
mod resume;
mod retry;
mod rollback;
mod run;
mod sandbox;
mod schema;
mod screen;
mod shell;
mod show;
mod source;
mod surroundings;
mod test;
mod unpause;
mod watch;

use std::{
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ColorChoice, CommandFactory, Parser, Subcommand, error::ErrorKind};

use runbook::coordinator::session::Setup;

use self::{exit::Exit, problem::Problem, screen::Screen, surroundings::Surroundings};

/// What a command returns: how the process ends.
type Done = Result<Exit, Problem>;

/// Staged rollouts with a proven way back: durable, resumable, restored by themselves.
///
/// A runbook says what is done to which machines, in which waves, and how a machine is restored that does not come
/// back healthy. `runbook plan` shows exactly what will happen; `runbook run` does it; if anything dies at any
/// moment, `runbook resume` goes on.
#[derive(Debug, Parser)]
#[command(name = "runbook", bin_name = "runbook", version, propagate_version = false, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 succeeded, 1 our bug, 2 wrong usage, 3 invalid, 4 refused before anything \
                        was changed, 10 failed or restored, 11 stuck, 12 waiting or interrupted (resumable), \
                        13 cancelled, 20 store locked or unreadable."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Write JSON (JSON lines where there is more than one thing) on stdout
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// The folder that keeps runs [default: $RUNBOOK_STATE, $XDG_STATE_HOME/runbook, ~/.local/state/runbook]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    state: Option<PathBuf>,
    /// Whether text has colours; NO_COLOR is obeyed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Everywhere")]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Check(check::Check),
    Plan(plan::PlanCommand),
    Run(run::RunCommand),
    Resume(resume::Resume),
    List(list::List),
    Show(show::Show),
    Events(events::Events),
    Logs(logs::Logs),
    Approve(approve::Approve),
    Reject(reject::Reject),
    Pause(pause::Pause),
    Unpause(unpause::Unpause),
    Exclude(exclude::Exclude),
    Cancel(cancel::Cancel),
    Rollback(rollback::Rollback),
    Retry(retry::Retry),
    Resolve(resolve::Resolve),
    Rehearse(rehearse::Rehearse),
    Test(test::Test),
    Sandbox(sandbox::Sandbox),
    Artifacts(artifacts::Artifacts),
    Inventory(inventory::Inventory),
    IamPolicy(iam_policy::IamPolicy),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Man(man::Man),
    Reference(reference::Reference),
}

/// What every command gets.
struct Session {
    surroundings: Surroundings,
    screen: Screen,
    state: Option<PathBuf>,
}

impl Session {
    /// The state folder.
    fn state(&self) -> Result<PathBuf, Problem> {
        self.surroundings.state(self.state.clone())
    }

    /// What the coordinator and its clients need.
    fn setup(&self) -> Result<Setup, Problem> {
        Ok(Setup {
            settings: self.surroundings.settings()?,
            watched: self.screen.live,
            ..Setup::new(self.state()?, self.surroundings.variables.clone())
        })
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let surroundings = Surroundings::read();
    let cli = match Cli::try_parse_from(&surroundings.arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let color = match cli.global.color {
        ColorChoice::Always => Some(true),
        ColorChoice::Never => Some(false),
        ColorChoice::Auto => surroundings.no_color().then_some(false),
    };
    let session = Session {
        screen: Screen::new(cli.global.json, color, surroundings.is_dumb()),
        state: cli.global.state.clone(),
        surroundings,
    };
    // A broken invariant panics; it must say so in our words and end in our exit code.
    let exit = match panic::catch_unwind(AssertUnwindSafe(|| dispatch(cli.command, &session))) {
        Ok(Ok(Exit::Succeeded)) if session.screen.lost() => Exit::Bug,
        Ok(Ok(exit)) => exit,
        Ok(Err(problem)) => {
            session.screen.problem(&problem);
            problem.exit
        }
        Err(_) => {
            let problem = Problem::bug("the program broke one of its own rules (the lines above say which)")
                .next("runbook resume");
            session.screen.problem(&problem);
            Exit::Bug
        }
    };
    ExitCode::from(exit.code())
}

fn dispatch(command: Command, session: &Session) -> Done {
    match command {
        Command::Init(command) => command.run(session),
        Command::Check(command) => command.run(session),
        Command::Plan(command) => command.run(session),
        Command::Run(command) => command.run(session),
        Command::Resume(command) => command.run(session),
        Command::List(command) => command.run(session),
        Command::Show(command) => command.run(session),
        Command::Events(command) => command.run(session),
        Command::Logs(command) => command.run(session),
        Command::Approve(command) => command.run(session),
        Command::Reject(command) => command.run(session),
        Command::Pause(command) => command.run(session),
        Command::Unpause(command) => command.run(session),
        Command::Exclude(command) => command.run(session),
        Command::Cancel(command) => command.run(session),
        Command::Rollback(command) => command.run(session),
        Command::Retry(command) => command.run(session),
        Command::Resolve(command) => command.run(session),
        Command::Rehearse(command) => command.run(session),
        Command::Test(command) => command.run(session),
        Command::Sandbox(command) => command.run(session),
        Command::Artifacts(command) => command.run(session),
        Command::Inventory(command) => command.run(session),
        Command::IamPolicy(command) => command.run(session),
        Command::Schema(command) => command.run(session),
        Command::Completions(command) => command.run(session),
        Command::Man(command) => command.run(session),
        Command::Reference(command) => command.run(session),
    }
}

/// Help is data; a wrong command line is exit 2.
fn usage(error: &clap::Error) -> ExitCode {
    // clap chooses the stream; that nobody reads it is no error.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(Exit::Usage.code()),
    }
}

/// The whole command line, for completions and reference pages.
fn command_line() -> clap::Command {
    Cli::command()
}
