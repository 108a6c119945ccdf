//! `notify/webhook`: tells another system by HTTP.

use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc, Unit},
    duration::Span,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required("url", InputKind::Url, "Where to POST.").may_hold_secrets(),
            InputDoc::optional(
                "body",
                InputKind::Any,
                "A text, sent as it is, or anything else, sent as JSON; absent: what the notification is about.",
            )
            .may_hold_secrets(),
            InputDoc::optional("headers", InputKind::StringMap, "Headers to send.").may_hold_secrets(),
        ],
        targets: TargetsDoc::Never,
        unit: Unit::Once,
        ..ActionDoc::new(
            "notify/webhook",
            "Sends a POST; an answer of 200 to 299 is success. After a crash it may be sent again, with the same \
             Idempotency-Key header.",
            TimeoutDoc::Fixed(Span::from_mins(1)),
        )
    }
}
