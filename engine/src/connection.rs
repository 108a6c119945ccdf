//! How a host is reached.

use serde::{Deserialize, Serialize};

/// How a host is reached over SSH, as far as it is not what the user's own ssh configuration says. It never holds a
/// secret: a key is named by its file, a password by the name of the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Connection {
    /// The TCP port; absent: what ssh takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The user to log in as; absent: what ssh takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The path of a private key file, never its content; absent: the agent's and the usual keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// An ssh_config file in place of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The hosts to go through, in order, as `ProxyJump` has them: `user@host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jump: Vec<String>,
    /// How to become root; absent: not at all where the user is root, else `passwordless`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo: Option<Sudo>,
    /// The name of the secret that holds the password for sudo, as `secret('NAME')` knows it; never the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_password: Option<String>,
}

/// How to become root on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sudo {
    /// Not at all: the user is root, or needs no rights.
    None,
    /// `sudo -n`, which asks nobody.
    Passwordless,
    /// sudo with the password that [`Connection::sudo_password`] names.
    Password,
}

impl Sudo {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Passwordless, Self::Password];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Passwordless => "passwordless",
            Self::Password => "password",
        }
    }
}

impl Connection {
    /// The keys that it is written with.
    pub const KEYS: [&'static str; 7] =
        ["port", "user", "identity", "config", "jump", "sudo", "sudo_password"];

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This one, and where it says nothing, what the one farther away says (of a group, of all hosts). How to become
    /// root goes with its password: a nearer `sudo` leaves a farther password behind.
    #[must_use]
    pub fn or(self, farther: &Self) -> Self {
        let (sudo, sudo_password) = match (self.sudo, self.sudo_password) {
            (None, None) => (farther.sudo, farther.sudo_password.clone()),
            (None, own @ Some(_)) => (Some(Sudo::Password), own),
            (Some(Sudo::Password), None) => (Some(Sudo::Password), farther.sudo_password.clone()),
            own => own,
        };
        Self {
            port: self.port.or(farther.port),
            user: self.user.or_else(|| farther.user.clone()),
            identity: self.identity.or_else(|| farther.identity.clone()),
            config: self.config.or_else(|| farther.config.clone()),
            jump: if self.jump.is_empty() { farther.jump.clone() } else { self.jump },
            sudo,
            sudo_password,
        }
    }

    /// Complete in itself: a password for sudo without `sudo` means `sudo: password`.
    #[must_use]
    pub fn settled(self) -> Self {
        self.or(&Self::default())
    }

    /// What is wrong with it, one lower-case phrase.
    pub fn defect(&self) -> Option<String> {
        if self.port == Some(0) {
            return Some("`port` must be a number from 1 to 65535".to_owned());
        }
        match (self.sudo, &self.sudo_password) {
            (Some(Sudo::Password), None) => {
                return Some("`sudo: password` goes with `sudo_password`, the name of a secret".to_owned());
            }
            (Some(sudo @ (Sudo::None | Sudo::Passwordless)), Some(_)) => {
                return Some(format!("`sudo_password` does not go with `sudo: {}`", sudo.as_str()));
            }
            _ => {}
        }
        if self.sudo_password.as_deref().is_some_and(|name| !is_secret_name(name)) {
            // It may be the password itself: it is not repeated.
            return Some(
                "`sudo_password` must be the name of a secret (letters, digits, `_`, `-`, `.`), not a password"
                    .to_owned(),
            );
        }
        let texts =
            [("user", &self.user, false), ("identity", &self.identity, true), ("config", &self.config, true)];
        texts
            .into_iter()
            .find_map(|(key, text, path)| defect(key, text.as_deref()?, path))
            .or_else(|| self.jump.iter().find_map(|jump| jump_defect(jump)))
    }
}

/// Names of secrets are names of files and ends of names of environment variables.
fn is_secret_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// What ssh would take for an option or for two words. Paths may hold blanks.
pub(crate) fn defect(key: &str, text: &str, path: bool) -> Option<String> {
    let shown = text.escape_debug();
    if text.is_empty() {
        Some(format!("`{key}` is empty"))
    } else if text.starts_with('-') {
        Some(format!("`{key}` is `{shown}`: ssh would take it for an option"))
    } else if text.chars().any(|c| c.is_control() || (!path && c.is_whitespace())) {
        Some(format!("`{key}` is `{shown}`: it must be one word"))
    } else {
        None
    }
}

/// `ProxyJump` is a list with commas: each of ours is one of its entries.
fn jump_defect(jump: &str) -> Option<String> {
    defect("jump", jump, false).or_else(|| {
        jump.contains(',').then(|| format!("`jump` holds `{jump}`: write each host as an entry of its own"))
    })
}

#[cfg(test)]
mod tests {
    use super::{Connection, Sudo};

    fn user(name: &str) -> Connection {
        Connection { user: Some(name.into()), ..Connection::default() }
    }

    #[test]
    fn nearer_wins_value_by_value() {
        let far = Connection { port: Some(2222), jump: vec!["bastion".into()], ..user("far") };
        let both = user("near").or(&far);
        assert_eq!((both.user.as_deref(), both.port), (Some("near"), Some(2222)));
        assert_eq!(both.jump, ["bastion"]);
    }

    #[test]
    fn how_to_become_root_goes_with_its_password() {
        let far = Connection { sudo_password: Some("FAR".into()), ..Connection::default() }.settled();
        assert_eq!(far.sudo, Some(Sudo::Password));
        let plain = Connection { sudo: Some(Sudo::Passwordless), ..Connection::default() }.or(&far);
        assert_eq!((plain.sudo, plain.sudo_password), (Some(Sudo::Passwordless), None));
        let inherited = Connection::default().or(&far);
        assert_eq!(inherited.sudo_password.as_deref(), Some("FAR"));
    }

    #[test]
    fn what_ssh_would_take_for_something_else_is_refused() {
        let jump = |text: &str| Connection { jump: vec![text.into()], ..Connection::default() };
        for wrong in [user("-oProxyCommand=reboot"), user("a b"), user(""), jump("-x"), jump("a,b")] {
            assert!(wrong.defect().is_some(), "{wrong:?}");
        }
        assert_eq!(jump("me@bastion.example:2222").defect(), None);
    }

    #[test]
    fn a_password_is_not_repeated() {
        let wrong = Connection { sudo_password: Some("hunter2!".into()), ..Connection::default() }.settled();
        let defect = wrong.defect().unwrap_or_default();
        assert!(defect.contains("name of a secret") && !defect.contains("hunter2"), "{defect}");
    }

    #[test]
    fn nothing_said_is_nothing_written() {
        assert_eq!(serde_json::to_string(&Connection::default()).unwrap_or_default(), "{}");
    }
}
