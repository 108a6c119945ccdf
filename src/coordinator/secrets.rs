//! Where secrets come from: `RUNBOOK_SECRET_<NAME>` in the environment, else the file `<NAME>` in
//! `RUNBOOK_SECRETS_DIR`. They are read once, when the process starts.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use runbook_engine::expression;
use thiserror::Error;

use super::mask::Mask;

/// The beginning of the names of environment variables that hold secrets.
pub const VARIABLE: &str = "RUNBOOK_SECRET_";

/// The environment variable that names the folder of secrets.
pub const FOLDER: &str = "RUNBOOK_SECRETS_DIR";

/// Every secret that this process has.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, String>,
    mask: Mask,
    simulated: bool,
}

/// A folder of secrets that cannot be trusted or read.
#[derive(Debug, Error)]
pub enum SecretsError {
    /// Others than its owner can read a file.
    #[error("the secret {path} can be read by others: its mode is {mode:o}, not 600")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It cannot be read.
    #[error("the secret {path} cannot be read")]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SecretsError {
    /// The next command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::Unreadable { .. } => None,
        }
    }
}

impl Secrets {
    /// The secrets that an environment gives.
    ///
    /// # Errors
    /// [`SecretsError`]: a file of the folder can be read by others, or not by us.
    pub fn from_vars(vars: &BTreeMap<String, String>) -> Result<Self, SecretsError> {
        let mut values = match vars.get(FOLDER) {
            Some(folder) if !folder.is_empty() => read_folder(Path::new(folder))?,
            _ => BTreeMap::new(),
        };
        values.extend(
            vars.iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(VARIABLE)?.to_owned(), value.clone()))),
        );
        let mask = Mask::of(values.values().map(String::as_str));
        Ok(Self { values, mask, simulated: false })
    }

    /// For a simulated world: a secret that is not set is made up, as a URL that leads nowhere, so that a rehearsal
    /// needs none of the real ones.
    #[must_use]
    pub fn simulated(self, simulated: bool) -> Self {
        Self { simulated, ..self }
    }

    /// What takes them out of texts.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
}

impl expression::Secrets for Secrets {
    fn secret(&self, name: &str) -> Option<String> {
        let made_up = || self.simulated.then(|| format!("https://simulated.invalid/{name}"));
        self.values.get(name).cloned().or_else(made_up)
    }
}

fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, SecretsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| SecretsError::Unreadable { path, source }
    };
    let mut values = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let about = fs::metadata(&path).map_err(unreadable(&path))?;
        if name.starts_with('.') || !about.is_file() {
            continue;
        }
        let mode = about.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretsError::Open { path, mode });
        }
        let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
        values.insert(name, text.strip_suffix('\n').map(str::to_owned).unwrap_or(text));
    }
    Ok(values)
}
