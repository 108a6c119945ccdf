//! How long actions took in this state folder's earlier runs, for a plan.

use std::path::Path;

use runbook::{
    control::experience::experience,
    world::{self, Choice},
};
use runbook_engine::experience::Experience;

use super::{Session, problem::Problem};

/// What is known in this world. Where the store cannot be read a note says so, and nothing is known: a plan can be made
/// without a store.
///
/// # Errors
/// The world cannot be named.
pub fn of(session: &Session, choice: &Choice, none: bool) -> Result<Experience, Problem> {
    if none {
        return Ok(Experience::default());
    }
    let name = world::name(choice, &session.setup()?)?;
    read(session, name.as_deref())
}

/// What is known of the world of this fleet file; where nothing ever ran in it, and without one, of the real machines
/// that it stands for.
///
/// # Errors
/// The fleet file cannot be read.
pub fn to_rehearse_with(session: &Session, fleet: Option<&Path>, none: bool) -> Result<Experience, Problem> {
    if let Some(fleet) = fleet {
        let simulated = of(session, &Choice::Fleet(fleet.to_owned()), none)?;
        if none || !simulated.is_empty() {
            return Ok(simulated);
        }
    }
    if none { Ok(Experience::default()) } else { read(session, None) }
}

fn read(session: &Session, world: Option<&str>) -> Result<Experience, Problem> {
    Ok(experience(&session.setup()?, world).unwrap_or_else(|refused| {
        if !session.screen.json {
            session
                .screen
                .note(&format!("note: how long things took in earlier runs is not known: {refused}\n"));
        }
        Experience::default()
    }))
}
