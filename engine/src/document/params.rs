//! Parameters: from what was given to what the plan holds.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::{
    model::{Param, ParamKind, Runbook},
    suggestion::nearest,
};
use crate::{
    diagnostic::{Diagnostic, Place},
    duration::Span,
};

/// The value of every parameter: given, else its default. Texts (`--param k=v`) are read as the parameter's type.
///
/// # Errors
/// All that is wrong: unknown and missing parameters, wrong types, values outside `enum`.
pub fn resolve(
    runbook: &Runbook,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, Vec<Diagnostic>> {
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for name in given.keys().filter(|name| runbook.params.iter().all(|param| param.name.value != **name)) {
        let known = runbook.params.iter().map(|param| param.name.value.as_str());
        let mut problem = Diagnostic::error(
            "unknown-param",
            format!("the runbook has no parameter `{name}`"),
            Place::whole(runbook.name.place.source),
        );
        problem.hint =
            nearest(name, known.clone()).map(|near| format!("did you mean `{near}`?")).or_else(|| {
                let known: Vec<&str> = known.collect();
                (!known.is_empty()).then(|| format!("its parameters are {}", known.join(", ")))
            });
        problems.push(problem);
    }
    for param in &runbook.params {
        let name = &param.name.value;
        let value = match (given.get(name), &param.default) {
            (Some(value), _) => accept(param, value).map_err(|reason| {
                let place = param.name.place;
                Diagnostic::error("wrong-param", format!("the parameter `{name}` {reason}"), place)
            }),
            (None, Some(default)) => Ok(default.value.clone()),
            (None, None) => Err(Diagnostic::error(
                "missing-param",
                format!("the parameter `{name}` has no default and was not given"),
                param.name.place,
            )
            .hint(format!("give it: --param {name}={}", example(param.kind)))),
        };
        match value {
            Ok(value) => {
                values.insert(name.clone(), value);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// A value as this parameter's type, or why it cannot be.
pub(super) fn accept(param: &Param, value: &Value) -> Result<Value, String> {
    let value = of_kind(param.kind, value).ok_or_else(|| {
        let shown =
            if value.is_string() { format!("`{}`", value.as_str().unwrap_or("")) } else { value.to_string() };
        format!("must be {}, not {shown}", param.kind.described())
    })?;
    match &param.choices {
        Some(choices) if !choices.contains(&value) => {
            let choices: Vec<String> = choices.iter().map(shown).collect();
            Err(format!("must be one of {}, not {}", choices.join(", "), shown(&value)))
        }
        _ => Ok(value),
    }
}

/// A value as this type; texts are read.
fn of_kind(kind: ParamKind, value: &Value) -> Option<Value> {
    match (kind, value) {
        (ParamKind::String, Value::String(_)) => Some(value.clone()),
        (ParamKind::String, Value::Number(number)) => Some(Value::String(number.to_string())),
        (ParamKind::String, Value::Bool(flag)) => Some(Value::String(flag.to_string())),
        (ParamKind::Integer, Value::Number(number)) if !number.is_f64() => Some(value.clone()),
        (ParamKind::Integer, Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        (ParamKind::Number, Value::Number(_)) => Some(value.clone()),
        (ParamKind::Number, Value::String(text)) => {
            let text = text.trim();
            match text.parse::<i64>() {
                Ok(whole) => Some(Value::from(whole)),
                Err(_) => Number::from_f64(text.parse().ok()?).map(Value::Number),
            }
        }
        (ParamKind::Boolean, Value::Bool(_)) => Some(value.clone()),
        (ParamKind::Boolean, Value::String(text)) => text.trim().parse::<bool>().ok().map(Value::from),
        (ParamKind::Duration, Value::String(text)) => {
            Span::parse(text.trim()).map(|_| Value::from(text.trim()))
        }
        (ParamKind::List, Value::Array(items)) => {
            let items: Option<Vec<Value>> =
                items.iter().map(|item| of_kind(ParamKind::String, item)).collect();
            items.map(Value::Array)
        }
        (ParamKind::List, Value::String(text)) if text.trim_start().starts_with('[') => {
            let items: Vec<Value> = serde_yaml::from_str(text).ok()?;
            of_kind(kind, &Value::Array(items))
        }
        (ParamKind::List, Value::String(text)) => Some(Value::Array(
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect(),
        )),
        _ => None,
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn example(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::String => "TEXT",
        ParamKind::Integer | ParamKind::Number => "1",
        ParamKind::Boolean => "true",
        ParamKind::Duration => "15m",
        ParamKind::List => "a,b",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ParamKind, of_kind};

    #[test]
    fn texts_are_read_as_the_type() {
        assert_eq!(of_kind(ParamKind::Integer, &json!("12")), Some(json!(12)));
        assert_eq!(of_kind(ParamKind::Integer, &json!("1.5")), None);
        assert_eq!(of_kind(ParamKind::Number, &json!("1.5")), Some(json!(1.5)));
        assert_eq!(of_kind(ParamKind::Number, &json!("NaN")), None);
        assert_eq!(of_kind(ParamKind::Boolean, &json!("yes")), None);
        assert_eq!(of_kind(ParamKind::Boolean, &json!("true")), Some(json!(true)));
        assert_eq!(of_kind(ParamKind::Duration, &json!("15m")), Some(json!("15m")));
        assert_eq!(of_kind(ParamKind::Duration, &json!(15)), None);
        assert_eq!(of_kind(ParamKind::List, &json!("a, b,")), Some(json!(["a", "b"])));
        assert_eq!(of_kind(ParamKind::List, &json!([1, "b"])), Some(json!(["1", "b"])));
        assert_eq!(of_kind(ParamKind::String, &json!(1)), Some(json!("1")));
    }
}
