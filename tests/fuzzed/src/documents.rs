//! Files that people write.

use std::sync::LazyLock;

use runbook::rehearsal::profile::Profile;
use runbook_engine::{
    diagnostic::{render, to_json},
    document::{Sources, read as read_document, read_test},
};
use runbook_steps::{
    catalog::Actions,
    world::{FleetFile, World},
};

static ACTIONS: LazyLock<Actions> = LazyLock::new(Actions::standard);

/// A simulated world of more machines than this says nothing more, and takes its time.
const MOST_MACHINES: u64 = 200;

/// Reading and checking a runbook ends in a document or in diagnostics that can be shown.
pub(super) fn read(bytes: &[u8]) {
    // The file runs itself under other names: composites and their cycles are reached too.
    let text = String::from_utf8_lossy(bytes).into_owned();
    let beside = Sources { files: vec![("a.yaml".into(), text.clone()), ("b.yaml".into(), text)] };
    let reading = read_document("entry.yaml", bytes, &beside).checked(&*ACTIONS);
    render(&reading.diagnostics, &reading.sources, true);
    for diagnostic in &reading.diagnostics {
        to_json(diagnostic, &reading.sources);
        let place = diagnostic.place;
        assert!(place.line >= 1 && place.column >= 1 && place.width >= 1);
        assert!(place.source < reading.sources.files.len());
    }
    assert!(reading.runbook.is_some() || reading.has_errors());
}

/// So does reading what is expected of a runbook.
pub(super) fn test(bytes: &[u8]) {
    let reading = read_test("a.test.yaml", bytes);
    render(&reading.diagnostics, &reading.sources, true);
}

/// A fleet file is a world, or is refused.
pub(super) fn fleet(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(fleet) = FleetFile::read(text) else { return };
    if fleet.machines() <= MOST_MACHINES
        && let Ok(world) = World::of(fleet, 7)
    {
        drop(world.ports());
    }
}

/// A profile of faults can be read, and says what it draws.
pub(super) fn profile(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(profile) = Profile::read(text) {
        assert_eq!(profile.draws().count() == 0, profile.kinds().is_empty());
    }
}
