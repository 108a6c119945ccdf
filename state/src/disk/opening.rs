//! Opening a folder, and recovering what can be recovered without losing anything.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    folder::{self, Folder},
    sled::{Sled, SledStore},
};
use crate::{error::StoreError, journal::Journal, store::RunStore as _};

/// What sled's file `conf` says of a store of ours, its checksum included. sled writes it in two steps, and a process
/// killed between them would leave a store that cannot be opened; so it is written here, whole.
const CONF: &[u8] = b"segment_size: 524288\nuse_compression: false\nversion: 0.34\n\x76\x19\x51\xc1";

/// Where a copy is tried.
const TRIAL: &str = "trial";

pub(super) fn open(path: &Path) -> Result<SledStore, StoreError> {
    let folder = Arc::new(Folder::open(path)?);
    if folder.begun() {
        tidy(&folder)?;
    }
    let conf = path.join("conf");
    let known = folder::read(&conf).is_ok_and(|conf| conf.is_some_and(|conf| conf == CONF));
    if !known {
        folder::write_whole(&conf, CONF).map_err(|error| folder.io("writing sled's configuration", error))?;
    }
    let first = match start(&folder, path) {
        Ok(store) => {
            folder.settle()?;
            return Ok(store);
        }
        Err(error @ StoreError::Damaged { .. }) => error,
        Err(error) => return Err(error),
    };
    // sled's snapshots only save it reading its file from the beginning. If a copy without them is whole, they were
    // what is damaged.
    match tried(&folder) {
        Ok(()) => {
            tracing::warn!(
                folder = folder.name(),
                "sled's snapshot was damaged; it is made anew, and nothing is lost"
            );
            remove(&folder, is_snapshot)?;
            start(&folder, path)
        }
        Err(error @ (StoreError::BehindHead { .. } | StoreError::BehindCommit { .. })) => Err(error),
        Err(_) => Err(first),
    }
}

fn start(folder: &Arc<Folder>, place: &Path) -> Result<SledStore, StoreError> {
    Journal::over(Sled::start(folder, place)?)
}

/// Removes what an interrupted process left and nobody reads: a snapshot that sled was writing (which sled itself
/// would take for the newest one), plans being written, a trial.
fn tidy(folder: &Folder) -> Result<(), StoreError> {
    remove(folder, |name| is_snapshot(name) && name.ends_with(".generating"))?;
    let error = |error| folder.io("tidying up", error);
    for plan in fs::read_dir(folder.path().join("plans")).map_err(error)?.flatten() {
        if plan.path().extension().is_some_and(|extension| extension == "new") {
            fs::remove_file(plan.path()).map_err(error)?;
        }
    }
    no_trial(folder).map_err(error)
}

fn is_snapshot(name: &str) -> bool {
    name.starts_with("snap.")
}

fn remove(folder: &Folder, which: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    let error = |error| folder.io("removing what is not needed", error);
    for file in fs::read_dir(folder.path()).map_err(error)?.flatten() {
        if file.file_name().to_str().is_some_and(&which) {
            fs::remove_file(file.path()).map_err(error)?;
        }
    }
    Ok(())
}

/// Reads every run of a copy without snapshots.
fn tried(folder: &Arc<Folder>) -> Result<(), StoreError> {
    let copied = copy(folder).map_err(|error| folder.io("copying it", error));
    let tried = copied.and_then(|copy| {
        let store = start(folder, &copy)?;
        for row in store.runs()? {
            store.plan(&row.run)?;
            store.each(&row.run, 1, &mut |_| ())?;
        }
        store.resolutions().map(drop)
    });
    // Only room on the drive is at stake, and `tidy` tries again.
    let _ = no_trial(folder);
    tried
}

fn copy(folder: &Folder) -> io::Result<PathBuf> {
    let trial = folder.path().join(TRIAL);
    let blobs = trial.join("blobs");
    fs::create_dir_all(&blobs)?;
    for name in ["db", "conf"] {
        fs::copy(folder.path().join(name), trial.join(name))?;
    }
    for blob in fs::read_dir(folder.path().join("blobs"))? {
        let blob = blob?;
        fs::copy(blob.path(), blobs.join(blob.file_name()))?;
    }
    Ok(trial)
}

fn no_trial(folder: &Folder) -> io::Result<()> {
    match fs::remove_dir_all(folder.path().join(TRIAL)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::CONF;

    #[test]
    fn the_configuration_is_what_sled_itself_would_write() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(sled::Config::new().path(folder.path()).flush_every_ms(None).open().expect("sled"));
        assert_eq!(std::fs::read(folder.path().join("conf")).expect("a file"), CONF);
    }
}
