//! What other programs answer.

use runbook_linux::{
    facts,
    packages::{self, Kind, Printed},
    snapshots,
};
use runbook_steps::ports::linux::Manager;

#[path = "../../../steps/aws/src/error_code.rs"]
mod error_code;

/// Whatever stands in a journal, it decodes or is refused.
pub(super) fn journal(bytes: &[u8]) {
    drop(runbook_state::format::decode(bytes));
}

/// What a host prints of itself and of its packages: the first byte says who reads it, the second is the exit code.
pub(super) fn host(bytes: &[u8]) {
    let [who, code, rest @ ..] = bytes else { return };
    let text = String::from_utf8_lossy(rest);
    let (stdout, stderr) = text.split_once('\0').unwrap_or((&text, ""));
    let printed = Printed { code: i32::from(*code), stdout: stdout.to_owned(), stderr: stderr.to_owned() };
    let managers = [Manager::Apt, Manager::Dnf, Manager::Dnf5, Manager::Yum, Manager::Zypper];
    let manager = packages::of(managers[usize::from(who >> 3) % managers.len()]);
    match who % 8 {
        0 => drop(facts::read(stdout)),
        1 => drop(manager.read_packages(stdout)),
        2 => drop(manager.read_pending(&printed)),
        3 => drop(manager.read_rehearsal(&printed)),
        4 => drop(snapshots::judge(&printed)),
        _ => {
            let kinds = [Kind::Refresh, Kind::Install, Kind::Repair, Kind::Keep];
            drop(manager.judge(kinds[usize::from(who % 8) % kinds.len()], &printed));
        }
    }
}

/// An error of AWS has a kind, whatever its code and words: code, message and status stand on three lines.
pub(super) fn aws_fault(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (status, code, message) = (next().trim().parse().unwrap_or(400), next(), next());
    error_code::kind(code, message, status);
}

/// A line that comes through the control socket is a request, or is refused.
pub(super) fn control(bytes: &[u8]) {
    drop(runbook::control::accepts(bytes));
}
