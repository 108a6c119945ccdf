//! When the rules of a fleet file strike.

use jiff::Timestamp;

use super::{
    fault_rule::{FaultRule, Label, RuleKind},
    refusal::refused,
    state::{State, Struck},
    time::later,
};
use crate::ports::fault::{Fault, FaultKind};

impl State {
    /// Notes that rules struck.
    pub fn note_strikes(&mut self, struck: &Struck) {
        for strike in struck {
            *self.strikes.entry(strike.clone()).or_default() += 1;
        }
    }

    /// The first rule of a kind that strikes this machine now; it is added to `struck`.
    pub fn strike(
        &self,
        machine: usize,
        kind: RuleKind,
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<&FaultRule> {
        self.strike_in(machine, kind, None, label, struck)
    }

    /// The same of a command with this document.
    pub fn strike_in(
        &self,
        machine: usize,
        kind: RuleKind,
        document: Option<&str>,
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<&FaultRule> {
        let id = &self.roster.machines[machine].id;
        let (number, rule) = self.roster.rules_for(machine, kind, label).find(|(number, rule)| {
            (rule.document.is_none() || rule.document.as_deref() == document)
                && rule.limit().is_none_or(|limit| self.struck_so_far(*number, Some(id)) < limit)
        })?;
        struck.push((number, Some(id.clone())));
        Some(rule)
    }

    /// The same of a job on a host.
    pub fn strike_job(
        &self,
        machine: usize,
        kind: RuleKind,
        job: &str,
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<&FaultRule> {
        let id = &self.roster.machines[machine].id;
        let (number, rule) = self.roster.rules_for(machine, kind, label).find(|(number, rule)| {
            rule.job.as_deref().is_none_or(|wanted| wanted == job)
                && rule.limit().is_none_or(|limit| self.struck_so_far(*number, Some(id)) < limit)
        })?;
        struck.push((number, Some(id.clone())));
        Some(rule)
    }

    /// The first rule about calls that strikes this call now.
    pub fn strike_call(
        &self,
        kind: RuleKind,
        call: &str,
        writes: bool,
        machines: &[usize],
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<&FaultRule> {
        self.strike_call_if(kind, call, writes, machines, label, struck, |_| true)
    }

    #[expect(clippy::too_many_arguments, reason = "who asks for what, of which rules")]
    fn strike_call_if(
        &self,
        kind: RuleKind,
        call: &str,
        writes: bool,
        machines: &[usize],
        label: Option<&Label>,
        struck: &mut Struck,
        fits: impl Fn(&FaultRule) -> bool,
    ) -> Option<&FaultRule> {
        let (number, rule) = self.roster.call_rules(machines, label).find(|(number, rule)| {
            rule.kind == kind
                && fits(rule)
                && rule.call.as_deref().map_or(writes, |wanted| wanted == call)
                && rule.limit().is_none_or(|limit| self.struck_so_far(*number, None) < limit)
        })?;
        struck.push((number, None));
        Some(rule)
    }

    /// Why this call is not carried out, if so.
    pub fn refuse_call(
        &self,
        call: &'static str,
        writes: bool,
        machines: &[usize],
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<Fault> {
        let ec2 = call.starts_with("ec2:");
        let mut hit = |kind| self.strike_call(kind, call, writes, machines, label, struck).is_some();
        if hit(RuleKind::Throttled) {
            // EC2 has its own word (facts: Error codes).
            let code = if ec2 { "RequestLimitExceeded" } else { "ThrottlingException" };
            return Some(refused(call, code, "rate exceeded"));
        }
        if hit(RuleKind::CredentialsExpired) {
            let code = if ec2 { "RequestExpired" } else { "ExpiredTokenException" };
            return Some(refused(call, code, "the security token included in the request is expired"));
        }
        if hit(RuleKind::Denied) {
            return Some(denied(call));
        }
        if hit(RuleKind::QuotaExceeded) {
            let code = match call {
                "ec2:CreateSnapshots" | "ec2:CreateSnapshot" => "SnapshotLimitExceeded",
                "ec2:CreateVolume" => "VolumeLimitExceeded",
                "ec2:AttachVolume" => "AttachmentLimitExceeded",
                _ => "LimitExceededException",
            };
            return Some(refused(call, code, "a quota of this account is used up"));
        }
        if hit(RuleKind::RequestLost) {
            return Some(lost(call));
        }
        self.fails(call, writes, false, machines, label, struck)
    }

    /// What is answered instead of a result when the call was carried out, if so.
    pub fn lose_answer(
        &self,
        call: &'static str,
        writes: bool,
        machines: &[usize],
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<Fault> {
        if self.strike_call(RuleKind::AnswerLost, call, writes, machines, label, struck).is_some() {
            return Some(lost(call));
        }
        self.fails(call, writes, true, machines, label, struck)
    }

    /// A failure of the service, after or before the effect.
    fn fails(
        &self,
        call: &'static str,
        writes: bool,
        after: bool,
        machines: &[usize],
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<Fault> {
        let fits = |rule: &FaultRule| rule.ran.unwrap_or(true) == after;
        self.strike_call_if(RuleKind::ServerError, call, writes, machines, label, struck, fits)?;
        let code = match call {
            call if call.starts_with("ec2:") => "InternalError",
            call if call.starts_with("backup:") => "ServiceUnavailableException",
            _ => "InternalServerError",
        };
        Some(refused(call, code, "the service failed"))
    }

    /// Whether the right to a call is missing, or the credentials for it have expired: what a dry run finds out.
    pub fn refuse_right(
        &self,
        call: &'static str,
        machines: &[usize],
        label: Option<&Label>,
        struck: &mut Struck,
    ) -> Option<Fault> {
        self.strike_call(RuleKind::Denied, call, true, machines, label, struck)?;
        Some(denied(call))
    }

    /// Since when reads find what a call makes now.
    pub fn seen_from(&self, call: &str, now: Timestamp, struck: &mut Struck) -> Timestamp {
        let seen = later(now, self.roster.file.lag.get());
        match self.strike_call(RuleKind::SlowListing, call, true, &[], None, struck) {
            Some(rule) => later(seen, rule.after.unwrap_or_default().get()),
            None => seen,
        }
    }
}

fn denied(call: &'static str) -> Fault {
    let code = if call.starts_with("ec2:") { "UnauthorizedOperation" } else { "AccessDeniedException" };
    refused(call, code, format!("you are not authorized to perform this operation: {call}"))
}

fn lost(call: &'static str) -> Fault {
    let message = "the connection broke before the answer came".into();
    Fault { call, kind: FaultKind::Ambiguous, code: None, message }
}
