//! The packages that hosts can get: an apt repository and an rpm repository with the same content.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, SystemTime},
};

/// What a version was published as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An update like any other: apt's suite `stable`, a bugfix advisory.
    Plain,
    /// A security update: apt's suite `stable-security`, a security advisory of this severity (`Critical`, `Important`,
    /// `Moderate`, `Low`).
    Security(&'static str),
}

/// The repository of an estate. Its hosts see it at `/srv/repository`; what is published is there at once, and a host
/// knows it when its package manager has refreshed.
pub struct Repository {
    folder: PathBuf,
    packages: PathBuf,
    published: Mutex<Vec<Published>>,
}

struct Published {
    name: String,
    version: String,
    kind: Kind,
    /// What was published together is one advisory.
    advisory: usize,
}

/// What is installed on every host, in this version.
pub const PACKAGES: [&str; 6] =
    ["runbook-demo", "runbook-demo-lib", "runbook-slow", "runbook-conf", "runbook-secure", "runbook-plain"];

/// The version that every host has when it is new.
pub const FIRST_VERSION: &str = "1.0-1";

impl Repository {
    /// A repository in `folder` that has the first version of every package.
    pub(crate) fn new(folder: PathBuf, packages: PathBuf) -> Self {
        let repository = Self { folder, packages, published: Mutex::new(Vec::new()) };
        let first = PACKAGES.map(|name| (name, FIRST_VERSION));
        repository.change(|published| {
            published.extend(first.map(|(name, version)| entry(name, version, Kind::Plain, 0)))
        });
        repository
    }

    /// Where it is on this machine.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a version (`1.1-1`) of a package. `runbook-demo` brings the library that it needs.
    ///
    /// # Panics
    /// When there is no such version, or a program fails.
    pub fn publish(&self, name: &str, version: &str) {
        self.publish_as(name, version, Kind::Plain);
    }

    /// Adds a version as an important security update.
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub fn publish_security(&self, name: &str, version: &str) {
        self.publish_as(name, version, Kind::Security("Important"));
    }

    /// Adds a version as this kind of update.
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub fn publish_as(&self, name: &str, version: &str, kind: Kind) {
        self.change(|published| {
            let advisory = published.iter().map(|one| one.advisory).max().unwrap_or(0) + 1;
            if name == "runbook-demo" {
                published.push(entry("runbook-demo-lib", version, kind, advisory));
            }
            published.push(entry(name, version, kind, advisory));
        });
    }

    /// Takes a version away, as mirrors do with old ones.
    ///
    /// # Panics
    /// When a program fails.
    pub fn withdraw(&self, name: &str, version: &str) {
        self.change(|published| published.retain(|one| one.name != name || one.version != version));
    }

    /// Changes what is published, and writes the repositories anew.
    fn change(&self, change: impl FnOnce(&mut Vec<Published>)) {
        let mut published = self.published.lock().expect("no test has panicked here");
        change(&mut published);
        // apt and dnf compare whole seconds: a repository that changes twice in one would look the same.
        let stamp =
            SystemTime::now() - Duration::from_hours(1) + Duration::from_secs(published.len() as u64 * 10);
        for suite in ["stable", "stable-security"] {
            let security = suite == "stable-security";
            let chosen = published.iter().filter(|one| matches!(one.kind, Kind::Security(_)) == security);
            self.apt(suite, chosen, stamp);
        }
        self.rpm(&published, stamp);
    }

