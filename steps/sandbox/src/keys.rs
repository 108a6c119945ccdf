//! Keys that AssumeRole gave.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Who a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The role's name.
    pub role: String,
    /// The session's name.
    pub session: String,
}

/// Keys that AssumeRole gave, by access key id. What they say of their account is in the key itself, so that they
/// outlive a restart; who assumed what is forgotten then.
#[derive(Debug, Default)]
pub struct Keys {
    given: Mutex<HashMap<String, Role>>,
}

impl Keys {
    /// Remembers a key.
    pub fn give(&self, access_key: String, role: Role) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(access_key, role);
    }

    /// Who a key belongs to, if a role was assumed for it.
    pub fn role(&self, access_key: &str) -> Option<Role> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned()
    }
}
