//! Stages that the courses of several actions have in common: each a job, and what its end means.

use std::time::Duration;

use runbook_engine::outcome::{ErrorClass, Outcome};

use super::{
    host::{Host, left_alone},
    job::{End, Errand},
    manifest::Manifest,
};
use crate::{
    action::Failure,
    ports::linux::{Deed, Ended, Verdict},
};

/// How long the locks of package managers are waited for unless a step says otherwise: as long as
/// unattended-upgrades usually takes.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(10 * 60);

/// A package job of ours is waited for as long as it may last at most.
const OTHERS: Duration = Duration::from_secs(2 * 3600);

/// What the journal calls a job on packages.
pub(super) fn errand(what: &'static str, words: &'static str, exclusive: bool) -> Errand {
    Errand { what, words, exclusive, may_be_ended: false, talks: false, waits: OTHERS, makes: None }
}

impl Host {
    /// Brings the lists of the package manager up to date.
    ///
    /// # Errors
    /// What is reported of a host on which nothing was changed.
    pub async fn refresh(&self, exclusive: bool, lock_wait: Duration) -> Result<(), Failure> {
        let errand = errand("refresh", "the refresh of the package lists", exclusive);
        let failure = match self.job(errand, || Deed::Refresh { lock_wait }).await {
            Ok(End::Ended(ended)) if ended.verdict == Verdict::Done => return Ok(()),
            Ok(End::Ended(ended)) => failure("the package lists could not be brought up to date", &ended),
            Ok(End::Stopped | End::Lost { .. }) => {
                left_alone("the refresh of the package lists was interrupted on the host")
            }
            Err(failure) => failure,
        };
        Err(match failure {
            // However it stands, it changes nothing on the host that would have to be taken back.
            Failure::Failed { class: ErrorClass::Failed, cause, .. } => left_alone(cause),
            other => other,
        })
    }

    /// Ends what an interrupted transaction left half done. `what` is its key in the journal: more than one may be
    /// needed in a course.
    ///
    /// # Errors
    /// What is reported of a host that stays half done.
    pub async fn repair(&self, what: &'static str, lock_wait: Duration) -> Result<(), Failure> {
        match self.job(errand(what, "the repair", true), || Deed::Repair { lock_wait }).await? {
            End::Ended(ended) if ended.verdict == Verdict::Done => Ok(()),
            End::Ended(ended) => Err(failure("an interrupted transaction could not be ended", &ended)),
            End::Stopped | End::Lost { .. } => {
                Err(Failure::failed("the repair of an interrupted transaction was interrupted, too"))
            }
        }
    }

    /// Waits until no job of anybody's changes the host any more.
    ///
    /// # Errors
    /// What is reported of a host that is busy for too long, or not reached.
    pub async fn barrier(&self) -> Result<(), Failure> {
        let deed = || Deed::Script {
            script: ":".to_owned(),
            env: std::collections::BTreeMap::new(),
            as_root: false,
            looks_for: Some(0),
        };
        // A host that reboots, or is cut off, is waited for.
        self.then(|| self.port().boot(&self.target)).await?;
        self.job(errand("barrier", "the wait for others", true), deed).await.map(|_| ())
    }

    /// Everything that is installed, after something was done.
    ///
    /// # Errors
    /// What is reported of a host that does not answer.
    pub async fn manifest(&self) -> Result<Manifest, Failure> {
        let packages = self.then(|| self.port().packages(&self.target)).await?;
        Ok(Manifest::of(&packages))
    }
}

/// What is reported of a job on packages that did not work.
pub(super) fn failure(what: &str, ended: &Ended) -> Failure {
    let class = match ended.verdict {
        Verdict::Locked => ErrorClass::Busy,
        Verdict::DiskFull => ErrorClass::Capacity,
        _ => ErrorClass::Failed,
    };
    let cause =
        if ended.cause.is_empty() { format!("it exited with {}", ended.code) } else { ended.cause.clone() };
    Failure::Failed { outcome: Outcome::Failed, class, cause: format!("{what}: {cause}") }
}
