//! What one test has: a few hosts, their packages, the way to reach them.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use crate::{Family, Host, Recipe, Repository};

/// The hosts of one test. They may outlive it, its folder lasts until the last of them is gone.
#[derive(Clone)]
pub struct Estate {
    ground: Arc<Ground>,
}

/// What all hosts of an estate share.
pub(crate) struct Ground {
    name: String,
    folder: TempDir,
    /// Where `install.sh` has put roots and packages.
    pub installed: PathBuf,
    pub repository: Repository,
    /// Held while the ssh configuration is added to.
    writing: Mutex<()>,
}

impl Estate {
    /// An estate without hosts; its repository has the first version of every package. Installs what is missing, which
    /// takes minutes once.
    ///
    /// # Panics
    /// When that fails: it says why in one line.
    pub fn new(name: &str) -> Self {
        let install = Command::new(scripts().join("install.sh")).output().expect("install.sh starts");
        let problem = String::from_utf8_lossy(&install.stderr);
        assert!(install.status.success(), "{}", problem.lines().last().unwrap_or("install.sh failed"));
        let installed = PathBuf::from(String::from_utf8(install.stdout).expect("a path").trim());
        let folder = tempfile::Builder::new().prefix("runbook-hosts-").tempdir().expect("a temporary folder");
        let repository = Repository::new(folder.path().join("repository"), installed.join("packages"));
        make_key(&folder.path().join("identity"));
        for file in ["ssh_config", "known_hosts"] {
            fs::write(folder.path().join(file), "").expect("a file");
        }
        let ground = Ground { name: name.to_owned(), folder, installed, repository, writing: Mutex::new(()) };
        Self { ground: Arc::new(ground) }
    }

    /// A Debian host with a network of its own, up and reachable.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn debian(&self, name: &str) -> Host {
        self.recipe(Family::Debian, name).start()
    }

    /// A host of the RHEL family, with dnf 4.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn dnf(&self, name: &str) -> Host {
        self.recipe(Family::Dnf, name).start()
    }

    /// A host of the SLES family, with zypper.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn zypper(&self, name: &str) -> Host {
        self.recipe(Family::Zypper, name).start()
    }

    /// A host that is not started yet, for what is not usual about it.
    pub fn recipe(&self, family: Family, name: &str) -> Recipe {
        Recipe::new(Arc::clone(&self.ground), family, name)
    }

    /// Starts hosts side by side; in the same order.
    ///
    /// # Panics
    /// When one does not come up.
    pub fn start(&self, recipes: impl IntoIterator<Item = Recipe>) -> Vec<Host> {
        let hosts: Vec<_> = recipes.into_iter().map(Recipe::spawn).collect();
        for host in &hosts {
            host.wait_until_up();
        }
        hosts
    }

    /// Where hosts get packages from.
    pub fn repository(&self) -> &Repository {
        &self.ground.repository
    }

    /// The name that the test gave.
    pub fn name(&self) -> &str {
        &self.ground.name
    }

    /// A folder for the test, gone with the estate.
    pub fn folder(&self) -> &Path {
        self.ground.folder.path()
    }

    /// An ssh configuration with an entry for each host, by name and by address: where it is, as whom (root), with which key, and
    /// that its host key must be the known one.
    pub fn ssh_config(&self) -> PathBuf {
        self.ground.file("ssh_config")
    }

    /// The private key that opens every account of every host: `root`, `ops` (sudo without password), `asker` (sudo
    /// with [`ASKER_PASSWORD`](Self::ASKER_PASSWORD)), `guest` (no sudo).
    pub fn identity(&self) -> PathBuf {
        self.ground.file("identity")
    }

    /// The host keys as they were when the hosts were made.
    pub fn known_hosts(&self) -> PathBuf {
        self.ground.file("known_hosts")
    }

    /// What sudo asks `asker` for.
    pub const ASKER_PASSWORD: &'static str = "open sesame";
}

impl Ground {
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a host known to ssh.
    pub fn introduce(&self, name: &str, address: &str, port: u16, key: &str) {
        let _writing = self.writing.lock().expect("no test has panicked here");
        let identity = self.file("identity");
        let known = self.file("known_hosts");
        let entry = format!(
            "Host {name} {address}\n  HostName {address}\n  Port {port}\n  User root\n  IdentityFile {}\n  \
             IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  \
             StrictHostKeyChecking yes\n  UpdateHostKeys no\n\n",
            identity.display(),
            known.display()
        );
        append(&self.file("ssh_config"), &entry);
        let place = if port == 22 { address.to_owned() } else { format!("[{address}]:{port}") };
        append(&known, &format!("{place} {key}\n"));
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::File::options().append(true).open(path).expect("the file is there");
    file.write_all(text.as_bytes()).expect("it can be written");
}

/// The folder of this crate, where the scripts are.
pub(crate) fn scripts() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A new ed25519 key without a passphrase, and its public half beside it.
pub(crate) fn make_key(path: &Path) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .output()
        .expect("ssh-keygen starts");
    assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
}
