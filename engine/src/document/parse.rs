//! Parser events to the tree, within limits.

use std::{borrow::Cow, collections::BTreeMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{
    text::Lines,
    tree::{Data, Entry, Node, typed},
};
use crate::diagnostic::{Diagnostic, Place};

/// How deep values may stand inside each other.
const DEEPEST: usize = 64;
/// How many values a file may hold.
const MOST_VALUES: usize = 250_000;
/// How many values may come from aliases.
const MOST_ALIASED: usize = 10_000;

/// Reads one file. `None`: it cannot be read on, and a diagnostic says why.
pub(super) fn parse(source: usize, lines: &Lines<'_>, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut builder = Builder {
        source,
        lines,
        problems,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        remembered: 0,
        values: 0,
        aliased: 0,
        root: None,
    };
    match builder.read() {
        Ok(()) => {
            let root = builder.root.take();
            if root.as_ref().is_none_or(Node::is_null) {
                problems.push(
                    Diagnostic::error("empty-document", "the file holds no runbook", Place::whole(source))
                        .hint("`runbook init` writes one to begin with"),
                );
                return None;
            }
            root
        }
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// A list or mapping that is not complete yet.
struct Open {
    place: Place,
    anchor: usize,
    flow: bool,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<Key>,
        seen: BTreeMap<String, usize>,
        /// What a merge key brought; it yields to what is written.
        merged: Vec<Entry>,
    },
}

/// A key whose value comes next.
enum Key {
    Usable(String, Place),
    /// Reported already; its value is dropped.
    Unusable,
    /// Reported already; what it would bring is taken, so that nothing is missing because of it.
    Merge,
}

struct Builder<'a, 't> {
    source: usize,
    lines: &'a Lines<'t>,
    problems: &'a mut Vec<Diagnostic>,
    open: Vec<Open>,
    /// What aliases may stand for; absent: too large to stand for anything.
    anchors: BTreeMap<usize, Option<Node>>,
    remembered: usize,
    values: usize,
    aliased: usize,
    root: Option<Node>,
}

type Stop = Box<Diagnostic>;

impl Builder<'_, '_> {
    fn read(&mut self) -> Result<(), Stop> {
        let mut documents = 0;
        for event in Parser::new_from_str(self.lines.text()) {
            let (event, span) = event.map_err(|error| Box::new(self.syntax(&error)))?;
            match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let place = self.place(span);
                        return Err(Diagnostic::error(
                            "several-documents",
                            "a second document begins here",
                            place,
                        )
                        .hint("a file holds one runbook: take out the `---`, or split the file")
                        .into());
                    }
                }
                Event::Alias(anchor) => self.alias(anchor, span)?,
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(span)?;
                    let plain = style == ScalarStyle::Plain && !self.is_text(tag.as_ref(), span);
                    let node = Node {
                        place: self.place(span),
                        end: (span.end.line(), span.end.col() + 1),
                        data: Data::Scalar { text: text.into_owned(), plain },
                    };
                    self.remember(anchor, &node);
                    self.put(node);
                }
                Event::SequenceStart(anchor, tag) => {
                    self.is_text(tag.as_ref(), span);
                    self.begin(span, anchor, Kind::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.is_text(tag.as_ref(), span);
                    let kind = Kind::Map {
                        entries: Vec::new(),
                        key: None,
                        seen: BTreeMap::new(),
                        merged: Vec::new(),
                    };
                    self.begin(span, anchor, kind)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(span),
            }
        }
        Ok(())
    }

    fn count(&mut self, span: Span) -> Result<(), Stop> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Diagnostic::error(
                "too-many-values",
                format!("the file holds more than {MOST_VALUES} values"),
                self.place(span),
            )
            .hint("split it with `run: ./file.yaml`")
            .into());
        }
        Ok(())
    }

    fn too_deep(&self, place: Place) -> Stop {
        Diagnostic::error(
            "too-deep",
            format!("values stand more than {DEEPEST} deep inside each other"),
            place,
        )
        .into()
    }

    fn begin(&mut self, span: Span, anchor: usize, kind: Kind) -> Result<(), Stop> {
        self.count(span)?;
        if self.open.len() >= DEEPEST {
            return Err(self.too_deep(self.place(span)));
        }
        let place = self.place(span);
        let offset = self.lines.offset(place.line, place.column);
        let flow = matches!(kind, Kind::Map { .. }) && self.lines.text()[offset..].starts_with('{')
            || matches!(kind, Kind::List(_)) && self.lines.text()[offset..].starts_with('[');
        self.open.push(Open { place, anchor, flow, kind });
        Ok(())
    }

    fn end(&mut self, span: Span) {
        let Some(open) = self.open.pop() else { return };
        let mut place = open.place;
        if open.flow && span.end.line() == place.line {
            place.width = (span.end.col() + 1).saturating_sub(place.column).max(1);
        }
        let data = match open.kind {
            Kind::List(items) => Data::List(items),
            Kind::Map { mut entries, seen, merged, .. } => {
                entries.extend(merged.into_iter().filter(|entry| !seen.contains_key(&entry.key)));
                if let (false, Some(first)) = (open.flow, entries.first()) {
                    place = first.place;
                }
                Data::Map(entries)
            }
        };
        let node = Node { place, end: (span.end.line(), span.end.col() + 1), data };
        self.remember(open.anchor, &node);
        self.put(node);
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        self.count(span)?;
        let place = self.place(span);
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error(
                "recursive-alias",
                "the alias stands inside its own anchor",
                place,
            )
            .into());
        };
        self.aliased += node.as_ref().map_or(MOST_ALIASED + 1, Node::size);
        let Some(node) = node.as_ref().filter(|_| self.aliased <= MOST_ALIASED) else {
            return Err(Diagnostic::error(
                "alias-expansion",
                format!("aliases stand for more than {MOST_ALIASED} values"),
                place,
            )
            .hint("write what repeats as a block")
            .into());
        };
        if self.open.len() + node.depth() > DEEPEST {
            return Err(self.too_deep(place));
        }
        let node = node.clone();
        self.put(node);
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.remembered += node.size();
            self.anchors.insert(anchor, (self.remembered <= MOST_ALIASED).then(|| node.clone()));
        }
    }

    /// Puts a complete value where it belongs.
    fn put(&mut self, mut node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.kind {
            Kind::List(items) => items.push(node),
            Kind::Map { entries, key, seen, merged } => match key.take() {
                Some(Key::Usable(text, place)) => {
                    if node.is_null() {
                        // Nothing was written: the key is what can be shown.
                        node.place = place;
                    }
                    entries.push(Entry { key: text, place, value: node });
                }
                Some(Key::Unusable) => {}
                Some(Key::Merge) => {
                    if let Data::Map(entries) = node.data {
                        *merged = entries;
                    }
                }
                None => {
                    *key = Some(match key_of(&node, seen, self.lines) {
                        Ok(text) => Key::Usable(text, node.place),
                        Err(problem) => {
                            let merge = problem.code == "merge-key";
                            self.problems.push(problem);
                            if merge { Key::Merge } else { Key::Unusable }
                        }
                    });
                }
            },
        }
    }

    /// Whether the tag makes a text of a plain scalar; tags of any other language are refused.
    fn is_text(&mut self, tag: Option<&Cow<'_, Tag>>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        match (tag.handle.as_str(), tag.suffix.as_str()) {
            ("tag:yaml.org,2002:" | "!!", "str") | ("" | "!", "" | "!") => true,
            ("tag:yaml.org,2002:" | "!!", "int" | "float" | "bool" | "null" | "map" | "seq") => false,
            (handle, suffix) => {
                let place = self.place(span);
                let handle = if handle == "tag:yaml.org,2002:" { "!!" } else { handle };
                self.problems.push(
                    Diagnostic::error(
                        "custom-tag",
                        format!("the tag `{handle}{suffix}` means nothing here"),
                        place,
                    )
                    .hint("take it out"),
                );
                false
            }
        }
    }

    fn place(&self, span: Span) -> Place {
        let width = if span.end.line() == span.start.line() {
            // The span of a quoted text takes the blanks behind it along.
            let end = self.lines.offset(span.end.line(), span.end.col() + 1);
            let start = self.lines.offset(span.start.line(), span.start.col() + 1).min(end);
            let blank =
                self.lines.text()[start..end].bytes().rev().take_while(u8::is_ascii_whitespace).count();
            span.end.col().saturating_sub(span.start.col()).saturating_sub(blank)
        } else {
            self.lines.line(span.start.line()).trim_end().chars().count().saturating_sub(span.start.col())
        };
        self.at(&span.start, width)
    }

    fn at(&self, marker: &Marker, width: usize) -> Place {
        self.lines.clamp(Place {
            source: self.source,
            line: marker.line().max(1),
            column: marker.col() + 1,
            width: width.max(1),
        })
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let place = self.at(error.marker(), 1);
        let said = error.info().trim_end_matches('.').to_lowercase();
        let mut indent = self.lines.line(place.line).chars().take_while(|c| c.is_whitespace());
        if let Some(tab) = indent.position(|c| c == '\t') {
            let place = Place { column: tab + 1, width: 1, ..place };
            return Diagnostic::error("tab", "a tab cannot indent YAML", place).hint("indent with spaces");
        }
        if said.contains("recursion limit") {
            return *self.too_deep(place);
        }
        if said.contains("unknown anchor") {
            return Diagnostic::error("unknown-anchor", "the alias has no anchor before it", place);
        }
        let problem = Diagnostic::error("yaml-syntax", said.clone(), place);
        if said.contains("mapping values are not allowed") {
            problem.hint("a text that holds `: ` wants quotes; otherwise check the indentation")
        } else if said.contains("quoted scalar") {
            problem.hint("a quote is opened here and not closed as it should be")
        } else if said.contains("flow") {
            problem.hint("a `[` or `{` is not closed, or a comma is missing")
        } else {
            problem
        }
    }
}

