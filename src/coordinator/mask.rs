//! Takes known secrets out of whatever is about to be journaled.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::TargetId,
    run::event::{Event, Report},
};
use serde_json::Value;

/// What stands in a secret's place.
pub const MASKED: &str = "***";

/// Outputs are cut at some thousands of characters; a secret may be cut with them. From this length on the tail of a
/// text is compared with the beginnings of secrets too.
const CUT_TEXT: usize = 1_000;

/// The shortest beginning of a secret that is taken for one at the tail of a cut text.
const SHORTEST_TAIL: usize = 4;

/// The shortest base64 text that is taken for a part of an encoded secret.
const SHORTEST_BASE64: usize = 6;

/// The shortest line of a secret of many lines that is masked by itself.
const SHORTEST_LINE: usize = 8;

/// Every form in which known secrets can come back.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Longest first, so that a secret that contains another one goes as a whole.
    forms: Vec<String>,
}

impl Mask {
    /// A mask for these values: as they are, trimmed, line by line, URL-encoded, in base64, escaped for JSON and
    /// quoted for a shell.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for value in values {
            let mut plain = vec![value.to_owned(), value.trim().to_owned()];
            if value.trim().contains('\n') {
                plain.extend(
                    value.lines().map(str::trim).filter(|l| l.len() >= SHORTEST_LINE).map(str::to_owned),
                );
            }
            for text in plain {
                forms.extend(encodings(&text));
                forms.push(text);
            }
        }
        forms.retain(|form| !form.is_empty());
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { forms }
    }

    /// Masks a text in place.
    pub fn text(&self, text: &mut String) {
        for form in &self.forms {
            if text.contains(form.as_str()) {
                *text = text.replace(form.as_str(), MASKED);
            }
        }
        if text.len() >= CUT_TEXT {
            self.tail(text);
        }
    }

    fn tail(&self, text: &mut String) {
        let kept = text.trim_end_matches(['.', '…', '\n']).len();
        for form in &self.forms {
            let longest = form.len().min(kept);
            let cut = (SHORTEST_TAIL..=longest)
                .rev()
                .filter(|len| form.is_char_boundary(*len))
                .find(|len| text[..kept].ends_with(&form[..*len]));
            if let Some(len) = cut {
                text.replace_range(kept - len..kept, MASKED);
                return;
            }
        }
    }

    /// Masks every text in a value, keys included.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => {
                for (mut key, mut value) in std::mem::take(map) {
                    self.text(&mut key);
                    self.value(&mut value);
                    map.insert(key, value);
                }
            }
            Value::Number(number) => {
                // A secret of digits may come back as a number.
                let mut text = number.to_string();
                self.text(&mut text);
                if text.contains(MASKED) {
                    *value = Value::String(text);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Masks whatever an action, a service or a person can have written into an event. Names of the plan stay.
    pub fn event(&self, event: &mut Event) {
        if self.forms.is_empty() {
            return;
        }
        match event {
            Event::CheckpointRecorded { value, .. } => self.value(value),
            Event::OutputsRecorded { outputs, .. } => {
                outputs.values_mut().for_each(|value| self.value(value))
            }
            Event::TargetsReported { report, .. } | Event::TaskReported { report, .. } => self.report(report),
            Event::WaveInspected { refused, .. } | Event::TaskStarted { refused, .. } => self.causes(refused),
            Event::ApprovalGiven { note, .. }
            | Event::ApprovalRejected { note, .. }
            | Event::TargetResolved { note, .. } => self.option(note),
            Event::TargetsExcluded { because, .. } => self.option(because),
            Event::RunPaused { cause, .. }
            | Event::CancelRequested { cause, .. }
            | Event::OutcomeDecided { cause, .. } => self.option(cause),
            Event::NotificationFailed { cause, .. }
            | Event::TaskFailed { cause, .. }
            | Event::TaskSkipped { cause, .. }
            | Event::RollbackBegun { cause } => self.text(cause),
            Event::RunStarted { .. }
            | Event::RunResumed { .. }
            | Event::IntentRecorded { .. }
            | Event::ArtifactsMade { .. }
            | Event::TaskLookedUp { .. }
            | Event::NotificationSent { .. }
            | Event::RunUnpaused { .. }
            | Event::WaveStarted { .. }
            | Event::WaveEnded { .. }
            | Event::GateOpened { .. }
            | Event::AttemptTimedOut { .. }
            | Event::TargetsFailed { .. }
            | Event::RetryScheduled { .. }
            | Event::OperatorAwaited { .. }
            | Event::ResolveExpired { .. }
            | Event::BudgetExceeded { .. }
            // Names and versions of packages: what was in outputs is masked there.
            | Event::PatchsetLocked { .. }
            | Event::PackagesBarred { .. }
            | Event::PackagesCleared { .. }
            | Event::TaskSucceeded { .. }
            | Event::TaskCancelled { .. }
            | Event::RunFinished { .. } => {}
        }
    }

    fn report(&self, report: &mut Report) {
        self.option(&mut report.cause);
    }

    fn option(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn causes(&self, causes: &mut BTreeMap<TargetId, String>) {
        causes.values_mut().for_each(|cause| self.text(cause));
    }
}

fn encodings(text: &str) -> Vec<String> {
    let mut forms = vec![
        percent(text, "%20", false),
        percent(text, "+", false),
        percent(text, "%20", true),
        percent(text, "+", true),
        text.replace('\'', r"'\''"),
        text.replace('\'', "''"),
    ];
    if let Ok(json) = serde_json::to_string(text) {
        forms.push(json[1..json.len() - 1].to_owned());
        forms.push(json[1..json.len() - 1].replace('/', r"\/"));
    }
    for shift in 0..3 {
        forms.extend(base64(text.as_bytes(), shift));
    }
    forms
}

fn percent(text: &str, space: &str, lower: bool) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            b' ' => space.to_owned(),
            _ if lower => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// What of the base64 text of a longer value is sure to be there when `bytes` stand in it after `shift` (modulo 3)
/// others: the standard and the URL-safe alphabet.
fn base64(bytes: &[u8], shift: usize) -> Vec<String> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut padded = vec![0; shift];
    padded.extend_from_slice(bytes);
    let standard: String = padded
        .chunks(3)
        .flat_map(|chunk| {
            let bits = chunk
                .iter()
                .enumerate()
                .fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
            (0..=chunk.len()).map(move |at| char::from(STANDARD[(bits >> (18 - 6 * at)) as usize & 63]))
        })
        .collect();
    // The first characters hold bits of what stands before, the last one bits of what follows.
    let from = (shift * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    if to.saturating_sub(from) < SHORTEST_BASE64 {
        return Vec::new();
    }
    let sure = standard[from..to].to_owned();
    let safe = sure.replace('+', "-").replace('/', "_");
    vec![sure, safe]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Mask;

    fn masked(secret: &str, text: &str) -> String {
        let mut text = text.to_owned();
        Mask::of([secret]).text(&mut text);
        text
    }

    #[test]
    fn every_form_of_a_secret_is_masked() {
        let secret = "p@ss w/rd\"1'\n";
        for text in [
            "p@ss w/rd\"1'",
            "p%40ss%20w%2Frd%221%27",
            "p%40ss+w%2frd%221%27",
            r#"p@ss w/rd\"1'"#,
            r#"p@ss w/rd"1'\''"#,
            "cEBzcyB3L3JkIjEn",
        ] {
            assert_eq!(masked(secret, &format!("<{text}>")), "<***>", "{text}");
        }
    }

    #[test]
    fn a_secret_inside_an_encoded_text_is_masked_wherever_it_stands() {
        // base64 of `u:hunter2hunter2;`, `us:…` and `use:…`
        for text in ["dTpodW50ZXIyaHVudGVyMjs=", "dXM6aHVudGVyMmh1bnRlcjI7", "dXNlOmh1bnRlcjJodW50ZXIyOw=="] {
            let masked = masked("hunter2hunter2", text);
            assert!(masked.contains("***") && masked.len() < 14, "{text} became {masked}");
        }
    }

    #[test]
    fn a_secret_cut_at_the_end_of_a_long_output_is_masked() {
        let text = format!("{}hunter2hu", "x".repeat(2_000));
        assert!(masked("hunter2hunter2", &text).ends_with("x***"));
    }

    #[test]
    fn values_keep_their_form() {
        let mut value = json!({ "hunter2": ["a hunter2 b", 5, null, true], "n": 123_456 });
        Mask::of(["hunter2", "123456"]).value(&mut value);
        assert_eq!(value, json!({ "***": ["a *** b", 5, null, true], "n": "***" }));
    }

    #[test]
    fn lines_of_a_long_secret_are_masked_by_themselves() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n";
        assert_eq!(masked(key, "line 2 is hkiG9w0BAQEFAASC."), "line 2 is ***.");
    }
}
