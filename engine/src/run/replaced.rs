//! Machines that a restore brought back as new ones: the plan's name stays, the id and the address are others.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Run, layout::TaskIx};
use crate::{
    ids::{TargetId, TaskName},
    target::Target,
};

/// The machine that stands in the place of a planned one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// Its id.
    pub instance: TargetId,
    /// Its address, as far as the restore knew it.
    pub private_ip: Option<String>,
    /// The restoring task.
    by: TaskIx,
}

impl Replacement {
    /// What a restoring task gave for a machine: `replaced_by: { instance, private_ip }`.
    pub(super) fn read(by: TaskIx, outputs: &Value) -> Option<Self> {
        let new = outputs.get("replaced_by")?;
        Some(Self {
            instance: TargetId::from(new.get("instance")?.as_str()?),
            private_ip: new.get("private_ip").and_then(Value::as_str).map(str::to_owned),
            by,
        })
    }

    /// The machine that actions speak to: what the plan knows of the old one and is not true of this one is left out.
    pub fn in_place_of(&self, planned: &Target) -> Target {
        Target {
            id: self.instance.clone(),
            private_ip: self.private_ip.clone(),
            image: None,
            root_volume: None,
            ec2: None,
            ..planned.clone()
        }
    }

    /// A value that was rendered for the planned machine, with the new id and address: they were filled in when the plan
    /// was made. Where the new address is not known, a name stands for it that nobody has (RFC 2606).
    pub(super) fn moved(&self, value: &mut Value, planned: &Target) {
        match value {
            Value::String(text) => {
                if text.contains(planned.id.as_str()) {
                    *text = with(text, planned.id.as_str(), self.instance.as_str());
                }
                if let Some(old) = &planned.private_ip
                    && text.contains(old.as_str())
                {
                    // The old machine may still answer at its address: nobody must take that for the new one.
                    let unknown = || format!("address-of-{}.invalid", self.instance);
                    *text = with(text, old, &self.private_ip.clone().unwrap_or_else(unknown));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.moved(item, planned)),
            Value::Object(entries) => entries.values_mut().for_each(|item| self.moved(item, planned)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl Run {
    /// The machine that stands in the place of a planned one, for a task: none for the task that made it, which works on
    /// the old one.
    pub fn replacement(&self, task: &TaskName, target: &TargetId) -> Option<&Replacement> {
        let replacement = self.replaced.get(target)?;
        (self.layout.task(task.as_str())? != replacement.by).then_some(replacement)
    }

    /// The machine that stands in the place of a planned one now.
    pub fn replaced_by(&self, target: &TargetId) -> Option<&Replacement> {
        self.replaced.get(target)
    }

    pub(super) fn replacement_at(&self, task: TaskIx, target: &TargetId) -> Option<&Replacement> {
        self.replaced.get(target).filter(|replacement| replacement.by != task)
    }
}

/// A text with one word for another, where it stands as a whole: `10.0.0.1` is not in `10.0.0.12`.
fn with(text: &str, old: &str, new: &str) -> String {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(old) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        let before_that = before.chars().next_back().or_else(|| out.chars().next_back());
        out.push_str(before);
        out.push_str(if part(before_that) || part(after.chars().next()) { old } else { new });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn only_whole_words_are_exchanged() {
        let url = "http://10.0.0.1:8080/10.0.0.12?from=10.0.0.1";
        assert_eq!(with(url, "10.0.0.1", "10.0.9.9"), "http://10.0.9.9:8080/10.0.0.12?from=10.0.9.9");
        assert_eq!(with("i-0ab i-0abc", "i-0ab", "i-9"), "i-9 i-0abc");
        assert_eq!(with("", "i-0ab", "i-9"), "");
    }
}
