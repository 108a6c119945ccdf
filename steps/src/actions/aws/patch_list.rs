//! The list of patches that a stage installs: a patch snapshot of Systems Manager, by its id.
//!
//! Machines that are given the same id get the same patches, however many days lie between them. So a stage has one id,
//! made of run and stage. Systems Manager keeps a snapshot for three days at most
//! (facts: AWS-RunPatchBaseline), so a stage that lasts longer gets a new one after sixty hours, and its
//! outputs say that the list was renewed.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::to_value;
use uuid::Uuid;

use super::errand::since_then;
use crate::{action::Failure, context::Context};

/// How long one list is used: its three days, less the longest that an installation may take to begin and to end.
const USED_FOR: Duration = Duration::from_secs(60 * 3600);

/// The checkpoint that keeps it for later lives of the attempt.
const KEY: &str = "patch-list";

/// The list that an attempt installs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PatchList {
    /// The patch snapshot id.
    pub id: String,
    /// How many lists the stage had before.
    pub generation: u64,
}

impl PatchList {
    /// The list of this attempt: what an earlier life used, else what the stage uses now. It is durable when this
    /// returns.
    ///
    /// # Errors
    /// [`Failure`] where it cannot be journaled.
    pub async fn choose(ctx: &Context) -> Result<Self, Failure> {
        if let Some(kept) = ctx.recall(KEY).and_then(|kept| serde_json::from_value(kept.clone()).ok()) {
            return Ok(kept);
        }
        let list = Self::of(ctx, generation(ctx.stage_began, ctx.now()));
        let kept = to_value(&list).map_err(|error| Failure::failed(error.to_string()))?;
        ctx.ledger.checkpoint(KEY, kept).await?;
        Ok(list)
    }

    /// Every list that the stage may have used so far.
    pub fn all(ctx: &Context) -> Vec<Self> {
        (0..=generation(ctx.stage_began, ctx.now())).map(|generation| Self::of(ctx, generation)).collect()
    }

    fn of(ctx: &Context, generation: u64) -> Self {
        let name = format!("runbook patch snapshot\n{}\n{}\n{generation}", ctx.run, ctx.stage);
        Self { id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string(), generation }
    }

    /// Whether the stage had another list before.
    pub fn renewed(&self) -> bool {
        self.generation > 0
    }
}

fn generation(began: Timestamp, now: Timestamp) -> u64 {
    since_then(began, now).as_secs() / USED_FOR.as_secs()
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};

    use super::generation;

    #[test]
    fn a_list_is_renewed_every_sixty_hours() {
        let began = Timestamp::UNIX_EPOCH;
        let after = |hours: i64| generation(began, began + hours.hours());
        assert_eq!([after(0), after(59), after(60), after(119), after(120)], [0, 0, 1, 1, 2]);
        assert_eq!(generation(began + 1.hours(), began), 0, "a clock that was set back");
    }
}
