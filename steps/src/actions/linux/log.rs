//! What jobs print, in the sizes that a journal keeps.

use std::collections::VecDeque;

use super::job::{End, Kept};

/// As much of the beginning of an output as is kept: what was asked for.
const BEGINNING: usize = 2_000;

/// As much of its end: package managers say last what went wrong.
const END: usize = 6_000;

/// Stands for what was left out.
const LEFT_OUT: &str = "[...]";

/// So many lines are kept of a job that leaves nothing but what was heard of it.
const LINES: usize = 50;

/// None that is longer than this: half of it might end in the middle of a secret, which nothing would recognise then.
const LINE: usize = 500;

/// The log of a job that printed this.
pub(super) fn of(stdout: &str, stderr: &str) -> String {
    let mut log = bounded(stdout.trim());
    let stderr = bounded(stderr.trim());
    if !log.is_empty() && !stderr.is_empty() {
        log.push('\n');
    }
    log + &stderr
}

/// A text, or its beginning and its end: whole lines, since a line that is cut may end in the middle of a secret, which
/// nothing would recognise then.
fn bounded(text: &str) -> String {
    if text.chars().count() <= BEGINNING + END {
        return text.to_owned();
    }
    let place = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    let beginning = text[..place(BEGINNING)].rsplit_once('\n').map_or("", |(whole, _)| whole);
    let end = text[place(text.chars().count() - END)..].split_once('\n').map_or("", |(_, whole)| whole);
    format!("{beginning}\n{LEFT_OUT}\n{end}").trim().to_owned()
}

/// The lines that were heard of a job while it ran.
#[derive(Debug, Default)]
pub(super) struct Heard {
    lines: VecDeque<String>,
    last: String,
}

impl Heard {
    /// Whether this line was not heard just before.
    pub fn is_new(&mut self, line: &str) -> bool {
        if self.last == line {
            return false;
        }
        line.clone_into(&mut self.last);
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        let short = line.chars().count() <= LINE;
        self.lines.push_back(if short { line } else { LEFT_OUT }.to_owned());
        true
    }

    /// A job that left nothing else.
    pub fn kept(self, end: End) -> Kept {
        Kept { end, log: Vec::from(self.lines).join("\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::{END, Heard, LEFT_OUT, of};

    #[test]
    fn a_short_output_is_kept_as_it_is() {
        assert_eq!(of("a\nb\n", "E: no\n"), "a\nb\nE: no");
        assert_eq!((of("", "E: no"), of("a", ""), of("", "")), ("E: no".into(), "a".into(), String::new()));
    }

    #[test]
    fn of_a_long_one_the_beginning_and_the_end_are_kept_in_whole_lines() {
        let lines: Vec<_> = (0..5_000).map(|n| format!("Unpacking package-{n}")).collect();
        let log = of(&lines.join("\n"), "");
        assert!(log.starts_with("Unpacking package-0\n") && log.ends_with("\nUnpacking package-4999"));
        assert!(log.contains(&format!("\n{LEFT_OUT}\n")) && log.chars().count() < 8_100);
        assert!(log.lines().all(|line| line == LEFT_OUT || lines.iter().any(|whole| whole == line)));
    }

    #[test]
    fn nothing_is_kept_of_a_line_without_end() {
        assert_eq!(of(&"x".repeat(END * 10), ""), LEFT_OUT);
    }

    #[test]
    fn nothing_is_kept_of_a_line_that_is_too_long_to_keep() {
        let mut heard = Heard::default();
        let (long, other) = (format!("{}s3cret", "x".repeat(497)), "y".repeat(501));
        assert!(heard.is_new("one") && heard.is_new(&long) && !heard.is_new(&long) && heard.is_new(&other));
        assert_eq!(heard.kept(super::End::Stopped).log, format!("one\n{LEFT_OUT}\n{LEFT_OUT}"));
    }

    #[test]
    fn what_was_heard_is_bounded() {
        let mut heard = Heard::default();
        assert!(heard.is_new("one") && !heard.is_new("one"));
        (0..100).for_each(|n| assert!(heard.is_new(&format!("line {n}"))));
        let log = heard.kept(super::End::Stopped).log;
        assert_eq!((log.lines().next(), log.lines().count()), (Some("line 50"), 50));
    }
}
