//! The connections that are open.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use runbook_steps::ports::fault::{Fault, FaultKind};
use tokio::{sync::Semaphore, time::Instant};

use super::{Access, Answer, Call, Master, call::Unanswered, fault, folder::Folder, room::Room};

/// How many connections are made at a time: each takes a processor of ours and of a jump host for the exchange of keys,
/// and sshd begins to drop more than 10 that have not logged in (`MaxStartups`).
const CONNECTS: usize = 8;

/// How long to wait where a host opens no more sessions for now.
const PAUSE: Duration = Duration::from_millis(200);

/// After this time without a call, a connection is closed: a soak of days holds none.
const IDLE: Duration = Duration::from_secs(300);

/// The connections that are open: at most one for each way to reach a host, and at most so many in all.
pub(crate) struct Pool {
    /// The folder of the control sockets.
    folder: Mutex<Option<Arc<Folder>>>,
    base: Vec<PathBuf>,
    withheld: Vec<String>,
    hosts: Mutex<HashMap<Access, Arc<Host>>>,
    room: Arc<Room>,
    connects: Semaphore,
    patience: Duration,
}

/// What one way to reach a host has.
#[derive(Default)]
struct Host {
    master: tokio::sync::Mutex<Option<Arc<Master>>>,
}

/// Wakes those who wait for a place.
struct Freed<'a>(&'a Room);

impl Drop for Freed<'_> {
    fn drop(&mut self) {
        self.0.look_again();
    }
}

impl Pool {
    /// A pool without connections, which will have at most `most`, to hosts that may take so long to answer. Its sockets are in the first folder of `base` whose
    /// path is short enough.
    pub(crate) fn new(base: Vec<PathBuf>, withheld: Vec<String>, most: usize, patience: Duration) -> Self {
        Self {
            folder: Mutex::default(),
            base,
            withheld,
            hosts: Mutex::default(),
            room: Arc::new(Room::new(most)),
            connects: Semaphore::new(CONNECTS),
            patience,
        }
    }

    /// Runs a call on a host, over the connection that is there, or a new one.
    pub(crate) async fn call(
        self: &Arc<Self>,
        access: &Access,
        call: &Call<'_>,
        password: Option<&str>,
    ) -> Result<Answer, Fault> {
        let mut again = true;
        let mut until = None;
        loop {
            // Whoever waits for a place may find this one idle afterwards, also where this call is given up.
            let _freed = Freed(&self.room);
            let master = self.master(access).await?;
            let answer = {
                let _turn = master.turn().await;
                call.over(&master, password, self.patience).await
            };
            master.touch();
            match answer {
                Err(Unanswered::Gone(_)) if again => {
                    again = false;
                    master.suspect();
                }
                // Another call's session may end soon.
                Err(Unanswered::Full(_))
                    if Instant::now() < *until.get_or_insert(Instant::now() + self.patience) =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(Unanswered::Gone(fault) | Unanswered::Full(fault) | Unanswered::For(fault)) => {
                    return Err(fault);
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// The connection to a host, which is made if there is none that is sound.
    pub(crate) async fn master(self: &Arc<Self>, access: &Access) -> Result<Arc<Master>, Fault> {
        let host = Arc::clone(self.lock().entry(access.clone()).or_default());
        let mut master = host.master.lock().await;
        if let Some(open) = master.as_ref().filter(|open| !open.is_suspected()) {
            open.touch();
            return Ok(Arc::clone(open));
        }
        // Calls that still use the old one end with it by their own deadlines.
        *master = None;
        // If all are taken, the one that was not used for the longest time is closed.
        let place = self.room.place(|| self.close_idle(|_| true, 1)).await;
        let folder = self.folder()?;
        let _turn = self.connects.acquire().await;
        let _freed = Freed(&self.room);
        let open = Arc::new(Master::connect(access.clone(), folder.path(), &self.withheld, place).await?);
        *master = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Closes idle connections, the one first that was not used for the longest time.
    fn close_idle(&self, old: impl Fn(&Master) -> bool, most: usize) {
        let hosts: Vec<_> = self.lock().values().cloned().collect();
        let mut idle: Vec<_> = hosts
            .iter()
            // One that cannot be locked is being made, or waits for a place.
            .filter_map(|host| host.master.try_lock().ok())
            .filter(|slot| slot.as_ref().is_some_and(|open| Arc::strong_count(open) == 1 && old(open)))
            .collect();
        idle.sort_by_key(|slot| slot.as_ref().map(|open| open.used()));
        idle.truncate(most);
        for mut slot in idle {
            *slot = None;
        }
    }

    /// The private folder of the control sockets.
    fn folder(self: &Arc<Self>) -> Result<Arc<Folder>, Fault> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = folder.as_ref() {
            return Ok(Arc::clone(folder));
        }
        let mut why = "no folder was named".to_owned();
        for base in &self.base {
            // 108 bytes hold the path of a socket (104 on some systems); below this folder ours need 12, and ssh
            // appends 17 for a moment. `.runbook-ssh-` and six letters are 19.
            if base.as_os_str().len() + 1 + 19 + 12 + 17 > 103 {
                why = format!("the path {} is too long for sockets", base.display());
                continue;
            }
            match Folder::new(base) {
                Ok(made) => {
                    let made = Arc::new(made);
                    *folder = Some(Arc::clone(&made));
                    tokio::spawn(sweep(Arc::downgrade(self)));
                    return Ok(made);
                }
                Err(error) => why = format!("{}: {error}", base.display()),
            }
        }
        let message = format!("there is no private folder for control sockets: {why}");
        Err(fault("ssh:connect", FaultKind::NotSent, message))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Access, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what is not used any more, until the pool is gone.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE / 4).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.close_idle(|open| open.used().elapsed() > IDLE, usize::MAX);
    }
}
