//! The AWS Query protocol: forms in, XML out. (EC2 has a dialect of its own.)

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::{answer::Answer, fault::Refusal, members::Members, request::Request};

const XML: &str = "text/xml";

/// A form, in the body or behind `?`.
#[derive(Debug)]
pub struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads a request's parameters.
    pub fn of(request: &Request) -> Self {
        let mut fields: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
        // What signs a request is none of its parameters.
        fields.extend(request.query().into_iter().filter(|(name, _)| !name.starts_with("X-Amz-")));
        Self { fields }
    }

    /// The operation.
    pub fn action(&self) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == "Action").map(|(_, value)| value.as_str())
    }

    /// The parameters, without operation and version. `AlarmNames.member.2` is the second of a list.
    ///
    /// # Errors
    /// The version is not this one, or a name makes no sense.
    pub fn members(self, version: &str) -> Result<Members, Refusal> {
        let mut tree = Map::new();
        for (name, value) in self.fields {
            match name.as_str() {
                "Action" => {}
                "Version" if value == version => {}
                "Version" => {
                    let message = format!("there is no API version {value} here, but {version}");
                    return Err(Refusal::new("NoSuchVersion", message));
                }
                _ => put(&mut tree, &name, value).ok_or_else(|| {
                    Refusal::new("MalformedQueryString", format!("{name} contradicts another parameter"))
                })?,
            }
        }
        Ok(Members::of_texts(tree.into_iter().map(|(name, value)| (name, lists(value))).collect()))
    }
}

/// Puts a value where its name says: every dot is a structure.
fn put(mut tree: &mut Map<String, Value>, name: &str, value: String) -> Option<()> {
    let mut rest = name;
    while let Some((first, inner)) = rest.split_once('.') {
        let below = tree.entry(first.to_owned()).or_insert_with(|| Value::Object(Map::new()));
        tree = below.as_object_mut()?;
        rest = inner;
    }
    tree.insert(rest.to_owned(), Value::String(value)).is_none().then_some(())
}

/// `{ "member": { "1": a, "2": b } }` is the list of a and b.
fn lists(value: Value) -> Value {
    let Value::Object(mut map) = value else { return value };
    match map.remove("member") {
        Some(Value::Object(numbered)) if map.is_empty() => {
            let mut items: Vec<_> =
                numbered.into_iter().map(|(n, item)| (n.parse::<u32>().unwrap_or(0), lists(item))).collect();
            items.sort_by_key(|(number, _)| *number);
            Value::Array(items.into_iter().map(|(_, item)| item).collect())
        }
        Some(member) => {
            map.insert("member".into(), member);
            Value::Object(map)
        }
        None => Value::Object(map.into_iter().map(|(name, value)| (name, lists(value))).collect()),
    }
}

/// An answer; `result` has texts, numbers, lists and structures.
pub fn answer(operation: &str, namespace: &str, result: Option<&Value>, request_id: &str) -> Answer {
    let mut body = format!("<{operation}Response xmlns=\"{namespace}\">");
    if let Some(result) = result {
        element(&mut body, &format!("{operation}Result"), result);
    }
    let _ = write!(
        body,
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    Answer::new(200, XML, body)
}

/// An error.
pub fn refuse(namespace: &str, refusal: &Refusal, request_id: &str) -> Answer {
    let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let mut body = format!("<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type>");
    // What the JSON protocols call ValidationException.
    let code = if refusal.code == "ValidationException" { "ValidationError" } else { &refusal.code };
    element(&mut body, "Code", &Value::from(code));
    element(&mut body, "Message", &Value::from(refusal.message.as_str()));
    let _ = write!(body, "</Error><RequestId>{request_id}</RequestId></ErrorResponse>");
    Answer::new(refusal.status, XML, body)
}

fn element(body: &mut String, name: &str, value: &Value) {
    let _ = write!(body, "<{name}>");
    match value {
        Value::Null => {}
        Value::String(text) => escape(body, text),
        Value::Bool(_) | Value::Number(_) => {
            let _ = write!(body, "{value}");
        }
        Value::Array(items) => items.iter().for_each(|item| element(body, "member", item)),
        Value::Object(map) => map.iter().for_each(|(name, value)| element(body, name, value)),
    }
    let _ = write!(body, "</{name}>");
}

fn escape(body: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '<' => body.push_str("&lt;"),
            '>' => body.push_str("&gt;"),
            '&' => body.push_str("&amp;"),
            // XML 1.0 has no way to write the other control characters.
            '\n' | '\t' => body.push(letter),
            '\r' => body.push_str("&#13;"),
            control if control.is_control() => body.push(char::REPLACEMENT_CHARACTER),
            _ => body.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::{HeaderMap, Method, Uri};
    use serde_json::json;

    use super::{Form, element};
    use crate::request::Request;

    fn form(body: &'static str) -> Form {
        Form::of(&Request {
            method: Method::POST,
            uri: Uri::from_static("/"),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        })
    }

    #[test]
    fn lists_and_numbers() {
        let form =
            form("Action=DescribeAlarms&Version=v&MaxRecords=5&AlarmNames.member.2=b&AlarmNames.member.1=a");
        assert_eq!(form.action(), Some("DescribeAlarms"));
        let mut members = form.members("v").unwrap();
        assert_eq!(members.texts("AlarmNames", 0, 100).unwrap().unwrap(), ["a", "b"]);
        assert_eq!(members.integer("MaxRecords", 1, 100).unwrap(), Some(5));
        members.finish().unwrap();
        assert_eq!(
            Form { fields: vec![("Version".into(), "x".into())] }.members("v").unwrap_err().code,
            "NoSuchVersion"
        );
    }

    #[test]
    fn texts_are_escaped() {
        let mut body = String::new();
        element(&mut body, "A", &json!({ "B": ["<x&y>"], "C": 1 }));
        assert_eq!(body, "<A><B><member>&lt;x&amp;y&gt;</member></B><C>1</C></A>");
    }
}
