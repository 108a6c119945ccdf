//! The private folder of our control sockets.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tempfile::TempDir;

/// How its name begins.
const PREFIX: &str = ".runbook-ssh-";

/// The file in it that is locked as long as its process lives.
const LOCK: &str = "lock";

/// A private folder that goes with us; what processes that were killed left behind goes when the next one is made.
#[derive(Debug)]
pub(super) struct Folder {
    made: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes one below `base`.
    pub(super) fn new(base: &Path) -> io::Result<Self> {
        clean(base);
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base)?;
        // Under another name until it is locked: nobody takes it for one that was left behind.
        let part = made.path().join("part");
        let lock = File::create(&part)?;
        lock.try_lock()?;
        fs::rename(part, made.path().join(LOCK))?;
        Ok(Self { made, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.made.path()
    }
}

/// Deletes folders whose process is gone.
fn clean(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // One of another user, or not locked yet, cannot be opened.
        if ours
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "a folder that was left behind stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_is_deleted_and_what_is_in_use_is_not() {
        let base = tempfile::tempdir().expect("a folder");
        let first = Folder::new(base.path()).expect("one");
        let Folder { made, _lock } = Folder::new(base.path()).expect("another");
        let left = made.keep();
        // As a process does that is killed.
        drop(_lock);
        let third = Folder::new(base.path()).expect("a third");
        assert!(first.path().exists() && third.path().exists() && !left.exists());
    }
}
