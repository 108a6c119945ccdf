//! The private folder of our control sockets.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;
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
        // One that is not locked yet cannot be opened.
        if ours
            && let Ok(lock) = lock_of(&entry.path())
            && lock.try_lock().is_ok()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "a folder that was left behind stays");
        }
    }
}

/// The lock of a folder of this user's: whatever else has such a name in a folder where everybody may write is left alone,
/// and is not waited for.
fn lock_of(folder: &Path) -> io::Result<File> {
    let own = |metadata: &fs::Metadata| metadata.uid() == rustix::process::geteuid().as_raw();
    if !fs::symlink_metadata(folder).is_ok_and(|it| it.is_dir() && own(&it)) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let lock = File::options().read(true).custom_flags(flags).open(folder.join(LOCK))?;
    if lock.metadata().is_ok_and(|it| it.is_file() && own(&it)) {
        Ok(lock)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
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

    #[test]
    fn what_others_have_put_there_is_not_waited_for() {
        let base = tempfile::tempdir().expect("a folder");
        let at = |name: &str| base.path().join(format!("{PREFIX}{name}"));
        for name in ["fifo", "theirs"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        let fifo = std::process::Command::new("mkfifo").arg(at("fifo").join(LOCK)).status();
        assert!(fifo.expect("mkfifo runs").success());
        std::os::unix::fs::symlink(at("fifo"), at("link")).expect("a link");
        fs::write(at("theirs").join(LOCK), "").expect("a file");
        // Whoever is not root cannot give it away, and need not: its folder counts.
        let given = std::os::unix::fs::chown(at("theirs"), Some(65534), None).is_ok();
        clean(base.path());
        assert!(at("fifo").exists() && at("link").is_symlink());
        assert_eq!(at("theirs").exists(), given);
    }
}
