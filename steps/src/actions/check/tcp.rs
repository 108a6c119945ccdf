//! `check/tcp`: a port takes connections.

use runbook_engine::catalog::{ActionDoc, InputDoc, InputKind};

/// Its documentation.
pub fn doc() -> ActionDoc {
    super::doc(
        "check/tcp",
        "Waits until a port takes connections, and then watches that it stays so.",
        vec![
            InputDoc::required("host", InputKind::String, "A name or an IP address."),
            InputDoc::required("port", InputKind::Integer, "The port."),
        ],
    )
}
