//! How the core reads files: it asks.

/// Gives the text of the files that a runbook names (`run: ./file.yaml`).
pub trait Loader {
    /// The bytes of the file at `path`, which is relative to the runbook's own folder.
    ///
    /// # Errors
    /// The reason why it cannot be read, as one lower-case phrase.
    fn load(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// A loader for runbooks that stand alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _path: &str) -> Result<Vec<u8>, String> {
        Err("no other file can be read here".into())
    }
}
