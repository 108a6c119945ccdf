//! Canonical JSON: keys sorted, no white space. What is hashed must not depend on the order of a struct's fields, nor
//! on how some other crate has configured `serde_json`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Error, Value};

/// The canonical text of a value.
pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut text = Vec::with_capacity(128);
    write(&serde_json::to_value(value)?, &mut text)?;
    Ok(text)
}

fn write(value: &Value, text: &mut Vec<u8>) -> Result<(), Error> {
    match value {
        Value::Array(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write(item, text)?;
            }
            text.push(b']');
        }
        Value::Object(map) => {
            text.push(b'{');
            for (index, (key, item)) in map.iter().collect::<BTreeMap<_, _>>().into_iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                serde_json::to_writer(&mut *text, key)?;
                text.push(b':');
                write(item, text)?;
            }
            text.push(b'}');
        }
        plain => serde_json::to_writer(&mut *text, plain)?,
    }
    Ok(())
}
