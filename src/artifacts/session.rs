//! What the command line calls: with the store's lock where something is deleted, else with a copy of what the store
//! says.

use std::{collections::BTreeSet, path::Path};

use runbook_engine::target::Home;
use runbook_state::error::StoreError;

use super::{
    books::Books,
    collect::{self, Report, Wishes},
    held::{self, Unasked},
    orphan::{self, Orphan},
};
use crate::{
    control::{
        client::{self, Reached},
        peer::Person,
    },
    coordinator::{refused::Refused, session::Setup},
    world::{self, Choice},
};

/// How many things are deleted before the store is given back for a moment: other commands wait for it no longer than
/// ten seconds, and AWS takes about five deletions in a second.
const AT_ONCE: usize = 20;

/// What nobody answers for, and where nobody could look.
///
/// # Errors
/// The store cannot be read, or the world cannot be used.
pub fn orphans(
    setup: &Setup,
    choice: &Choice,
    homes: BTreeSet<Home>,
) -> Result<(Books, Vec<Orphan>, Vec<Unasked>), Refused> {
    let books = client::books(setup)?.unwrap_or_else(Books::empty);
    let world = world::name(choice, setup)?;
    let environment = world::planning(choice, setup, Path::new("."))?;
    let homes = books.homes(world.as_deref()).into_iter().chain(homes).collect();
    let survey = environment.block_on(held::survey(environment.ports(), &homes));
    let orphans = orphan::orphans(&books, &survey.held);
    Ok((books, orphans, survey.unasked))
}

/// What [`gc`] would delete.
///
/// # Errors
/// The store cannot be read, or the world cannot be used.
pub fn due(setup: &Setup, choice: &Choice, mut wishes: Wishes) -> Result<Report, Refused> {
    look(setup, choice, &mut wishes)
}

fn look(setup: &Setup, choice: &Choice, wishes: &mut Wishes) -> Result<Report, Refused> {
    let books = client::books(setup)?.unwrap_or_else(Books::empty);
    let world = world::name(choice, setup)?;
    let environment = world::planning(choice, setup, Path::new("."))?;
    Ok(environment.block_on(collect::due(&books, world.as_deref(), environment.ports(), wishes)))
}

/// Deletes what no run needs any more, a few things at a time.
///
/// # Errors
/// The store is held by a process that advances runs, cannot be read or written, or the world cannot be used.
pub fn gc(setup: &Setup, choice: &Choice, mut wishes: Wishes) -> Result<Report, Refused> {
    let by = Person::of_this_process().name;
    wishes.at_most = Some(AT_ONCE);
    // AWS is asked what it holds while nobody waits for the store.
    look(setup, choice, &mut wishes)?;
    let mut whole = Report::default();
    loop {
        let Reached::Store(mut store) = client::reach_or_make(setup)? else {
            return Err(StoreError::Locked { path: setup.state.display().to_string() }.into());
        };
        let here = world::live(choice, setup, Path::new("."))?;
        let ports = here.outside.ports();
        let gc = collect::gc(&mut store, here.name.as_deref(), &ports, &mut wishes, &by);
        let report = here.runtime.block_on(gc)?;
        whole.collected.extend(report.collected);
        whole.unasked = report.unasked;
        if !report.more {
            return Ok(whole);
        }
    }
}
