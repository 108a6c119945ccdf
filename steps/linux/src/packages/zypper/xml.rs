//! The little of XML that zypper's answers need: elements in their order, with their attributes and their first text.

/// One element.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// What stands between it and the next element.
    pub(super) text: String,
    /// It ends here: `</name>`.
    pub(super) end: bool,
}

impl Element {
    /// An attribute; empty where there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        self.attributes.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }
}

/// All elements in their order. What is no XML between them is left out.
pub(super) fn elements(text: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let Some(close) = rest.find('>') else { break };
        let (tag, after) = (&rest[..close], &rest[close + 1..]);
        rest = after;
        let inner = &after[..after.find('<').unwrap_or(after.len())];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        let end = tag.starts_with('/');
        let tag = tag.trim_matches('/').trim();
        let name = tag.split_whitespace().next().unwrap_or_default();
        elements.push(Element {
            name: name.to_owned(),
            attributes: attributes(&tag[name.len()..]),
            text: decoded(inner.trim()),
            end,
        });
    }
    elements
}

fn attributes(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let Some(mark) = rest.chars().next().filter(|mark| matches!(mark, '"' | '\'')) else { break };
        let Some((value, rest)) = rest[1..].split_once(mark) else { break };
        found.push((name.trim().to_owned(), decoded(value)));
        text = rest;
    }
    found
}

fn decoded(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_attributes_and_text() {
        let text = "<?xml version='1.0'?>\nnoise\n<a x=\"1 &lt; 2\" y='&apos;'/><b>one &amp; two</b><c/>";
        let all = elements(text);
        let shown: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.end, one.text.as_str())).collect();
        assert_eq!(shown, [("a", false, ""), ("b", false, "one & two"), ("b", true, ""), ("c", false, "")]);
        assert_eq!((all[0].get("x"), all[0].get("y"), all[0].get("z")), ("1 < 2", "'", ""));
        assert!(elements("<cut off").is_empty());
    }
}
