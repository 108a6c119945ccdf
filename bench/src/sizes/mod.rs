//! `make sizes`: what a rehearsed world costs, for fleets of 10 to 10,000 machines; into `docs/performance.md` and
//! `docs/rehearsal-cost.svg`.
//!
//! It calls the `runbook` that stands beside it, in the folder that holds `runbooks/` and `docs/`.

mod measured;
mod plot;

use std::fs;

use self::measured::Measured;
use crate::{beside, chart};

/// How many machines.
const SIZES: [u64; 4] = [10, 100, 1_000, 10_000];

/// Between these lines of the page stands the table.
const BEGIN: &str = "<!-- make sizes -->\n";
const END: &str = "<!-- end of make sizes -->\n";

const PAGE: &str = "docs/performance.md";
const DRAWING: &str = "docs/rehearsal-cost.svg";

/// Measures, and writes table and drawing.
///
/// # Errors
/// A rehearsal failed, or the page has no place for the table.
pub fn run() -> Result<(), String> {
    let runbook = beside()?;
    let folder = tempfile::Builder::new().prefix("sizes-").tempdir().map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for machines in SIZES {
        all.push(Measured::of(&runbook, folder.path(), machines)?);
    }
    let head = ["machines", "processor time", "calls", "entries", "journal", "memory at most"];
    let rows: Vec<Vec<String>> = all.iter().map(Measured::row).collect();
    chart::print(&head, &rows);
    let page = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let place = page.find(BEGIN).zip(page.find(END)).filter(|(begin, end)| begin < end);
    let Some((begin, end)) = place else { return Err(format!("{PAGE} has no lines {BEGIN}and {END}")) };
    let table = chart::text(&head, &rows);
    let page = format!("{}{BEGIN}\n{table}\n{}", &page[..begin], &page[end..]);
    fs::write(PAGE, page).map_err(|error| format!("{PAGE}: {error}"))?;
    fs::write(DRAWING, plot::drawing(&all)).map_err(|error| format!("{DRAWING}: {error}"))
}
