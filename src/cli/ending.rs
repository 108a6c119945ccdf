//! The last words of a command that ran or followed a run.

use runbook::{
    control::client::{self, Journal},
    coordinator::exit::ExitReport,
    view::{paint::Paint, run_json, run_page},
};

use jiff::Timestamp;

use super::{Session, exit::Exit, problem::Problem};

/// Says how the run stands, and makes that the exit code.
///
/// # Errors
/// The journal cannot be read back.
pub fn tell(session: &Session, report: &ExitReport) -> Result<Exit, Problem> {
    let journal = client::journal(&session.setup()?, Some(report.run.as_str()))?;
    let run = journal.replay()?;
    if session.screen.json {
        session.screen.json_line(&run_json::show(&run, journal.live));
    } else {
        let paint = Paint(session.screen.color);
        session.screen.data(&format!("\n{}", run_page::page(&run, journal.live, now(&journal), paint)));
    }
    Ok(Exit::from_code(report.code))
}

/// The time in the run's world: a simulated one stands still where its journal ends.
pub fn now(journal: &Journal) -> Timestamp {
    match (&journal.row.world, journal.entries.last()) {
        (Some(_), Some(last)) => last.at,
        _ => Timestamp::now(),
    }
}
