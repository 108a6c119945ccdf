//! Where the expressions of a value stand in the file.

use super::Decoder;
use crate::{
    document::{
        model::Spanned,
        tree::{Data, Entry, Node},
    },
    expression::{Expressions, Segment, segments},
};

impl Decoder<'_, '_> {
    /// Every expression in the texts of a value, without the braces, mappings in the order of
    /// their keys. One that cannot be found in the file as it
    /// reads (escapes, folded lines) has the place of its text. Texts whose braces do not close are left to the
    /// check, which reads them again.
    pub(super) fn expressions(&self, node: &Node) -> Vec<Spanned<String>> {
        let mut found = Vec::new();
        self.collect(node, &mut found);
        found
    }

    fn collect(&self, node: &Node, found: &mut Vec<Spanned<String>>) {
        match &node.data {
            Data::List(items) => items.iter().for_each(|item| self.collect(item, found)),
            Data::Map(entries) => {
                let mut entries: Vec<&Entry> = entries.iter().collect();
                entries.sort_by_key(|entry| &entry.key);
                entries.into_iter().for_each(|entry| self.collect(&entry.value, found));
            }
            Data::Scalar { text, .. } if Expressions::is_used_in(text) => {
                let mut from = self.lines.offset(node.place.line, node.place.column);
                let until = self.lines.offset(node.end.0, node.end.1);
                for segment in segments(text).unwrap_or_default() {
                    let Segment::Expression { text, .. } = segment else { continue };
                    let written = self.lines.text().get(from..until.max(from)).unwrap_or_default();
                    let place = match written.find(&format!("{{{{{text}}}}}")) {
                        Some(at) => {
                            let start = from + at + 2;
                            from = start + text.len() + 2;
                            self.lines.place(self.source, start, start + text.len())
                        }
                        None => node.place,
                    };
                    found.push(Spanned::new(text.to_owned(), place));
                }
            }
            Data::Scalar { .. } => {}
        }
    }
}
