//! Colours, or none.

/// Paints text when colours are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What matters.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What went wrong.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What went well.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What wants attention.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What goes on.
    pub fn blue(self, text: &str) -> String {
        self.with("36", text)
    }

    /// A status or outcome word in the colour of what it means.
    pub fn status(self, word: &str) -> String {
        match word {
            "succeeded" => self.green(word),
            "failed" | "stuck" | "restore_failed" | "unreachable" | "timed_out" | "unknown" => self.red(word),
            "contained" | "restored" | "cancelled" | "waiting" | "paused" | "interrupted" | "excluded" => {
                self.yellow(word)
            }
            "running" | "in_progress" => self.blue(word),
            "pending" | "skipped" | "not_started" => self.dim(word),
            _ => word.to_owned(),
        }
    }
}
