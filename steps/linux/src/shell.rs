//! Scripts for POSIX sh: one way to quote, one head that all of them have.

/// What every script begins with: locale, PATH with the sbin folders, and a few functions.
pub const HEAD: &str = include_str!("shell/head.sh");

/// A word that sh takes as it is, whatever it holds. A NUL byte, which no shell can hold, is left out.
pub fn quote(word: &str) -> String {
    let word = word.replace('\0', "");
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A script that is put together: the head, what is given to it, then a body that was written as a file of its own.
///
/// Values reach the body as shell variables and as positional parameters, never as part of its text.
#[derive(Clone, Debug)]
pub struct Script {
    text: String,
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// A script that does nothing yet.
    pub fn new() -> Self {
        Self { text: HEAD.to_owned() }
    }

    /// Sets a variable of the script.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.text += &format!("{name}={}\n", quote(value.as_ref()));
        self
    }

    /// Sets a variable to lines of words: what a body reads with `while read`.
    #[must_use]
    pub fn lines<L: AsRef<str>>(self, name: &str, lines: impl IntoIterator<Item = L>) -> Self {
        let lines: Vec<String> =
            lines.into_iter().map(|line| line.as_ref().replace(['\n', '\r'], " ")).collect();
        self.set(name, lines.join("\n"))
    }

    /// Appends text of ours, and gives the whole.
    #[must_use]
    pub fn body(mut self, text: &str) -> String {
        self.text += text;
        self.text
    }

    /// Appends text of ours, to which more will be appended.
    #[must_use]
    pub fn with(mut self, text: &str) -> Self {
        self.text += text;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_of_sh() {
        for (word, quoted) in [
            ("nginx=1.22.1-9+deb12u1", "nginx=1.22.1-9+deb12u1"),
            ("1:2.3~rc1", "'1:2.3~rc1'"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("a\nb", "'a\nb'"),
            ("a\0b", "ab"),
        ] {
            assert_eq!(quote(word), quoted, "{word:?}");
        }
    }

    #[test]
    fn sh_gives_back_what_was_quoted() {
        for word in ["'", "''", "\\", "a b", "*", "~root", "`id`", "$HOME", "\"", "!x", "é", "-n", "a\n\nb"]
        {
            let script = Script::new().set("word", word).body("printf '%s' \"$word\"\n");
            let out = std::process::Command::new("sh").arg("-c").arg(script).output().expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&out.stdout), word);
        }
    }
}
