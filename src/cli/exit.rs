//! What the process's exit code says.

/// Exit codes; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, also with contained failures.
    Succeeded = 0,
    /// Our bug, or an I/O error that nobody foresaw.
    Bug = 1,
    /// Wrong usage, unknown run.
    Usage = 2,
    /// The runbook, its parameters, the plan or the fleet are invalid.
    Invalid = 3,
    /// The outside world refused before anything was changed.
    Refused = 4,
    /// The run failed or was restored.
    Failed = 10,
    /// The run is stuck: a person is needed.
    Stuck = 11,
    /// The run waits, is paused or was interrupted: it can be resumed.
    Waiting = 12,
    /// The run was cancelled.
    Cancelled = 13,
    /// The store is locked, unreadable or of another version.
    Store = 20,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The exit code with this number.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Succeeded,
            2 => Self::Usage,
            3 => Self::Invalid,
            4 => Self::Refused,
            10 => Self::Failed,
            11 => Self::Stuck,
            12 => Self::Waiting,
            13 => Self::Cancelled,
            20 => Self::Store,
            _ => Self::Bug,
        }
    }
}
