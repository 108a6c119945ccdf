//! What the names in an expression stand for.

use std::{collections::BTreeMap, fmt};

use minijinja::{Value, value::Serde};
use serde::Serialize;

use super::{ExpressionError, Uses};

/// Where `secret('NAME')` looks.
pub trait Secrets {
    /// The value of a secret, if there is one.
    fn secret(&self, name: &str) -> Option<String>;
}

/// What the names in an expression stand for. A name that was not given is undefined, and using it an error.
/// Cloning is cheap.
#[derive(Clone, Default)]
pub struct Scope<'a> {
    names: BTreeMap<&'static str, Value>,
    secrets: Option<&'a dyn Secrets>,
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("names", &self.names).finish_non_exhaustive()
    }
}

impl<'a> Scope<'a> {
    /// A scope without any name.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `params`: a map by name.
    #[must_use]
    pub fn params(self, params: impl Serialize) -> Self {
        self.with("params", params)
    }

    /// With `env`: the allow-listed variables that are set.
    #[must_use]
    pub fn env(self, env: impl Serialize) -> Self {
        self.with("env", env)
    }

    /// With `target`: the machine (`id name private_ip tags vars platform group wave`).
    #[must_use]
    pub fn target(self, target: impl Serialize) -> Self {
        self.with("target", target)
    }

    /// With `steps`: by id, each with `outputs`.
    #[must_use]
    pub fn steps(self, steps: impl Serialize) -> Self {
        self.with("steps", steps)
    }

    /// With `run`: the run itself.
    #[must_use]
    pub fn run(self, run: impl Serialize) -> Self {
        self.with("run", run)
    }

    /// With `secret('NAME')`.
    #[must_use]
    pub fn secrets(mut self, secrets: &'a dyn Secrets) -> Self {
        self.secrets = Some(secrets);
        self
    }

    fn with(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.names.insert(name, Value::from(Serde(value)));
        self
    }

    /// The names as minijinja wants them, with `secret` if the expression calls it.
    pub(super) fn context(&self, uses: &Uses) -> Result<Value, ExpressionError> {
        let mut context: BTreeMap<String, Value> =
            self.names.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if uses.calls_secret() {
            let mut known = BTreeMap::new();
            for name in uses.secrets() {
                let value = self.secrets.and_then(|secrets| secrets.secret(&name));
                let value = value.ok_or_else(|| ExpressionError::MissingSecret { name: name.clone() })?;
                known.insert(name, value);
            }
            let secret = move |name: String| {
                known.get(&name).cloned().ok_or_else(|| {
                    minijinja::Error::new(
                        minijinja::ErrorKind::InvalidOperation,
                        "secret() wants the name of a secret in quotes",
                    )
                })
            };
            context.insert("secret".into(), Value::from_function(secret));
        }
        Ok(Value::from(context))
    }
}
