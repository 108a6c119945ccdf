//! EC2's requests: a form whose names are paths, such as `Filter.1.Value.2`.
//!
//! Whoever reads a parameter takes it out. What is left over at the end is refused, as EC2 does.

use std::collections::BTreeMap;

use super::refusal::refused;
use crate::fault::Refusal;

/// The parameters of a request, or of a structure in it.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Where this structure stands in the request, with the dot behind it.
    path: String,
    fields: BTreeMap<String, Field>,
}

#[derive(Debug)]
enum Field {
    Text(String),
    Structure(BTreeMap<String, Field>),
}

impl Form {
    /// Reads a body of the kind `application/x-www-form-urlencoded`.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body).into_owned() {
            let mut fields = &mut form.fields;
            let mut parts = name.split('.').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    if fields.insert(part.to_owned(), Field::Text(value.clone())).is_some() {
                        return Err(malformed(&name));
                    }
                    break;
                }
                let inner =
                    fields.entry(part.to_owned()).or_insert_with(|| Field::Structure(BTreeMap::new()));
                fields = match inner {
                    Field::Structure(inner) => inner,
                    Field::Text(_) => return Err(malformed(&name)),
                };
            }
        }
        Ok(form)
    }

    /// A text, if it was sent.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.fields.remove(name) {
            None => Ok(None),
            Some(Field::Text(text)) => Ok(Some(text)),
            Some(Field::Structure(_)) => Err(malformed(&format!("{}{name}", self.path))),
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// What is answered when a parameter is not there.
    pub fn missing(&self, name: &str) -> Refusal {
        refused("MissingParameter", format!("The request must contain the parameter {}{name}", self.path))
    }

    /// A truth value; not sent: false.
    pub fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.text(name)?.as_deref() {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(text) => Err(self.invalid(name, text)),
        }
    }

    /// A number.
    pub fn number(&mut self, name: &str) -> Result<Option<u32>, Refusal> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| self.invalid(name, &text)),
        }
    }

    /// One of these words.
    pub fn word(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Refusal> {
        match self.text(name)? {
            Some(text) if !words.contains(&text.as_str()) => Err(self.invalid(name, &text)),
            text => Ok(text),
        }
    }

    /// A list of texts: `InstanceId.1`, `InstanceId.2`.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        let path = format!("{}{name}", self.path);
        let fields = self.numbered(name)?;
        fields
            .into_iter()
            .map(|(number, field)| match field {
                Field::Text(text) => Ok(text),
                Field::Structure(_) => Err(unknown(&format!("{path}.{number}"))),
            })
            .collect()
    }

    /// A list of structures: `Filter.1.Name`, `Filter.1.Value.1`.
    pub fn structures(&mut self, name: &str) -> Result<Vec<Self>, Refusal> {
        let path = format!("{}{name}", self.path);
        let fields = self.numbered(name)?;
        fields
            .into_iter()
            .map(|(number, field)| match field {
                Field::Structure(fields) => Ok(Self { path: format!("{path}.{number}."), fields }),
                Field::Text(_) => Err(unknown(&format!("{path}.{number}"))),
            })
            .collect()
    }

    /// A structure: `InstanceSpecification.InstanceId`.
    pub fn structure(&mut self, name: &str) -> Result<Option<Self>, Refusal> {
        let path = format!("{}{name}.", self.path);
        match self.fields.remove(name) {
            None => Ok(None),
            Some(Field::Structure(fields)) => Ok(Some(Self { path, fields })),
            Some(Field::Text(_)) => Err(unknown(path.trim_end_matches('.'))),
        }
    }

    /// Nothing may be left: EC2 refuses what it does not know.
    pub fn finish(self) -> Result<(), Refusal> {
        match self.fields.into_iter().next() {
            None => Ok(()),
            Some((name, field)) => Err(unknown(&format!("{}{}", self.path, whole_name(name, field)))),
        }
    }

    /// What is answered to a value that is none.
    pub fn invalid(&self, name: &str, value: &str) -> Refusal {
        refused(
            "InvalidParameterValue",
            format!("Value ({value}) for parameter {}{name} is invalid.", self.path),
        )
    }

    /// The members of a list in the order of their numbers.
    fn numbered(&mut self, name: &str) -> Result<Vec<(u32, Field)>, Refusal> {
        let path = format!("{}{name}", self.path);
        let fields = match self.fields.remove(name) {
            None => return Ok(Vec::new()),
            Some(Field::Structure(fields)) => fields,
            Some(Field::Text(_)) => return Err(unknown(&path)),
        };
        let mut numbered = Vec::with_capacity(fields.len());
        for (number, field) in fields {
            match number.parse() {
                Ok(number) => numbered.push((number, field)),
                Err(_) => return Err(unknown(&format!("{path}.{}", whole_name(number, field)))),
            }
        }
        numbered.sort_by_key(|(number, _)| *number);
        Ok(numbered)
    }
}

