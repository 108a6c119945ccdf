//! What a host tells of a job, read.

use jiff::{SignedDuration, Timestamp};
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Ended, Progress, Verdict},
};
use serde_json::Value;

use super::last;
use crate::{
    look::{STDERR, STDOUT, head},
    managing,
    packages::{self, Printed},
    snapshots,
    ssh::{Answer, fault},
};

/// So many bytes of a job's last line are read at most, as `progress.sh` says.
const LAST: usize = 2_000;

/// Reads what `progress.sh` printed, just now.
pub(crate) fn progress(answer: &Answer, host: &str, now: Timestamp) -> Result<Progress, Fault> {
    let mut lines = answer.stdout.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (is, kind, result, said) = (line(), line(), line(), line());
    match is {
        "absent" => Ok(Progress::Absent),
        "running" => Ok(Progress::Running { last: last_line(said) }),
        "lost" => Ok(Progress::Lost { rebooted: false }),
        "rebooted" => Ok(Progress::Lost { rebooted: true }),
        "ended" => {
            let mut words = result.split_whitespace();
            // Without a number the result is no result.
            let Some(code) = words.next().and_then(|code| code.parse().ok()) else {
                return Ok(Progress::Lost { rebooted: false });
            };
            let mut time = || words.next().and_then(|time| Timestamp::from_second(time.parse().ok()?).ok());
            let (ended_at, told_at) = (time(), time());
            // By our clock: that long ago, whatever time it is on the host.
            let ended_at = ended_at.zip(told_at).map_or(ended_at, |(ended, told)| {
                now.checked_sub(told.duration_since(ended).max(SignedDuration::ZERO)).ok()
            });
            Ok(Progress::Ended(ended(kind, code, said, &answer.stderr, ended_at)))
        }
        _ => {
            let message = format!("{host} does not tell how the job stands: {}", last(&answer.stderr));
            Err(fault("ssh:progress", FaultKind::Target, message))
        }
    }
}

/// The last line that is whole: one that is still being written may end in the middle of a secret, and one that is longer
/// than what is read begins there. Of a line that was written over and over, what one would see.
fn last_line(said: &str) -> Option<String> {
    let whole = said.rfind(['\n', '\r']).map(|end| said[..end].trim_end())?;
    let last = whole.rsplit(['\n', '\r']).next().unwrap_or_default();
    (!last.is_empty() && said.len() < LAST).then(|| last.to_owned())
}

fn ended(kind: &str, code: i32, stdout: &str, stderr: &str, ended_at: Option<Timestamp>) -> Ended {
    let (verdict, cause, told) = judged(kind, code, stdout, stderr);
    // What a script prints is for later steps. What tools print is for people, and says last what went wrong.
    let (stdout, stderr) = match kind {
        "script" => (head(stdout, STDOUT), head(stderr, STDERR)),
        _ => (ends(stdout, STDOUT), ends(stderr, STDERR)),
    };
    Ended { code, verdict, cause, told, stdout, stderr, ended_at }
}

/// A text, or its beginning and its end: whole lines, since a line that is cut may end in the middle of a secret.
fn ends(text: &str, most: usize) -> String {
    let all = text.chars().count();
    if all <= most {
        return text.to_owned();
    }
    let (beginning, end) = (head(text, most / 2), text.chars().skip(all - most / 2).collect::<String>());
    let beginning = beginning.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let end = end.split_once('\n').map_or("", |(_, whole)| whole);
    format!("{beginning}\n[...]\n{end}")
}

