//! The last words of a command that ran or followed a run.

use runbook::{
    control::client::{self, Standing},
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
    let standing = client::standing(&session.setup()?, Some(report.run.as_str()))?;
    if session.screen.json {
        session.screen.json_line(&run_json::show(&standing.run, standing.live));
    } else {
        let paint = Paint(session.screen.color);
        let page = run_page::page(&standing.run, standing.live, now(&standing), paint);
        session.screen.data(&format!("\n{page}"));
    }
    Ok(Exit::from_code(report.code))
}

/// The time in the run's world: a simulated one stands still where its journal ends.
pub fn now(standing: &Standing) -> Timestamp {
    match standing.row.world {
        Some(_) => standing.last_at,
        None => Timestamp::now(),
    }
}
