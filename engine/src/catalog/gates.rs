//! The gates: actions that the core itself waits for.

use super::{ActionDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc, Unit};
use crate::duration::Span;

/// The documentation of every gate. Catalogs offer them beside their actions.
pub fn gates() -> Vec<ActionDoc> {
    vec![approval(), manual(), wait(), window()]
}

fn gate(name: &'static str, summary: &'static str, timeout: TimeoutDoc) -> ActionDoc {
    ActionDoc { targets: TargetsDoc::Never, unit: Unit::Once, ..ActionDoc::new(name, summary, timeout) }
}

fn approval() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required(
                "approvers",
                InputKind::Strings,
                "Who may approve: Unix users, and Unix groups as `group:NAME`.",
            ),
            InputDoc::defaulting("quorum", InputKind::Integer, 1, "How many different people must approve."),
            InputDoc::required("expires", InputKind::Duration, "How long the gate stays open."),
            InputDoc::defaulting(
                "on_expiry",
                InputKind::Enum(vec!["fail", "pause"]),
                "fail",
                "What happens when it expires: the gate fails, or the run pauses.",
            ),
            InputDoc::defaulting(
                "on_reject",
                InputKind::Enum(vec!["fail", "rollback"]),
                "fail",
                "What a rejection does: the gate fails, or everything changed is restored as well, newest wave first.",
            ),
        ],
        ..gate("gate/approval", "Waits until enough people approved the plan.", TimeoutDoc::Expires)
    }
}

fn wait() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional("for", InputKind::Duration, "How long to wait."),
            InputDoc::optional("until", InputKind::Timestamp, "The moment to wait for."),
        ],
        exactly_one_of: vec!["for", "until"],
        ..gate("gate/wait", "Waits for a time, or until a moment.", TimeoutDoc::OwnEnd)
    }
}

fn window() -> ActionDoc {
    // A window that was missed while nobody looked opens once more before the gate gives up: a day of grace is longer
    // than any change of clocks.
    let grace = Span::from_hours(24);
    ActionDoc {
        inputs: vec![
            InputDoc::required("cron", InputKind::Cron, "When the window opens: five cron fields."),
            InputDoc::required("duration", InputKind::Duration, "How long it stays open."),
            InputDoc::defaulting(
                "timezone",
                InputKind::TimeZone,
                "UTC",
                "The IANA time zone that `cron` is read in.",
            ),
            InputDoc::defaulting(
                "cutoff",
                InputKind::Duration,
                "0s",
                "Nothing starts in this last part of the window; shorter than `duration`.",
            ),
        ],
        ..gate(
            "gate/window",
            "Waits until a maintenance window is open, with room for the wave behind it (docs/durations.md).",
            TimeoutDoc::LongestGapPlus(grace),
        )
    }
}

fn manual() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required("instructions", InputKind::String, "What a person is to do."),
            InputDoc::optional(
                "evidence",
                InputKind::String,
                "What that person is asked to write down; absent: nothing.",
            ),
        ],
        outputs: vec![("by", "who confirmed it"), ("evidence", "what that person wrote down")],
        ..gate("gate/manual", "Waits until a person confirms that something is done.", TimeoutDoc::Required)
    }
}
