//! The members of a JSON request: taken one by one, checked against the service model, and none may be left over.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::fault::Refusal;

/// A structure of a request.
#[derive(Debug)]
pub struct Members {
    /// Where it is, for messages: `Filters.1.`
    path: String,
    map: Map<String, Value>,
    /// Whether every value is a text, numbers and truth values too.
    only_texts: bool,
}

/// The members that say which page of a listing is asked for, not which listing.
const PAGING: [&str; 3] = ["NextToken", "MaxResults", "MaxRecords"];

/// A refusal in the words of AWS's validation.
fn invalid(message: String) -> Refusal {
    Refusal::new("ValidationException", message)
}

fn not_a(path: &str, name: &str, what: &str) -> Refusal {
    Refusal::new("SerializationException", format!("{path}{name} is not {what}"))
}

/// `Filters` as AWS's messages say it: `filters`.
fn spoken(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl Members {
    /// The request's body; an empty one has no members.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self::of(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self::of(map)),
            Ok(_) | Err(_) => Err(Refusal::new("SerializationException", "the body is no JSON object")),
        }
    }

    /// A structure that was read elsewhere.
    pub fn of(map: Map<String, Value>) -> Self {
        Self { path: String::new(), map, only_texts: false }
    }

    /// A structure of a form, where everything is a text.
    pub fn of_texts(map: Map<String, Value>) -> Self {
        Self { path: String::new(), map, only_texts: true }
    }

    /// All of it as text, but for what chooses a page: the same for every page of one listing.
    pub fn without_page(&self) -> String {
        let rest = self.map.iter().filter(|(name, _)| !PAGING.contains(&name.as_str()));
        Value::Object(rest.map(|(name, value)| (name.clone(), value.clone())).collect()).to_string()
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// A text of at most so many characters.
    ///
    /// # Errors
    /// It is no text, or too long.
    pub fn text(&mut self, name: &str, most: usize) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text)),
            Some(Value::String(text)) => Err(invalid(format!(
                "1 validation error detected: Value '{text}' at '{}{}' failed to satisfy constraint: \
                 Member must have length less than or equal to {most}",
                self.path,
                spoken(name)
            ))),
            Some(_) => Err(not_a(&self.path, name, "a text")),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// It is missing, no text, or too long.
    pub fn required(&mut self, name: &str, most: usize) -> Result<String, Refusal> {
        self.text(name, most)?.ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Refusal {
        invalid(format!(
            "1 validation error detected: Value null at '{}{}' failed to satisfy constraint: Member must not be null",
            self.path,
            spoken(name)
        ))
    }

    /// One of these words.
    ///
    /// # Errors
    /// It is none of them.
    pub fn word(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Refusal> {
        match self.text(name, usize::MAX)? {
            Some(word) if !words.contains(&word.as_str()) => Err(invalid(format!(
                "1 validation error detected: Value '{word}' at '{}{}' failed to satisfy constraint: \
                 Member must satisfy enum value set: [{}]",
                self.path,
                spoken(name),
                words.join(", ")
            ))),
            word => Ok(word),
        }
    }

    /// A whole number in these bounds.
    ///
    /// # Errors
    /// It is none, or out of bounds.
    pub fn integer(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) if self.only_texts => text.parse().ok(),
            value => value.as_i64(),
        };
        let number = number.ok_or_else(|| not_a(&self.path, name, "a whole number"))?;
        match u64::try_from(number) {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => {
                let (bound, word) = if number < 0 || number.unsigned_abs() < least {
                    (least, "greater")
                } else {
                    (most, "less")
                };
                Err(invalid(format!(
                    "1 validation error detected: Value '{number}' at '{}{}' failed to satisfy constraint: \
                     Member must have value {word} than or equal to {bound}",
                    self.path,
                    spoken(name)
                )))
            }
        }
    }

    /// A truth value; not sent: false.
    ///
    /// # Errors
    /// It is none.
    pub fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) if self.only_texts && text == "true" => Ok(true),
            Some(Value::String(text)) if self.only_texts && text == "false" => Ok(false),
            Some(_) => Err(not_a(&self.path, name, "true or false")),
        }
    }

    /// A list of `least` to `most` texts, if it was sent.
    ///
    /// # Errors
    /// It is no list of texts, or has too few or too many.
    pub fn texts(&mut self, name: &str, least: usize, most: usize) -> Result<Option<Vec<String>>, Refusal> {
        let Some(list) = self.list(name, least, most)? else { return Ok(None) };
        list.into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(text),
                _ => Err(not_a(&self.path, name, "a list of texts")),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A list of `least` to `most` structures; not sent: none.
    ///
    /// # Errors
    /// It is no list of structures, or has too few or too many.
    pub fn structures(&mut self, name: &str, least: usize, most: usize) -> Result<Vec<Self>, Refusal> {
        let list = self.list(name, least, most)?.unwrap_or_default();
        list.into_iter()
            .enumerate()
            .map(|(number, value)| match value {
                Value::Object(map) => {
                    let path = format!("{}{}.{}.member.", self.path, spoken(name), number + 1);
                    Ok(Self { path, map, only_texts: self.only_texts })
                }
                _ => Err(not_a(&self.path, name, "a list of structures")),
            })
            .collect()
    }

    /// A structure.
    ///
    /// # Errors
    /// It is none.
    pub fn structure(&mut self, name: &str) -> Result<Option<Self>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => {
                let path = format!("{}{}.", self.path, spoken(name));
                Ok(Some(Self { path, map, only_texts: self.only_texts }))
            }
            Some(_) => Err(not_a(&self.path, name, "a structure")),
        }
    }

    /// A map from texts to texts: all that is there.
    ///
    /// # Errors
    /// A value is no text.
    pub fn into_texts(self) -> Result<BTreeMap<String, String>, Refusal> {
        self.map
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key, text)),
                _ => Err(not_a(&self.path, &key, "a text")),
            })
            .collect()
    }

    /// A map from texts to lists of texts.
    ///
    /// # Errors
    /// It is none.
    pub fn lists(&mut self, name: &str) -> Result<Vec<(String, Vec<String>)>, Refusal> {
        let Some(mut map) = self.structure(name)? else { return Ok(Vec::new()) };
        let keys: Vec<String> = map.map.keys().cloned().collect();
        keys.into_iter()
            .map(|key| Ok((key.clone(), map.texts(&key, 0, usize::MAX)?.unwrap_or_default())))
            .collect()
    }

    /// Nothing may be left: an unknown member is a wrong request, and never ignored.
    ///
    /// # Errors
    /// Something is.
    pub fn finish(self) -> Result<(), Refusal> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(invalid(format!("unknown parameter: {}{name}", self.path))),
        }
    }

    fn list(&mut self, name: &str, least: usize, most: usize) -> Result<Option<Vec<Value>>, Refusal> {
        let list = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(not_a(&self.path, name, "a list")),
        };
        if (least..=most).contains(&list.len()) {
            return Ok(Some(list));
        }
        let (word, bound) = if list.len() < least { ("greater", least) } else { ("less", most) };
        Err(invalid(format!(
            "1 validation error detected: Value at '{}{}' failed to satisfy constraint: \
             Member must have length {word} than or equal to {bound}",
            self.path,
            spoken(name)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::Members;

    #[test]
    fn what_nobody_took_is_refused() {
        let mut asked = Members::read(br#"{"Comment":"a","Targets":[{"Key":"k","Colour":"red"}]}"#).unwrap();
        assert_eq!(asked.required("Comment", 100).unwrap(), "a");
        let mut target = asked.structures("Targets", 0, 5).unwrap().remove(0);
        assert_eq!(target.required("Key", 100).unwrap(), "k");
        asked.finish().unwrap();
        let refusal = target.finish().unwrap_err();
        assert_eq!(refusal.message, "unknown parameter: targets.1.member.Colour");
    }

    #[test]
    fn limits_hold() {
        let mut asked =
            Members::read(br#"{"Comment":"abc","MaxResults":51,"Ids":["a","b"],"N":-1}"#).unwrap();
        for refusal in [
            asked.text("Comment", 2).unwrap_err(),
            asked.integer("MaxResults", 1, 50).unwrap_err(),
            asked.texts("Ids", 0, 1).unwrap_err(),
            asked.integer("N", 0, 50).unwrap_err(),
            asked.required("Name", 5).unwrap_err(),
        ] {
            assert_eq!((refusal.code.as_str(), refusal.status), ("ValidationException", 400));
        }
    }
}
