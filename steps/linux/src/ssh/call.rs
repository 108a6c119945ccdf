//! A script that runs in a session on a host.

use std::time::Duration;

use openssh::Stdio;
use runbook_engine::connection::Sudo;
use runbook_steps::ports::fault::{Fault, FaultKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::{Access, Master, fault, heard::Heard};
use crate::shell::quote;

/// What runs on the host and runs the script: POSIX sh without a single quote, one line to the login shell, which may be
/// any. `$1` is the word that marks beginning and end, `$2` how long the script may run, in seconds.
///
/// The whole script is read before any of it runs, and only runs if its last line came: one that was cut off with the
/// connection is none. It runs in a session of its own, so that all of it can be ended.
const WRAPPER: &str = include_str!("wrapper.sh");

/// How much longer than the script may run we wait for its end: 5 s until it is killed, and the way back.
const LATER: Duration = Duration::from_secs(20);

/// Which rights a script has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Those of the user who logs in.
    Login,
    /// Root's.
    Root,
}

/// A script to be run.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    /// What it is, for faults: `ssh:look`.
    pub(crate) name: &'static str,
    /// POSIX sh.
    pub(crate) script: &'a str,
    pub(crate) rights: Rights,
    /// How long it may run.
    pub(crate) within: Duration,
    /// How many bytes of each stream are wanted.
    pub(crate) keep: usize,
}

/// What a script said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its exit code; absent: it was ended, because its time was over.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Standard output was longer.
    pub(crate) cut: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The connection was gone before anything was sent; another one may do.
    Gone(Fault),
    /// The host opens no more sessions over this connection for now; nothing was sent.
    Full(Fault),
    /// This is what there is to say.
    For(Fault),
}

impl Call<'_> {
    /// Runs it over this connection. `password` is the one for sudo, where one is needed.
    /// `patience` is how long the host may take to open a session, and to begin.
    pub(super) async fn over(
        &self,
        master: &Master,
        password: Option<&str>,
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let access = master.access();
        if self.script.contains('\0') {
            let message = "a script cannot hold a NUL character";
            return Err(Unanswered::For(fault(self.name, FaultKind::Invalid, message)));
        }
        let word = format!("runbook-{}", Uuid::new_v4().simple());
        let command = self.command(master, password.is_some(), &word);
        let until = Instant::now() + patience;
        let gone = |why: String| {
            let message = format!("the connection to {} is gone, nothing was sent: {why}", access.address);
            Unanswered::Gone(fault(self.name, FaultKind::NotSent, message))
        };
        let mut command = master.session().raw_command(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match timeout_at(until, command.spawn()).await {
            Ok(Ok(child)) => child,
            Ok(Err(error)) => {
                let why = chain(&error);
                return Err(if why.contains("open refused") {
                    let message = format!(
                        "{} opens too few sessions over one connection: set `MaxSessions 10` in its sshd_config",
                        access.address
                    );
                    Unanswered::Full(fault(self.name, FaultKind::Target, message))
                } else {
                    gone(why)
                });
            }
            Err(_) => {
                master.suspect();
                let message = format!(
                    "{} is silent: it opened no session within {} s",
                    access.address,
                    patience.as_secs()
                );
                return Err(Unanswered::For(fault(self.name, FaultKind::NotSent, message)));
            }
        };
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin().take(), child.stdout().take(), child.stderr().take())
        else {
            return Err(gone("it has no streams".to_owned()));
        };
        let mut talk = Talk {
            stdin: Some(stdin),
            stdout,
            stderr,
            open: [true; 2],
            out: Heard::new(&word, self.keep),
            err: Heard::new(&word, self.keep),
        };
        if let Some(password) = password {
            match timeout_at(until, talk.authenticate(&word, password)).await {
                Ok(Ok(())) => {}
                Ok(Err(())) => return Err(self.not_begun(&talk, access, true)),
                Err(_) => {
                    master.suspect();
                    return Err(self.not_begun(&talk, access, false));
                }
            }
        }
        let whole = format!("{}\n# {word} over", self.script);
        // Two deadlines: a host that does not even begin is silent long before a long script is overdue.
        let begun = timeout_at(Instant::now() + patience, talk.send(whole.as_bytes())).await;
        let waited = match begun {
            Err(_) => Some(patience),
            Ok(()) => {
                let within = self.within + LATER;
                timeout_at(Instant::now() + within, talk.hear()).await.is_err().then_some(within)
            }
        };
        if let Some(waited) = waited {
            master.suspect();
            let message = format!(
                "{} fell silent: nothing was heard within {} s, and it may have been carried out",
                access.address,
                waited.as_secs()
            );
            return Err(Unanswered::For(fault(self.name, FaultKind::Ambiguous, message)));
        }
        let Some(end) = talk.out.end().map(str::to_owned) else {
            if !talk.out.has_begun() && !talk.err.before().is_empty() {
                return Err(self.not_begun(&talk, access, true));
            }
            master.suspect();
            let message = format!("the connection to {} broke; it may have been carried out", access.address);
            return Err(Unanswered::For(fault(self.name, FaultKind::Ambiguous, message)));
        };
        Ok(Answer {
            code: end.parse().ok(),
            cut: talk.out.is_cut(),
            stdout: talk.out.into_text(),
            stderr: talk.err.into_text(),
        })
    }

    /// The command line that the login shell is given: nothing of the script is in it.
    fn command(&self, master: &Master, with_password: bool, word: &str) -> String {
        let wrapper = WRAPPER.trim().replace('\n', " ");
        let shell = format!("/bin/sh -c '{wrapper}' rb {word} {}", self.within.as_secs().max(1));
        match (self.rights, master.is_rooted() && !master.is_root()) {
            (Rights::Login, _) | (_, false) => format!("exec {shell}"),
            // `-S` reads the password from standard input, where it only goes when this prompt was seen.
            (Rights::Root, true) if with_password => {
                format!("exec sudo -S -p {} -- {shell}", quote(&prompt(word)))
            }
            (Rights::Root, true) => format!("exec sudo -n -- {shell}"),
        }
    }

    /// Nothing of the script ran: why, by the words that came instead.
    fn not_begun(&self, talk: &Talk, access: &Access, ended: bool) -> Unanswered {
        let (said, address) = (talk.err.before(), &access.address);
        let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let typed = access.typed();
        let kind = FaultKind::Denied;
        let message = if said.contains("a password is required") || said.contains("terminal is required") {
            match access.sudo() {
                Sudo::Password => format!("sudo on {address} wants a password, and was given none: {last}"),
                _ => format!(
                    "sudo on {address} wants a password: allow it without one (in `sudo visudo -f \
                     /etc/sudoers.d/runbook`: `USER ALL=(root) NOPASSWD: ALL`), or set `sudo: password` and \
                     `sudo_password: NAME` in its connection; see: `{typed} sudo -n true`"
                ),
            }
        } else if said.contains("try again") || said.contains("incorrect password") {
            format!("sudo on {address} does not take the password; see: `{typed} -t sudo true`")
        } else if said.contains("must have a tty") {
            format!(
                "sudo on {address} wants a terminal: set `Defaults !requiretty` for the user in `sudo visudo -f \
                 /etc/sudoers.d/runbook`"
            )
        } else if said.contains("sudoers") || said.contains("not allowed to") || said.contains("may not run")
        {
            format!("{last} (on {address}); see: `{typed} sudo -l`")
        } else if !ended {
            format!("{address} did not begin in time: {last}")
        } else if self.rights == Rights::Root && said.contains("sudo") {
            format!("root's rights are not to be had on {address}: {last}")
        } else {
            format!("nothing can be run on {address}: {last}; see: `{typed} true`")
        };
        Unanswered::For(fault(self.name, kind, message))
    }
}