/// The name of a parameter that was sent, down to a text.
fn whole_name(name: String, field: Field) -> String {
    match field {
        Field::Structure(fields) => match fields.into_iter().next() {
            Some((inner, field)) => format!("{name}.{}", whole_name(inner, field)),
            None => name,
        },
        Field::Text(_) => name,
    }
}

fn unknown(name: &str) -> Refusal {
    refused("UnknownParameter", format!("The parameter {name} is not recognized"))
}

fn malformed(name: &str) -> Refusal {
    refused("MalformedQueryString", format!("The query string contains a syntax error at {name}"))
}

#[cfg(test)]
mod tests {
    use super::Form;

    fn read(body: &str) -> Form {
        Form::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let mut form = read("InstanceId.10=c&InstanceId.1=a&InstanceId.2=b");
        assert_eq!(form.texts("InstanceId").unwrap(), ["a", "b", "c"]);
        form.finish().unwrap();
    }

    #[test]
    fn structures_nest() {
        let mut form = read(
            "TagSpecification.1.ResourceType=snapshot&TagSpecification.1.Tag.1.Key=runbook%3Arun\
             &TagSpecification.1.Tag.1.Value=a+b%2Bc&InstanceSpecification.InstanceId=i-1",
        );
        let mut specification = form.structures("TagSpecification").unwrap().remove(0);
        assert_eq!(specification.required("ResourceType").unwrap(), "snapshot");
        let mut tag = specification.structures("Tag").unwrap().remove(0);
        assert_eq!(tag.required("Key").unwrap(), "runbook:run");
        assert_eq!(tag.required("Value").unwrap(), "a b+c");
        specification.finish().unwrap();
        let mut which = form.structure("InstanceSpecification").unwrap().unwrap();
        assert_eq!(which.required("InstanceId").unwrap(), "i-1");
        form.finish().unwrap();
    }

    #[test]
    fn what_nobody_took_is_refused_by_its_whole_name() {
        let mut form = read("Filter.1.Name=a&Filter.1.Nme=b&Action=X");
        form.text("Action").unwrap();
        let mut filter = form.structures("Filter").unwrap().remove(0);
        filter.text("Name").unwrap();
        let refusal = filter.finish().unwrap_err();
        assert_eq!(
            (refusal.code.as_str(), refusal.status, refusal.message.as_str()),
            ("UnknownParameter", 400, "The parameter Filter.1.Nme is not recognized")
        );
        let left = read("Tags.1.Key=a").finish().unwrap_err();
        assert_eq!(left.message, "The parameter Tags.1.Key is not recognized");
    }

    #[test]
    fn wrong_values_are_named() {
        let refusal = read("MaxResults=many").number("MaxResults").unwrap_err();
        assert_eq!(refusal.message, "Value (many) for parameter MaxResults is invalid.");
        assert_eq!(read("DryRun=maybe").flag("DryRun").unwrap_err().code, "InvalidParameterValue");
        assert_eq!(Form::read(b"A=1&A.1=2").unwrap_err().code, "MalformedQueryString");
        assert_eq!(read("").required("VolumeId").unwrap_err().code, "MissingParameter");
    }
}