fn key_of(node: &Node, seen: &mut BTreeMap<String, usize>, lines: &Lines<'_>) -> Result<String, Diagnostic> {
    let place = node.place;
    let Data::Scalar { text, plain } = &node.data else {
        let problem = Diagnostic::error("key-not-text", "a key must be a text", place);
        let before = lines.line(place.line).chars().nth(place.column.wrapping_sub(2));
        return Err(if before == Some('{') {
            problem.hint("an expression wants quotes around it: \"{{ … }}\"")
        } else {
            problem
        });
    };
    if *plain && text == "<<" {
        return Err(Diagnostic::error("merge-key", "merge keys (`<<`) are not understood", place)
            .hint("write the keys down, or write steps that repeat as a block"));
    }
    if *plain && !typed(text).is_string() {
        let problem = Diagnostic::error(
            "key-not-text",
            format!("a key must be a text, not {}", node.described()),
            place,
        );
        return Err(if text.is_empty() {
            problem
        } else {
            problem.hint(format!("put it in quotes: \"{text}\""))
        });
    }
    if let Some(line) = seen.get(text) {
        return Err(Diagnostic::error("duplicate-key", format!("the key `{text}` is there twice"), place)
            .hint(format!("the first one is on line {line}")));
    }
    seen.insert(text.clone(), place.line);
    Ok(text.clone())
}
