//! Where the socket is: in a folder of its own under `/tmp`, named by a hash of the state folder, so that others find it
//! who may not even look into the state folder.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::coordinator::refused::Refused;

/// Where sockets are, whatever `TMPDIR` says: every user of the machine must come to the same place.
const FOLDER: &str = "/tmp";

/// The socket of a state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    folder: PathBuf,
}

impl Place {
    /// The place for this state folder, which need not be readable.
    pub fn of(state: &Path) -> Self {
        let path = fs::canonicalize(state)
            .or_else(|_| std::path::absolute(state))
            .unwrap_or_else(|_| state.to_owned());
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let name: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { folder: Path::new(FOLDER).join(format!("runbook-{name}")) }
    }

    /// The socket itself.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("control")
    }

    /// Makes the folder, and clears away a socket that a dead holder left. The caller holds the store's lock, so no
    /// living holder can be meant.
    ///
    /// # Errors
    /// The folder belongs to somebody else, or cannot be made.
    pub fn prepare(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o711).create(&self.folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let about = fs::symlink_metadata(&self.folder)?;
                if !about.is_dir() || about.uid() != nix::unistd::geteuid().as_raw() {
                    return Err(io::Error::new(
                        io::ErrorKind::PermissionDenied,
                        format!("{} belongs to somebody else", self.folder.display()),
                    ));
                }
            }
            Err(error) => return Err(error),
        }
        fs::set_permissions(&self.folder, Permissions::from_mode(0o711))?;
        match fs::remove_file(self.socket()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Lets everybody connect: who may do what is decided by who they are.
    pub fn open_to_all(&self) -> io::Result<()> {
        fs::set_permissions(self.socket(), Permissions::from_mode(0o666))
    }

    /// Takes it away. What is left is cleared by the next holder.
    pub fn clear(&self) {
        let _ = fs::remove_file(self.socket());
        let _ = fs::remove_dir(&self.folder);
    }

    /// Whether a holder has been here.
    pub fn exists(&self) -> bool {
        self.socket().exists()
    }

    /// Refuses a folder that somebody else than the owner of the state folder has put there.
    ///
    /// # Errors
    /// [`Refused::StrangeSocket`].
    pub fn trust(&self, state: &Path) -> Result<(), Refused> {
        let (Ok(folder), Ok(owner)) = (fs::symlink_metadata(&self.folder), fs::metadata(state)) else {
            // A state folder in a place that we may not even pass through says nothing of its owner.
            return Ok(());
        };
        if folder.uid() == owner.uid() && folder.is_dir() {
            return Ok(());
        }
        Err(Refused::StrangeSocket { path: self.folder.clone(), found: folder.uid(), wanted: owner.uid() })
    }
}
