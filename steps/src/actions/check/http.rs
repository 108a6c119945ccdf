//! `check/http`: a URL answers as expected.

use runbook_engine::catalog::{ActionDoc, InputDoc, InputKind};

/// Its documentation.
pub fn doc() -> ActionDoc {
    super::doc(
        "check/http",
        "Waits until a URL answers with the expected status, and then watches that it stays so.",
        vec![
            InputDoc::required("url", InputKind::Url, "What to ask, by GET; redirects are not followed."),
            InputDoc::defaulting("expect", InputKind::Integer, 200, "The status of a healthy answer."),
            InputDoc::optional("headers", InputKind::StringMap, "Headers to send.").may_hold_secrets(),
        ],
    )
}
