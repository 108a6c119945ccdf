//! The same request with the same token is the same thing, another request is refused (facts: Client tokens).

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::{chance, place::Place, refusal::refused, state::State};
use crate::ports::fault::Fault;

/// A token, as one request uses it.
pub(super) struct Used {
    call: &'static str,
    key: String,
    asked: u64,
}

/// What is kept of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    /// The caller's own word.
    pub token: String,
    pub key: String,
    /// A digest of what was asked for.
    pub asked: u64,
}

impl Used {
    /// The token of a request; an empty one is none.
    pub fn new(call: &'static str, here: &Place, token: &str, request: &impl Debug) -> Self {
        let key = if token.is_empty() { String::new() } else { format!("{call} {} {token}", here.account()) };
        Self { call, key, asked: chance::draw(0, &[&format!("{request:?}")]) }
    }

    /// What was made with it before.
    pub fn known(&self, state: &State) -> Result<Option<String>, Fault> {
        if self.key.is_empty() {
            return Ok(None);
        }
        match state.tokens.get(&self.key) {
            None => Ok(None),
            Some((asked, id)) if *asked == self.asked => Ok(Some(id.clone())),
            Some(_) => {
                let (code, message) = if self.call.starts_with("ec2:") {
                    ("IdempotentParameterMismatch", "the client token was used with other parameters")
                } else {
                    ("InvalidParameterValueException", "the idempotency token was used with other parameters")
                };
                Err(refused(self.call, code, message))
            }
        }
    }

    /// To be kept.
    pub fn note(self, token: String) -> Token {
        Token { token, key: self.key, asked: self.asked }
    }
}
