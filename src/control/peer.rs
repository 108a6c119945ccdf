//! Who is at the other end of the socket: the kernel says it, nobody can claim it.

use std::collections::BTreeSet;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use tokio::net::UnixStream;

/// A Unix user with the names of all groups that count for approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// User name; the uid where it has none.
    pub name: String,
    /// Group names.
    pub groups: Vec<String>,
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub person: Person,
    /// The uid that decides.
    pub uid: u32,
}

impl Person {
    /// Whoever runs this process.
    pub fn of_this_process() -> Self {
        let uid = nix::unistd::geteuid();
        let mut gids: BTreeSet<u32> = supplementary("/proc/self/status", uid.as_raw()).into_iter().collect();
        gids.insert(nix::unistd::getegid().as_raw());
        Self::of(uid, gids)
    }

    fn of(uid: Uid, mut gids: BTreeSet<u32>) -> Self {
        let user = User::from_uid(uid).ok().flatten();
        if let Some(user) = &user
            && let Ok(name) = std::ffi::CString::new(user.name.clone())
            && let Ok(listed) = getgrouplist(&name, user.gid)
        {
            gids.extend(listed.into_iter().map(Gid::as_raw));
        }
        let groups = gids
            .into_iter()
            .filter_map(|gid| Group::from_gid(Gid::from_raw(gid)).ok().flatten())
            .map(|group| group.name)
            .collect();
        Self { name: user.map_or_else(|| uid.to_string(), |user| user.name), groups }
    }
}

impl Peer {
    /// Who is at the other end (`SO_PEERCRED`, as of the moment of its `connect`). Its groups are those of the user
    /// database, those of the peer itself, and the supplementary ones of its process while that still has its uid.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        let mut gids = BTreeSet::from([credentials.gid()]);
        if let Some(pid) = credentials.pid() {
            gids.extend(supplementary(&format!("/proc/{pid}/status"), uid));
        }
        Ok(Self { person: Person::of(Uid::from_raw(uid), gids), uid })
    }
}

/// The supplementary groups of a process, if it belongs to this user.
fn supplementary(status: &str, uid: u32) -> Vec<u32> {
    let Ok(text) = std::fs::read_to_string(status) else { return Vec::new() };
    let numbers = |key: &str| -> Vec<u32> {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|rest| rest.split_whitespace().filter_map(|word| word.parse().ok()).collect())
            .unwrap_or_default()
    };
    // Real, effective, saved, file system: all of them, so that no set-uid program lends its groups.
    if numbers("Uid:").iter().all(|found| *found == uid) { numbers("Groups:") } else { Vec::new() }
}
