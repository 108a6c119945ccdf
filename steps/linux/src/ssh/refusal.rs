//! Why a host was not reached, from the words of `ssh`.

use runbook_steps::ports::fault::{Fault, FaultKind};

use super::{Access, fault};

const CALL: &str = "ssh:connect";

/// What `ssh` wrote before it gave up, as a fault.
pub(super) fn read(log: &str, access: &Access) -> Fault {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let find = |part: &str| lines.iter().find(|line| line.contains(part)).copied();
    let typed = access.typed();
    let host = &access.address;
    if find("REMOTE HOST IDENTIFICATION HAS CHANGED").is_some() || find("has changed and you have").is_some()
    {
        return fault(CALL, FaultKind::Target, changed(&lines, host));
    }
    if find("revoked").is_some_and(|line| line.contains("key")) {
        let message =
            format!("the host key of {host} is marked as revoked in the known hosts: it is not to be used");
        return fault(CALL, FaultKind::Target, message);
    }
    if find("Host key verification failed").is_some() || find("host key is known for").is_some() {
        return fault(
            CALL,
            FaultKind::Target,
            format!(
                "the host key of {host} is not known, and is never accepted here: compare its fingerprint with what \
                 the host itself says (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its console), then \
                 accept it yourself: `{typed}`"
            ),
        );
    }
    if let Some(line) = find("Permission denied").or_else(|| find("Too many authentication failures")) {
        let missing = lines
            .iter()
            .find(|line| line.contains("not accessible") || line.contains("UNPROTECTED"))
            .map(|line| format!("{}; ", line.trim_start_matches("Warning: ").trim_end_matches('.')))
            .unwrap_or_default();
        let said = line.trim_end_matches('.');
        return fault(
            CALL,
            FaultKind::Denied,
            format!(
                "{host} does not let us in: {missing}{said}; see which keys are offered: `{typed} -v true`"
            ),
        );
    }
    if let Some(line) = find("Bad configuration option")
        .or_else(|| find("Can't open user config file"))
        .or_else(|| find("Bad owner or permissions on"))
        .or_else(|| find("terminating,"))
    {
        return fault(CALL, FaultKind::Invalid, format!("ssh does not take its configuration: {line}"));
    }
    if let Some(line) = find("account is currently not available").or_else(|| find("account has expired")) {
        let said = line.trim_end_matches('.');
        return fault(
            CALL,
            FaultKind::Denied,
            format!("{host} lets nobody run anything as this user: {said}; see `{typed} true`"),
        );
    }
    // With jump hosts, the first failure is the cause and the last one its consequence.
    let cause = ["connect to host", "Could not resolve", "open failed"].into_iter().find_map(find);
    let said = cause.or_else(|| {
        lines.iter().rev().find(|line| !line.starts_with("Connection closed by UNKNOWN")).copied()
    });
    let said = said.map_or("ssh ended without a word", |line| line.trim_end_matches('.'));
    let said = said.trim_start_matches("ssh: ");
    fault(CALL, FaultKind::NotSent, format!("{host} cannot be reached: {said}; try `{typed} true`"))
}

fn changed(lines: &[&str], host: &str) -> String {
    let after = |mark: &str| {
        lines.iter().find_map(|line| line.find(mark).map(|at| line[at + mark.len()..].trim().to_owned()))
    };
    let shown =
        lines.iter().find(|line| line.starts_with("SHA256:")).map_or("", |line| line.trim_end_matches('.'));
    let shown = if shown.is_empty() { String::new() } else { format!(" ({shown})") };
    // `Offending ED25519 key in /home/alice/.ssh/known_hosts:3`
    let place = lines
        .iter()
        .find(|line| line.starts_with("Offending"))
        .and_then(|line| line.split_once(" in "))
        .map_or_else(|| after("Add correct host key in ").unwrap_or_default(), |(_, place)| place.to_owned());
    let remove = lines.iter().find(|line| line.starts_with("ssh-keygen -f")).copied();
    let remove = remove.map(|command| format!(": `{command}`")).unwrap_or_default();
    format!(
        "the host key of {host}{shown} is not the one in {place}: this is another host, one that was installed \
         anew, or somebody in between; nothing is done on it. Compare the fingerprint on the host's console first; \
         only if it is right, delete the old key{remove} and accept the new one yourself"
    )
}