fn judged(kind: &str, code: i32, stdout: &str, stderr: &str) -> (Verdict, String, Value) {
    let printed = || Printed { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() };
    if kind == "snapshot" {
        return snapshots::judge(&printed());
    }
    if let Some((manager, work)) = managing::read(kind) {
        return packages::of(manager).judge(work, &printed());
    }
    // What our own scripts tell is the last line that they print.
    let told = match kind {
        "file" | "discard" => stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()),
        _ => None,
    };
    if code == 0 {
        return (Verdict::Done, String::new(), told.unwrap_or_default());
    }
    let words = match last(stderr) {
        "not a word" => String::new(),
        words => format!(": {}", head(words, 300)),
    };
    let verdict = match (kind, code) {
        _ if stderr.contains("No space left on device") => Verdict::DiskFull,
        // Our own scripts say so where there is nothing of that name.
        ("service" | "reboot", 127) => Verdict::Missing,
        ("file", 2) => Verdict::Refused,
        _ => Verdict::Failed,
    };
    (verdict, format!("exit code {code}{words}"), told.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn said(stdout: &str, stderr: &str) -> Progress {
        let answer =
            Answer { code: Some(0), stdout: stdout.to_owned(), stderr: stderr.to_owned(), cut: false };
        progress(&answer, "web1", NOW).expect("it is understood")
    }

    #[test]
    fn each_state_is_read() {
        assert_eq!(said("absent\n\n \n", ""), Progress::Absent);
        assert_eq!(said("lost\nscript\n \n", ""), Progress::Lost { rebooted: false });
        assert_eq!(said("rebooted\nscript\n \n", ""), Progress::Lost { rebooted: true });
        assert_eq!(said("running\nscript\n \n", ""), Progress::Running { last: None });
        let running = Progress::Running { last: Some("Unpacking nginx".to_owned()) };
        assert_eq!(said("running\nscript\n \nUnpacking nginx\n", ""), running);
        assert_eq!(said("running\nscript\n \n10%\r20%\rUnpacking nginx\r\n", ""), running);
        assert_eq!(said("running\nscript\n \n10%\rUnpacking nginx\r20", ""), running);
        // Half a line may be half a secret.
        assert_eq!(said("running\nscript\n \nUnpacki", ""), Progress::Running { last: None });
        let long = format!("running\nscript\n \n{}\n", "x".repeat(1_999));
        assert_eq!(said(&long, ""), Progress::Running { last: None });
    }

    #[test]
    fn an_end_has_its_code_words_and_time() {
        let Progress::Ended(ended) = said("ended\nscript\n3 1700000000\nout\nmore\n", "a\nbad thing\n")
        else {
            panic!("it ended")
        };
        assert_eq!((ended.code, ended.verdict), (3, Verdict::Failed));
        assert_eq!(ended.cause, "exit code 3: bad thing");
        assert_eq!(ended.stdout, "out\nmore\n");
        assert_eq!(ended.ended_at, Timestamp::from_second(1_700_000_000).ok());
    }

    #[test]
    fn when_it_ended_is_told_by_our_clock() {
        let now = NOW.as_second();
        for (host, ago) in [(now, 90), (now + 86_400, 90), (now - 7_200, 90), (now, 0), (now, -30)] {
            let Progress::Ended(ended) = said(&format!("ended\nscript\n0 {} {host}\n", host - ago), "")
            else {
                panic!("it ended")
            };
            // A clock that was set back meanwhile says nothing but that it is over.
            assert_eq!(ended.ended_at.map(Timestamp::as_second), Some(now - ago.max(0)), "{host} {ago}");
        }
    }

    #[test]
    fn of_a_long_output_the_end_is_kept_where_tools_say_what_went_wrong() {
        let long = format!("ended\napt:install\n100 1\n{}E: no\n", "Unpacking\n".repeat(10_000));
        let Progress::Ended(ended) = said(&long, "") else { panic!("it ended") };
        assert!(ended.stdout.ends_with("Unpacking\nE: no\n") && ended.stdout.len() < STDOUT + 100);
        // A line that is cut may end in the middle of a secret.
        let (stdout, stderr) =
            (ends(&"Unpacking nginx\n".repeat(10_000), 8_000), ends(&"x".repeat(9_000), 8_000));
        assert!(stdout.lines().all(|line| ["Unpacking nginx", "[...]"].contains(&line)), "{stdout}");
        assert_eq!(stderr.trim(), "[...]");
        let Progress::Ended(ended) = said(&long.replace("apt:install", "script"), "") else {
            panic!("it ended")
        };
        assert!(!ended.stdout.contains("E: no"));
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let Progress::Ended(ended) =
            said("ended\nfile\n1 1\n", "cat: write error: No space left on device\n")
        else {
            panic!("it ended")
        };
        assert_eq!(ended.verdict, Verdict::DiskFull);
    }

    #[test]
    fn what_a_file_deed_tells_is_its_last_line() {
        let Progress::Ended(ended) = said("ended\nfile\n0 1\n{\"changed\":true}\n", "") else {
            panic!("it ended")
        };
        assert_eq!(ended.told, serde_json::json!({ "changed": true }));
    }

    #[test]
    fn a_host_that_says_nothing_is_a_fault() {
        let answer = Answer {
            code: Some(2),
            stdout: String::new(),
            stderr: "mkdir: Permission denied".to_owned(),
            cut: false,
        };
        let fault = progress(&answer, "web1", NOW).expect_err("a fault");
        assert!(fault.message.ends_with("mkdir: Permission denied"));
    }
}
