//! Frames, with what they called.

use std::collections::BTreeMap;

/// A frame of our own code, or the innermost one of somebody else's.
#[derive(Debug, Default)]
pub struct Frame {
    /// How many samples it is in.
    pub samples: u64,
    /// What it called.
    pub inner: BTreeMap<String, Frame>,
}

impl Frame {
    /// A sample: its symbols, innermost first. Of the runtime and the standard library only what was at work is kept.
    pub fn take_in(&mut self, symbols: &[&str]) {
        let Some(innermost) = symbols.first() else { return };
        self.samples += 1;
        let mut at = self;
        let mut last = String::new();
        for symbol in symbols.iter().skip(1).rev().filter(|symbol| is_ours(symbol)) {
            let name = plain(symbol);
            // A future is polled through several functions of one name.
            if name != last {
                at = at.call(&name);
                last = name;
            }
        }
        let name = plain(innermost);
        if name != last && name != "[unknown]" {
            at.call(&name);
        }
    }

    fn call(&mut self, name: &str) -> &mut Self {
        let frame = self.inner.entry(name.to_owned()).or_default();
        frame.samples += 1;
        frame
    }

    /// The frames of our own that the most samples are in, with their share in percent.
    pub fn largest(&self) -> Vec<(String, f64)> {
        let mut all = BTreeMap::new();
        self.gather(&mut Vec::new(), &mut all);
        let mut all: Vec<(String, u64)> = all.into_iter().collect();
        all.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
        let share = |samples: u64| samples as f64 * 100.0 / self.samples.max(1) as f64;
        all.into_iter().take(30).map(|(name, samples)| (name, share(samples))).collect()
    }

    fn gather<'a>(&'a self, above: &mut Vec<&'a str>, all: &mut BTreeMap<String, u64>) {
        for (name, frame) in &self.inner {
            if name.starts_with("runbook") && !above.contains(&name.as_str()) {
                *all.entry(name.clone()).or_default() += frame.samples;
            }
            above.push(name);
            frame.gather(above, all);
            above.pop();
        }
    }
}

fn is_ours(symbol: &str) -> bool {
    let name = plain(symbol);
    name.starts_with("runbook")
}

/// A symbol without what it is generic over, and without its closures.
fn plain(symbol: &str) -> String {
    let symbol = symbol.replace("::{{closure}}", "");
    let symbol = match symbol.strip_prefix('<').and_then(|rest| rest.split_once(" as ")) {
        // `<Type as Trait>::method` is the type's.
        Some((kind, rest)) => format!("{kind}{}", behind_bracket(rest)),
        None => symbol,
    };
    let (mut text, mut depth) = (String::new(), 0_u32);
    for c in symbol.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            c if depth == 0 => text.push(c),
            _ => {}
        }
    }
    let text = text.replace("::::", "::");
    match text.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => text,
    }
}

/// What stands behind the bracket that closes.
fn behind_bracket(text: &str) -> &str {
    let mut depth = 1_i32;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::{Frame, plain};

    #[test]
    fn a_symbol_is_its_path() {
        assert_eq!(
            plain(
                "runbook::coordinator::advance::<impl runbook::coordinator::Coordinator>::advance::{{closure}}"
            ),
            "runbook::coordinator::advance::advance"
        );
        assert_eq!(
            plain("<runbook_state::journal::Journal<D> as runbook_state::store::RunStore>::append"),
            "runbook_state::journal::Journal::append"
        );
    }

    #[test]
    fn what_runs_in_between_is_left_out() {
        let mut root = Frame::default();
        root.take_in(&["malloc", "core::ops::call", "runbook::b", "tokio::poll", "runbook::a"]);
        root.take_in(&["runbook::a", "main"]);
        let a = &root.inner["runbook::a"];
        assert_eq!((root.samples, a.samples), (2, 2));
        assert_eq!(a.inner["runbook::b"].inner["malloc"].samples, 1);
        assert_eq!(root.largest()[0], ("runbook::a".to_owned(), 100.0));
    }
}