    fn apt<'a>(&self, suite: &str, published: impl Iterator<Item = &'a Published>, stamp: SystemTime) {
        let folder = self.folder.join("apt").join(suite);
        self.fill(&folder, published, |one| format!("deb/{}_{}_", one.name, one.version));
        let packages = run(Command::new("apt-ftparchive").args(["packages", "."]).current_dir(&folder));
        fs::write(folder.join("Packages"), packages).expect("a list of packages");
        let security = suite.ends_with("-security");
        let label = if security { "Debian-Security" } else { "Debian" };
        let codename = if security { "bookworm-security" } else { "bookworm" };
        let release = run(Command::new("apt-ftparchive")
            .args(["-o", "APT::FTPArchive::Release::Origin=Debian"])
            .args(["-o", &format!("APT::FTPArchive::Release::Label={label}")])
            .args(["-o", &format!("APT::FTPArchive::Release::Suite={suite}")])
            .args(["-o", &format!("APT::FTPArchive::Release::Codename={codename}")])
            .args(["-o", "APT::FTPArchive::Release::Version=12"])
            .args(["release", "."])
            .current_dir(&folder));
        fs::write(folder.join("Release"), release).expect("a release file");
        for name in ["Packages", "Release"] {
            let file = fs::File::options().append(true).open(folder.join(name)).expect("just written");
            file.set_modified(stamp).expect("a time");
        }
    }

    fn rpm(&self, published: &[Published], stamp: SystemTime) {
        let folder = self.folder.join("rpm");
        self.fill(&folder, published.iter(), |one| format!("rpm/{}-{}.", one.name, one.version));
        let revision =
            stamp.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs().to_string();
        run(Command::new("createrepo_c")
            .args(["--quiet", "--revision", &revision, "."])
            .current_dir(&folder));
        fs::write(folder.join("updateinfo.xml"), advisories(published)).expect("the advisories");
        run(Command::new("modifyrepo_c").args(["updateinfo.xml", "repodata"]).current_dir(&folder));
    }

    /// A folder with the package files of what is published.
    fn fill<'a>(
        &self,
        folder: &Path,
        published: impl Iterator<Item = &'a Published>,
        start: impl Fn(&Published) -> String,
    ) {
        fs::create_dir_all(folder).expect("a folder");
        let mut wanted = Vec::new();
        for one in published {
            let start = self.packages.join(start(one));
            let kept = start.parent().expect("a folder");
            let prefix = start.file_name().expect("a name").to_string_lossy().into_owned();
            let file = fs::read_dir(kept)
                .expect("the packages")
                .map(|entry| entry.expect("an entry").path())
                .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
                .unwrap_or_else(|| panic!("there is no {} {}", one.name, one.version));
            let place = folder.join(file.file_name().expect("a name"));
            if !place.exists() {
                fs::copy(&file, &place).expect("a copy of a package");
            }
            wanted.push(place);
        }
        for entry in fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            let package = path.extension().is_some_and(|kind| kind == "deb" || kind == "rpm");
            if package && !wanted.contains(&path) {
                fs::remove_file(path).expect("a package goes");
            }
        }
    }
}

fn entry(name: &str, version: &str, kind: Kind, advisory: usize) -> Published {
    Published { name: name.to_owned(), version: version.to_owned(), kind, advisory }
}

/// `updateinfo.xml`: an advisory for all but the first versions.
fn advisories(published: &[Published]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<updates>\n");
    // An advisory is called after the package that was published, which comes last.
    for (position, one) in published.iter().enumerate().filter(|(_, one)| one.advisory > 0) {
        if published.get(position + 1).is_some_and(|next| next.advisory == one.advisory) {
            continue;
        }
        let Published { name, version, kind, advisory } = one;
        let (id, class, severity, references) = match kind {
            Kind::Security(severity) => {
                let cve = format!("CVE-2026-{advisory:04}");
                let reference = format!(
                    "<reference href=\"https://example.com/{cve}\" id=\"{cve}\" type=\"cve\" title=\"{cve}\"/>"
                );
                (format!("DEMO-SA-2026:{advisory:04}"), "security", *severity, reference)
            }
            Kind::Plain => (format!("DEMO-BA-2026:{advisory:04}"), "bugfix", "None", String::new()),
        };
        let packages: String =
            published.iter().filter(|other| other.advisory == *advisory).map(advised).collect();
        text += &format!(
            "<update from=\"nobody@example.com\" status=\"final\" type=\"{class}\" version=\"1\">\n\
             <id>{id}</id><title>{name} {version}</title><severity>{severity}</severity><release>Demo 9</release>\n\
             <issued date=\"2026-06-01 00:00:00\"/><updated date=\"2026-06-01 00:00:00\"/>\n\
             <references>{references}</references><description>{name} {version}</description>\n\
             <pkglist><collection short=\"demo\"><name>Demo 9</name>\n{packages}</collection></pkglist></update>\n"
        );
    }
    text + "</updates>\n"
}

/// A package in an advisory.
fn advised(one: &Published) -> String {
    let Published { name, version, .. } = one;
    let (upstream, release) = version.split_once('-').expect("version-release");
    let arch = if name == "runbook-demo-lib" { std::env::consts::ARCH } else { "noarch" };
    let reboot = if name == "runbook-secure" { "<reboot_suggested>True</reboot_suggested>" } else { "" };
    format!(
        "<package name=\"{name}\" version=\"{upstream}\" release=\"{release}\" epoch=\"0\" arch=\"{arch}\" \
         src=\"{name}-{version}.src.rpm\"><filename>{name}-{version}.{arch}.rpm</filename>{reboot}</package>\n"
    )
}

/// Runs a program of the repository tools; what it printed.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
