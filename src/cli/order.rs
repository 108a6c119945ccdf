//! Telling a run something.

use runbook::control::{client, order::Order};
use serde_json::json;

use super::{Done, Session, exit::Exit};

/// Tells a run something, and says what came of it.
pub fn tell(session: &Session, run: Option<&str>, order: Order) -> Done {
    let told = client::tell(&session.setup()?, run, &order)?;
    if session.screen.json {
        session.screen.json_line(&json!({ "run": told.run, "message": told.message, "next": told.next }));
    } else {
        session.screen.data(&format!("{}\n", told.message));
        if let Some(next) = &told.next {
            session.screen.note(&format!("next: {next}\n"));
        }
    }
    Ok(Exit::Succeeded)
}