fn prompt(word: &str) -> String {
    format!("[{word} password]")
}

/// A call as it goes on.
struct Talk {
    stdin: Option<openssh::ChildStdin>,
    stdout: openssh::ChildStdout,
    stderr: openssh::ChildStderr,
    open: [bool; 2],
    out: Heard,
    err: Heard,
}

impl Talk {
    /// Gives the password if it is asked for; returns when the script can be sent. An error: it never will.
    async fn authenticate(&mut self, word: &str, password: &str) -> Result<(), ()> {
        let prompt = prompt(word);
        let mut given = false;
        while !self.out.has_begun() {
            if !self.listen().await {
                return Err(());
            }
            let asked = self.err.before().matches(&prompt).count();
            if asked > 1 {
                return Err(());
            }
            if asked == 1 && !given {
                given = true;
                let line = format!("{password}\n");
                let stdin = self.stdin.as_mut().ok_or(())?;
                stdin.write_all(line.as_bytes()).await.map_err(|_| ())?;
            }
        }
        Ok(())
    }

    /// Sends the script, and hears that it begins, or that nothing more can come.
    async fn send(&mut self, script: &[u8]) {
        if let Some(mut stdin) = self.stdin.take() {
            // A host that takes no more has said why, or is gone, which is heard next.
            let _ = stdin.write_all(script).await;
        }
        while !self.out.has_begun() {
            if !self.listen().await {
                break;
            }
        }
    }

    /// Hears it to its end, or until nothing more can come.
    async fn hear(&mut self) {
        while self.out.end().is_none() || self.err.end().is_none() {
            if !self.listen().await {
                break;
            }
        }
    }

    /// Takes in what comes next; whether more may come.
    async fn listen(&mut self) -> bool {
        let (mut out, mut err) = ([0; 16_384], [0; 16_384]);
        let (stream, heard, bytes, read) = tokio::select! {
            read = self.stdout.read(&mut out), if self.open[0] => (0, &mut self.out, &out, read),
            read = self.stderr.read(&mut err), if self.open[1] => (1, &mut self.err, &err, read),
            else => return false,
        };
        match read {
            Ok(0) | Err(_) => self.open[stream] = false,
            Ok(count) => heard.take(&bytes[..count]),
        }
        self.open != [false; 2]
    }
}

/// An error with all that stands behind it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use super::WRAPPER;

    #[test]
    fn the_watcher_of_a_script_that_ends_at_once_says_nothing() {
        // It has not come to its trap yet. What the shell says then, it does not say each time.
        let late = WRAPPER.replacen("( s=;", "( sleep 1; s=;", 1);
        assert_ne!(late, WRAPPER);
        for _ in 0..20 {
            let mut shell = Command::new("/bin/sh")
                .args(["-c", &late, "rb", "word", "60"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a shell");
            let mut script = shell.stdin.take().expect("a pipe");
            script.write_all(b"echo it\n# word over").expect("a script");
            drop(script);
            let told = shell.wait_with_output().expect("an end");
            assert_eq!(String::from_utf8_lossy(&told.stdout), "\nword begins\nit\n\nword ends 0\n");
            assert_eq!(String::from_utf8_lossy(&told.stderr), "\nword begins\n\nword ends 0\n");
        }
    }
}
