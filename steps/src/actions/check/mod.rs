//! Health checks: they pass by a time, and then stay so.

pub mod command;
mod host;
pub mod http;
pub mod log;
pub mod tcp;
mod watch;

use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc},
    duration::Span,
};

/// What all checks say of themselves.
fn doc(name: &'static str, summary: &'static str, own: Vec<InputDoc>) -> ActionDoc {
    let times = [
        InputDoc::defaulting(
            "within",
            InputKind::Duration,
            "5m",
            "By when it must have passed for the first time.",
        ),
        InputDoc::defaulting("for", InputKind::Duration, "0s", "How long it must then stay so."),
        InputDoc::defaulting("every", InputKind::Duration, "15s", "How long to wait between two looks."),
        InputDoc::defaulting(
            "tolerate",
            InputKind::Integer,
            1,
            "How many looks in a row may fail after the first one that passed.",
        ),
    ];
    ActionDoc {
        inputs: own.into_iter().chain(times).collect(),
        targets: TargetsDoc::Optional,
        // Looks take time of their own, and the last one may begin when both times are over.
        ..ActionDoc::new(name, summary, TimeoutDoc::WithinForPlus(Span::from_mins(10)))
    }
}
