//! Expressions in scripts: they must not become code.

use super::Check;
use crate::{
    diagnostic::{Diagnostic, Place},
    expression::Uses,
};

impl Check<'_> {
    /// An expression in a script: quoted by a filter, and by nothing else.
    pub(super) fn in_script(&mut self, text: &str, before: &str, place: Place) {
        let Ok(uses) = Uses::of(text) else { return };
        if uses.constant {
            return;
        }
        if !matches!(uses.last_filter.as_deref(), Some("sh" | "ps")) {
            let inner = text.trim();
            self.report(
                Diagnostic::error("bare-expression", "an expression in a script must be quoted for its shell", place).hint(
                    format!("write {{{{ {inner} | sh }}}} (`ps` for PowerShell), or hand it over in an environment variable"),
                ),
            );
        } else if let Some(quote) = open_quote(before) {
            let message = format!("the expression brings its own quotes, but stands inside {quote}");
            self.report(
                Diagnostic::error("quoted-twice", message, place)
                    .hint(format!("end the {quote} before it: the shell joins what stands side by side")),
            );
        }
    }
}

/// The quotes that are open at the end of a piece of script. Only its last line is looked at: an apostrophe in a
/// comment or a here-document does not reach further.
fn open_quote(before: &str) -> Option<&'static str> {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let (mut open, mut escaped, mut blank) = (None, false, true);
    for c in line.chars() {
        match (open, c) {
            _ if escaped => escaped = false,
            (Some('"') | None, '\\') => escaped = true,
            (Some(quote), _) if c == quote => open = None,
            (None, '"' | '\'') => open = Some(c),
            (None, '#') if blank => return None,
            _ => {}
        }
        blank = c.is_whitespace();
    }
    open.map(|quote| if quote == '"' { "double quotes" } else { "single quotes" })
}
