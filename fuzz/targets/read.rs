//! Whatever a file holds, reading and checking it ends in a document or in diagnostics that can be shown.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runbook_engine::{
    diagnostic::{render, to_json},
    document::{Sources, read},
};
use runbook_steps::catalog::Actions;

static ACTIONS: LazyLock<Actions> = LazyLock::new(Actions::standard);

fuzz_target!(|bytes: &[u8]| {
    // The file runs itself under other names: composites and their cycles are reached too.
    let text = String::from_utf8_lossy(bytes).into_owned();
    let beside = Sources { files: vec![("a.yaml".into(), text.clone()), ("b.yaml".into(), text)] };
    let reading = read("entry.yaml", bytes, &beside).checked(&*ACTIONS);
    render(&reading.diagnostics, &reading.sources, true);
    for diagnostic in &reading.diagnostics {
        to_json(diagnostic, &reading.sources);
        let place = diagnostic.place;
        assert!(place.line >= 1 && place.column >= 1 && place.width >= 1);
        assert!(place.source < reading.sources.files.len());
    }
    assert!(reading.runbook.is_some() || reading.has_errors());
});
