//! What other programs answer.

use jiff::Timestamp;
use runbook_linux::{
    facts,
    packages::{self, Kind, Printed},
    snapshots, told,
};
use runbook_steps::{playbooks, ports::linux::Manager};

#[path = "../../../steps/aws/src/error_code.rs"]
mod error_code;

/// When hosts are asked: 2026-01-01 in UTC.
const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);

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

/// What a host tells of a job: standard output, a zero byte, standard error.
pub(super) fn job(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (stdout, stderr) = text.split_once('\0').unwrap_or((&text, ""));
    drop(told::job(stdout, stderr, NOW));
}

/// What a host tells of a log holds the lines that are told of it, and no others.
pub(super) fn log(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = told::log(&text, NOW, NOW, NOW).unwrap_or_default();
    assert!(lines.iter().all(|line| text.contains(line)));
}

/// What the callback plugin of Ansible writes.
pub(super) fn playbook(bytes: &[u8]) {
    drop(playbooks::events::read(bytes));
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