#[cfg(test)]
mod tests {
    use runbook_engine::connection::Connection;

    use super::*;

    fn access() -> Access {
        let connection =
            Connection { port: Some(22022), user: Some("ops".to_owned()), ..Connection::default() };
        Access { address: "web1".to_owned(), connection }
    }

    /// What OpenSSH 9.2p1 writes with `LogLevel=ERROR`.
    #[test]
    fn each_refusal_of_ssh_has_its_kind() {
        for (log, kind, part) in [
            (
                "ssh: connect to host 127.0.0.1 port 22024: Connection refused\r\n",
                FaultKind::NotSent,
                "port 22024: Connection refused; try `ssh -p 22022 -l ops web1 true`",
            ),
            (
                "ssh: Could not resolve hostname nope.invalid: Name or service not known\n",
                FaultKind::NotSent,
                "Could not resolve hostname",
            ),
            (
                "Connection timed out during banner exchange\nConnection to 10.0.0.9 port 22 timed out\n",
                FaultKind::NotSent,
                "timed out",
            ),
            (
                "ops@web1: Permission denied (publickey).\n",
                FaultKind::Denied,
                "web1 does not let us in: ops@web1: Permission denied (publickey); see which keys",
            ),
            (
                "Warning: Identity file nope not accessible: No such file or directory.\nops@web1: Permission denied (publickey).\n",
                FaultKind::Denied,
                "Identity file nope not accessible: No such file or directory; ops@web1",
            ),
            (
                "No ED25519 host key is known for [web1]:22022 and you have requested strict checking.\nHost key verification failed.\n",
                FaultKind::Target,
                "is not known, and is never accepted here",
            ),
            (
                "Can't open user config file /tmp/none: No such file or directory\n",
                FaultKind::Invalid,
                "/tmp/none",
            ),
            (
                "ssh: connect to host 127.0.0.1 port 22024: Connection refused\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n",
                FaultKind::NotSent,
                "port 22024: Connection refused",
            ),
            ("This account is currently not available.\n", FaultKind::Denied, "lets nobody run anything"),
            ("", FaultKind::NotSent, "without a word"),
        ] {
            let fault = read(log, &access());
            assert_eq!(fault.kind, kind, "{log}");
            assert!(fault.message.contains(part), "{}", fault.message);
        }
    }

    #[test]
    fn a_changed_host_key_names_the_line_that_it_contradicts() {
        let log = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\
            The fingerprint for the ED25519 key sent by the remote host is\n\
            SHA256:DWm3Gig/neNvIMyeHacgOfdXA+qTCFcZsxZcC28e374.\n\
            Add correct host key in /home/ops/.ssh/known_hosts to get rid of this message.\n\
            Offending ED25519 key in /home/ops/.ssh/known_hosts:7\n  remove with:\n  \
            ssh-keygen -f \"/home/ops/.ssh/known_hosts\" -R \"[web1]:22022\"\n\
            Host key for [web1]:22022 has changed and you have requested strict checking.\n\
            Host key verification failed.\n";
        let fault = read(log, &access());
        assert_eq!(fault.kind, FaultKind::Target);
        for part in [
            "(SHA256:DWm3Gig/neNvIMyeHacgOfdXA+qTCFcZsxZcC28e374) is not the one in /home/ops/.ssh/known_hosts:7",
            "`ssh-keygen -f \"/home/ops/.ssh/known_hosts\" -R \"[web1]:22022\"`",
        ] {
            assert!(fault.message.contains(part), "{}", fault.message);
        }
    }
}
