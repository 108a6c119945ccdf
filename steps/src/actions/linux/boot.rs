//! A reboot, proved by the boot id: port 22 answers for seconds after a reboot was asked for
//! (facts: ssh and reboots).

use std::time::Duration;

use runbook_engine::outcome::{ErrorClass, Outcome};
use serde_json::Value;

use super::{
    host::{Host, OVER, PATIENCE, Patience, SILENCE, passed, passes, pause, said},
    job::{End, Errand, clock},
};
use crate::{
    action::Failure,
    context::StopReason,
    ports::linux::{Deed, Verdict},
};

/// A host that answers on the boot of before so long after its job ended does not reboot.
const STILL_UP: Duration = Duration::from_secs(10 * 60);

impl Host {
    /// Reboots the host, once, and waits until it answers on another boot, whose id it gives.
    ///
    /// # Errors
    /// What is reported of a host that was not rebooted, or did not come back.
    pub async fn reboot(&self) -> Result<String, Failure> {
        let before = self.boot_to_leave().await?;
        let errand = Errand {
            what: "reboot",
            words: "the reboot",
            exclusive: true,
            may_be_ended: false,
            talks: false,
            waits: PATIENCE,
            makes: None,
        };
        match self.job(errand, || Deed::Reboot).await? {
            End::Ended(ended) if ended.verdict != Verdict::Done => {
                return Err(Failure::failed(format!("the reboot was refused: {}", ended.cause)));
            }
            End::Ended(_) | End::Stopped | End::Lost { .. } => {}
        }
        self.back(&before).await
    }

    /// The boot that the host is to leave. One of long before proves nothing: the host may have left it by itself.
    async fn boot_to_leave(&self) -> Result<String, Failure> {
        let key = self.key("before-reboot");
        let asked = self.ctx.memory.intents.contains_key(&self.key("reboot"));
        if let Some(Value::String(before)) = self.ctx.recall(&key).filter(|_| asked) {
            return Ok(before.clone());
        }
        let before = self.then(|| self.port().boot(&self.target)).await?;
        self.ctx.ledger.checkpoint(&key, Value::String(before.clone())).await?;
        Ok(before)
    }

    /// The boot id before anything was done, as the journal has it.
    ///
    /// # Errors
    /// What is reported of a host that does not answer.
    pub async fn boot_before(&self) -> Result<String, Failure> {
        let key = self.key("boot");
        if let Some(Value::String(before)) = self.ctx.recall(&key) {
            return Ok(before.clone());
        }
        let before = self.first(|| self.port().boot(&self.target)).await?;
        self.ctx.ledger.checkpoint(&key, Value::String(before.clone())).await?;
        Ok(before)
    }

    /// Waits until the host answers on another boot than this one.
    async fn back(&self, before: &str) -> Result<String, Failure> {
        let began = self.ctx.now();
        let mut known = StopReason::None;
        let mut patience = Patience::after(&self.ctx);
        loop {
            let seen = match self.port().boot(&self.target).await {
                Ok(boot) if boot != before => return Ok(boot),
                Ok(_) if passed(&self.ctx, began) >= STILL_UP => {
                    let cause = "it still answers, on the boot of before: it did not reboot";
                    return Err(Failure::failed(cause));
                }
                Ok(_) => {
                    patience.answered(&self.ctx);
                    "it answers on the boot of before".to_owned()
                }
                Err(fault) if !patience.bears(&self.ctx, &fault) && !passes(fault.kind) => {
                    return Err(Failure::failed(said(&fault)));
                }
                Err(fault) => fault.message,
            };
            let waited = passed(&self.ctx, began);
            if waited >= SILENCE || known == StopReason::TimedOut && waited >= OVER {
                let (from, to) = (clock(began), clock(self.ctx.now()));
                let cause = format!("rebooted at {from}, not back by {to}: {seen}");
                return Err(Failure::Failed {
                    outcome: Outcome::Unreachable,
                    class: ErrorClass::Failed,
                    cause,
                });
            }
            known = self.rest(pause(passed(&self.ctx, began)), known).await?;
        }
    }
}
