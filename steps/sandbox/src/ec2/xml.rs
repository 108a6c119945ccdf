//! EC2's answers: XML without attributes, in which a list is an element full of `item`s.

use std::fmt::{self, Display, Write};

use jiff::Timestamp;

/// The namespace of API version 2016-11-15.
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// Writes elements one after the other. Texts are escaped.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    text: String,
}

impl Xml {
    /// The whole answer to an operation.
    pub fn response(operation: &str, request_id: &str, body: &Self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"{NAMESPACE}\">\
             <requestId>{request_id}</requestId>{}</{operation}Response>",
            body.text
        )
    }

    /// The whole answer to an operation that was not carried out.
    pub fn error(code: &str, message: &str, request_id: &str) -> String {
        let mut error = Self::default();
        error.text("Code", code);
        error.text("Message", message);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>{}</Error></Errors>\
             <RequestID>{request_id}</RequestID></Response>",
            error.text
        )
    }

    /// An element with a text, a number or a truth value.
    pub fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        // Writing to a `String` does not fail.
        let _ = write!(self.text, "<{name}>");
        let _ = write!(Escaped(&mut self.text), "{value}");
        let _ = write!(self.text, "</{name}>");
        self
    }

    /// The same where there is a value.
    pub fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// A moment, to the millisecond.
    pub fn time(&mut self, name: &str, at: Option<Timestamp>) -> &mut Self {
        self.maybe(name, at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")))
    }

    /// An element with elements in it.
    pub fn part(&mut self, name: &str, inner: impl FnOnce(&mut Self)) -> &mut Self {
        let _ = write!(self.text, "<{name}>");
        inner(self);
        let _ = write!(self.text, "</{name}>");
        self
    }

    /// A list; an empty one is an empty element.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        each: impl Fn(&mut Self, T),
    ) -> &mut Self {
        self.part(name, |list| {
            for item in items {
                list.part("item", |part| each(part, item));
            }
        })
    }
}

/// Escapes what is written through it. A character that XML 1.0 has no way to say becomes U+FFFD.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                // A reader would turn it into a line feed.
                '\r' => self.0.push_str("&#xD;"),
                '\t' | '\n' => self.0.push(character),
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Xml;

    #[test]
    fn texts_are_escaped() {
        let mut xml = Xml::default();
        xml.text("value", "a<b> & \"c\" 'd'\r\n\u{1}é]]>");
        assert_eq!(
            xml.text,
            "<value>a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;&#xD;\n\u{fffd}é]]&gt;</value>"
        );
    }

    #[test]
    fn lists_are_full_of_items() {
        let mut xml = Xml::default();
        xml.list("tagSet", [("a", 1), ("b", 2)], |item, (key, value)| {
            item.text("key", key).text("value", value);
        });
        xml.list("nothing", Vec::<u8>::new(), |_, _| ());
        assert_eq!(
            xml.text,
            "<tagSet><item><key>a</key><value>1</value></item><item><key>b</key><value>2</value></item></tagSet>\
             <nothing></nothing>"
        );
    }

    #[test]
    fn a_time_has_milliseconds() {
        let mut xml = Xml::default();
        xml.time("startTime", Some("2026-03-01T08:00:00.5Z".parse().unwrap())).time("endTime", None);
        assert_eq!(xml.text, "<startTime>2026-03-01T08:00:00.500Z</startTime>");
    }
}
