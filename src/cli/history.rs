//! How long actions took in this state folder's earlier runs, for a plan.

use std::path::Path;

use runbook::{
    control::experience::experience,
    world::{self, Choice},
};
use runbook_engine::experience::Experience;

use super::{Session, problem::Problem};

/// What it means that the store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The command needs the store anyway.
    Refused,
    /// A note says so, and nothing is known: a plan can be made without a store.
    Noted,
}

/// What is known in this world.
///
/// # Errors
/// The world cannot be named; the store cannot be read, where that is refused.
pub fn of(session: &Session, choice: &Choice, unread: Unread) -> Result<Experience, Problem> {
    let name = world::name(choice, &session.setup()?)?;
    read(session, name.as_deref(), unread)
}

/// What is known of the world of this fleet file; where nothing ever ran in it, and without one, of the real machines
/// that it stands for.
///
/// # Errors
/// The fleet file cannot be read.
pub fn to_rehearse_with(session: &Session, fleet: Option<&Path>) -> Result<Experience, Problem> {
    if let Some(fleet) = fleet {
        let simulated = of(session, &Choice::Fleet(fleet.to_owned()), Unread::Noted)?;
        if !simulated.is_empty() {
            return Ok(simulated);
        }
    }
    read(session, None, Unread::Noted)
}

fn read(session: &Session, world: Option<&str>, unread: Unread) -> Result<Experience, Problem> {
    match experience(&session.setup()?, world) {
        Ok(experience) => Ok(experience),
        Err(refused) if unread == Unread::Refused => Err(refused.into()),
        Err(refused) => {
            if !session.screen.json {
                let note = "note: how long things took in earlier runs is not known";
                session.screen.note(&format!("{note}: {refused}\n"));
            }
            Ok(Experience::default())
        }
    }
}
