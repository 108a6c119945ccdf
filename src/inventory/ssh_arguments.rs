//! Arguments for ssh, as inventories of Ansible hold them: what can be said by a `connection`.

/// What of them was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Understood {
    /// The hosts to go through.
    pub jump: Vec<String>,
    /// An ssh_config file.
    pub config: Option<String>,
    /// A port.
    pub port: Option<u16>,
    /// They switch off the check of host keys.
    pub unchecked_keys: bool,
    /// There is more that no `connection` can say.
    pub others: bool,
    /// Some of that says which host is reached: without it, it would be another one.
    pub elsewhere: bool,
}

/// Options that change nothing that matters here: how connections are shared and kept alive, and how much is said.
const HARMLESS: [&str; 10] = [
    "controlmaster",
    "controlpersist",
    "controlpath",
    "serveraliveinterval",
    "serveralivecountmax",
    "connecttimeout",
    "loglevel",
    "batchmode",
    "tcpkeepalive",
    "preferredauthentications",
];

/// Reads them.
pub(super) fn read(arguments: &str) -> Understood {
    let mut understood = Understood::default();
    let Some(words) = words(arguments) else {
        return Understood { others: true, elsewhere: true, ..understood };
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix('-').and_then(|rest| rest.chars().next()) else {
            // The name of a host.
            understood.lose_the_way();
            continue;
        };
        match flag {
            'C' | 'q' | 'v' | 'T' | 'x' if word.len() == 2 => {}
            'o' | 'J' | 'F' | 'p' => {
                let value = if word.len() > 2 { Some(word[2..].to_owned()) } else { words.next() };
                match value {
                    Some(value) => understood.take(flag, &value),
                    None => understood.lose_the_way(),
                }
            }
            // These have a value, which is no host's name.
            'b' | 'B' | 'c' | 'D' | 'e' | 'E' | 'i' | 'I' | 'l' | 'L' | 'm' | 'O' | 'P' | 'Q' | 'R' | 'S' => {
                understood.others = true;
                if word.len() == 2 && words.next().is_none() {
                    understood.lose_the_way();
                }
            }
            'W' | 'w' => understood.lose_the_way(),
            _ => understood.others = true,
        }
    }
    understood
}

impl Understood {
    fn lose_the_way(&mut self) {
        (self.others, self.elsewhere) = (true, true);
    }

    fn port(&mut self, value: &str) {
        match value.parse() {
            Ok(port) => self.port = Some(port),
            Err(_) => self.lose_the_way(),
        }
    }

    fn take(&mut self, flag: char, value: &str) {
        match flag {
            'J' => self.jump(value),
            'F' => self.config = Some(value.to_owned()),
            'p' => self.port(value),
            _ => {
                let (name, value) = value.split_once(['=', ' ']).unwrap_or((value, ""));
                self.option(&name.trim().to_lowercase(), value.trim());
            }
        }
    }

    fn option(&mut self, name: &str, value: &str) {
        match name {
            "proxyjump" => self.jump(value),
            "proxycommand" => match through(value) {
                Some(host) => self.jump(&host),
                None if value == "none" => {}
                None => self.lose_the_way(),
            },
            "hostname" => self.lose_the_way(),
            "port" => self.port(value),
            "stricthostkeychecking" => self.unchecked_keys |= matches!(value, "no" | "off" | "accept-new"),
            "userknownhostsfile" if value == "/dev/null" => self.unchecked_keys = true,
            name if HARMLESS.contains(&name) => {}
            _ => self.others = true,
        }
    }

    fn jump(&mut self, value: &str) {
        if !value.is_empty() && value != "none" {
            self.jump = value.split(',').map(|host| host.trim().to_owned()).collect();
        }
    }
}

/// The host that `ssh -W %h:%p HOST` goes through: what was written before there was `ProxyJump`.
fn through(command: &str) -> Option<String> {
    let words = words(command)?;
    let mut words = words.into_iter().skip_while(|word| word == "exec");
    if words.next()?.rsplit('/').next()? != "ssh" {
        return None;
    }
    let (mut host, mut port, mut forwards) = (None, None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-q" => {}
            "-W" => forwards = words.next()? == "%h:%p",
            "-W%h:%p" => forwards = true,
            "-p" => port = Some(words.next()?),
            word if !word.starts_with('-') && host.is_none() => host = Some(word.to_owned()),
            _ => return None,
        }
    }
    let host = host.filter(|_| forwards)?;
    Some(port.map_or(host.clone(), |port| format!("{host}:{port}")))
}

/// The words of a line, as a shell without expansions has them; none: a quote is not closed, or something would be
/// expanded.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (Some('"') | None, '$' | '`') => return None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return None;
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::{Understood, read};

    fn jump(hosts: &[&str]) -> Understood {
        Understood { jump: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Understood::default() }
    }

    #[test]
    fn jump_hosts_are_found_however_they_are_written() {
        for arguments in [
            "-J ops@bastion",
            "-Jops@bastion -o ControlMaster=auto -o ControlPersist=60s",
            "-o ProxyJump=ops@bastion",
            "-oProxyJump=\"ops@bastion\" -C",
            "-o 'ProxyJump ops@bastion'",
            "-o ProxyCommand=\"ssh -W %h:%p -q ops@bastion\"",
        ] {
            assert_eq!(read(arguments), jump(&["ops@bastion"]), "{arguments}");
        }
        assert_eq!(read("-J a,b:2222"), jump(&["a", "b:2222"]));
        assert_eq!(read("-o ProxyCommand='ssh -p 2222 -W %h:%p bastion'"), jump(&["bastion:2222"]));
    }

    #[test]
    fn what_is_not_understood_is_said_and_not_guessed() {
        for arguments in
            ["-o ProxyCommand=\"nc -X 5 %h %p\"", "-i key", "-o 'ProxyJump", "-o Ciphers=x", "-J", "word"]
        {
            let read = read(arguments);
            assert!(read.others && read.jump.is_empty(), "{arguments}: {read:?}");
            let harmless = ["-i key", "-o Ciphers=x"].contains(&arguments);
            assert_eq!(read.elsewhere, !harmless, "{arguments}");
        }
        for arguments in ["-p {{ x }}", "-o Port=many", "-o HostName=other", "-W a:22", "-l ops web2"] {
            assert!(read(arguments).elsewhere, "{arguments}");
        }
        assert!(!read("-o ProxyCommand=none -l ops -p 22").elsewhere);
        assert!(read("-o StrictHostKeyChecking=no").unchecked_keys);
        assert!(read("-o ProxyCommand=\"sh -c $X\"").others);
    }
}
