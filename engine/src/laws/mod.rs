//! The laws that every run must keep, whatever happens to it.
//!
//! An [`Oracle`] hears a journal and says which laws it breaks. It knows the plan and the events and nothing of how the
//! engine keeps its books, so that a mistake there is not repeated here: where the engine says that a budget is exceeded or
//! that a machine is well, the oracle has counted for itself. It hears (`oracle`) what is done to each machine (`machine`)
//! by the tasks of the plan (`known`); there is one file for each group of laws. Laws about the outside world (nothing is done
//! twice, only listed machines are touched) are for whoever holds that world; their names are here, so that there is one
//! list.

mod budget;
mod ending;
mod gate;
mod known;
mod machine;
mod oracle;
mod outcome;
mod way_back;
mod window;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::{known::needs_backup, oracle::Oracle};

/// A law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// No effect takes place twice for one attempt.
    NothingTwice,
    /// Nothing that needs a way back is changed on a machine without a completed backup.
    BackedUp,
    /// A rollout is told to be over its budget exactly when more of its machines failed than may.
    Budget,
    /// No wave begins, and no new machine is changed, after the budget was exceeded.
    NothingAfterTheBudget,
    /// Exactly the machines that failed are brought back, where the plan brings any back.
    TheFailedGoBack,
    /// A machine that is told to be restored passed its checks after the restore.
    RestoredIsVerified,
    /// What is told of a machine at the end is what was done to it, and the run's own end follows from that.
    OutcomesAreTrue,
    /// Every wait ends: so does the run.
    EveryWaitEnds,
    /// Gates and waves of a window begin only where it is open, and nothing begins before the gates that it needs.
    WindowsAreKept,
    /// The journal, read again, gives the same run.
    TheJournalIsTheRun,
    /// The artifact ledger names what the world holds.
    TheLedgerIsTrue,
    /// No machine is touched that is not in the plan.
    OnlyListedMachines,
}

impl Law {
    /// Every law.
    pub const ALL: [Self; 12] = [
        Self::NothingTwice,
        Self::BackedUp,
        Self::Budget,
        Self::NothingAfterTheBudget,
        Self::TheFailedGoBack,
        Self::RestoredIsVerified,
        Self::OutcomesAreTrue,
        Self::EveryWaitEnds,
        Self::WindowsAreKept,
        Self::TheJournalIsTheRun,
        Self::TheLedgerIsTrue,
        Self::OnlyListedMachines,
    ];

    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingTwice => "nothing_twice",
            Self::BackedUp => "backed_up",
            Self::Budget => "budget",
            Self::NothingAfterTheBudget => "nothing_after_the_budget",
            Self::TheFailedGoBack => "the_failed_go_back",
            Self::RestoredIsVerified => "restored_is_verified",
            Self::OutcomesAreTrue => "outcomes_are_true",
            Self::EveryWaitEnds => "every_wait_ends",
            Self::WindowsAreKept => "windows_are_kept",
            Self::TheJournalIsTheRun => "the_journal_is_the_run",
            Self::TheLedgerIsTrue => "the_ledger_is_true",
            Self::OnlyListedMachines => "only_listed_machines",
        }
    }

    /// The law, for a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::NothingTwice => "nothing is done twice",
            Self::BackedUp => "nothing is changed without a usable backup",
            Self::Budget => "a budget counts every machine that failed, and no other",
            Self::NothingAfterTheBudget => "no wave begins after its budget was exceeded",
            Self::TheFailedGoBack => "exactly the machines that failed are brought back",
            Self::RestoredIsVerified => "every restored machine was verified",
            Self::OutcomesAreTrue => "what is told of each machine, and of the run, is what was done",
            Self::EveryWaitEnds => "every wait ends",
            Self::WindowsAreKept => "nothing begins outside of its window, or before its gate",
            Self::TheJournalIsTheRun => "the journal replays to the same state",
            Self::TheLedgerIsTrue => "the ledger of artifacts equals the world",
            Self::OnlyListedMachines => "only listed machines are touched",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A law that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How.
    pub detail: String,
}

impl Violation {
    /// This law was broken so.
    pub fn of(law: Law, detail: impl Into<String>) -> Self {
        Self { law, detail: detail.into() }
    }
}
