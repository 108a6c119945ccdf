//! Values of secrets, for the ports that need one where no expression can stand: the password for sudo.

use std::sync::Arc;

/// Gives the value of a secret by its name, as `secret('NAME')` does; none: there is no such secret. Every value is
/// masked before anything is journaled; whoever gets one never writes it anywhere.
pub type SecretSource = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
