//! What a script prints has parts, each after a line of its own: `#runbook NAME`.

use std::collections::BTreeMap;

/// The parts of a print, by name. What stands before the first has the name ``; a part that comes twice is put together.
pub(crate) struct Sections<'a> {
    parts: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Sections<'a> {
    pub(crate) fn of(printed: &'a str) -> Self {
        let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut name = "";
        for line in printed.lines() {
            if let Some(next) = line.strip_prefix("#runbook ") {
                name = next.trim_end();
                parts.entry(name).or_default();
            } else {
                parts.entry(name).or_default().push(line);
            }
        }
        Self { parts }
    }

    /// The script came to this part.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// Its lines that are not empty.
    pub(crate) fn lines(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'_, 'a> {
        self.parts.get(name).into_iter().flatten().copied().filter(|line| !line.trim().is_empty())
    }

    /// Its text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.parts.get(name).map(|lines| lines.join("\n")).unwrap_or_default()
    }

    /// Its first line that is not empty, without the space around it; empty where there is none.
    pub(crate) fn word(&self, name: &str) -> &'a str {
        self.lines(name).next().unwrap_or_default().trim()
    }
}
