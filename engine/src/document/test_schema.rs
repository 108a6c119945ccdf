//! The JSON Schema of test files, for editors.

use serde_json::{Value, json};

use super::expectation::{ENDS, EXITS, MachineWord};

const NAME: &str = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";

/// A JSON Schema (draft 2020-12) of test files: what an editor can tell.
pub fn test_schema() -> Value {
    let mut case = setting();
    case["expect"] = json!({ "$ref": "#/$defs/expect" });
    case["never"] = json!({
        "description": "What happens in none of the worlds",
        "type": "array",
        "minItems": 1,
        "items": { "$ref": "#/$defs/never" },
    });
    case["description"] = text("What it shows");
    let words: Vec<&str> =
        MachineWord::ALL.iter().filter(|word| word.can_come()).map(|word| word.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "runbook tests",
        "description": "What is expected of a runbook in simulated worlds",
        "type": "object",
        "additionalProperties": false,
        "required": ["tests", "cases"],
        "properties": {
            "tests": text("The runbook, relative to this file"),
            "description": text("One sentence"),
            "defaults": described(object(setting()), "What holds for every case that does not say otherwise"),
            "cases": {
                "description": "The cases, by name",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": NAME },
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "anyOf": [{ "required": ["expect"] }, { "required": ["never"] }],
                    "properties": case,
                },
            },
        },
        "$defs": {
            "texts": { "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
            "duration": { "type": "string", "pattern": "^[0-9]+[smhd]$", "description": "90s, 15m, 2h or 14d" },
            "amount": {
                "description": "A number like 5 or a share like 5%",
                "oneOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+%$" }],
            },
            "ends": one_or_many(&ENDS),
            "words": one_or_many(&words),
            "machines": {
                "oneOf": [
                    { "$ref": "#/$defs/words" },
                    {
                        "type": "object",
                        "minProperties": 1,
                        "propertyNames": { "enum": words },
                        "additionalProperties": { "oneOf": [{ "type": "integer", "minimum": 0 }, amounts()] },
                    },
                ],
            },
            "expect": object(json!({
                "outcome": described(json!({ "$ref": "#/$defs/ends" }), "How the run ends, or how it may end"),
                "exit": { "enum": EXITS, "description": "The exit code of the run" },
                "machines": {
                    "description": "How machines come out: by name, id, group, GROUP/NUMBER, or `all`",
                    "type": "object",
                    "additionalProperties": { "$ref": "#/$defs/machines" },
                },
                "order": { "description": "What begins after what has ended", "type": "array", "items": order() },
                "calls": { "description": "How many calls take effect", "type": "array", "items": calls() },
                "finishes_within": described(duration(), "From the first entry to the last, by the world's clock"),
                "window_left": described(duration(), "What is left of the window when the last machine is done"),
                "says": described(json!({ "$ref": "#/$defs/texts" }), "What a message of the run holds"),
            })),
            "never": object(json!({
                "outcome": { "description": "Of the run; with `on`, of machines", "anyOf": [{ "$ref": "#/$defs/ends" }, { "$ref": "#/$defs/words" }] },
                "touched": text("Nothing that writes is done to these machines"),
                "says": described(json!({ "$ref": "#/$defs/texts" }), "What no message of the run holds"),
                "call": text("A call that writes, in the service's words: `ssm:SendCommand`"),
                "operation": text("What the command or job does: `Install`, `Guarded` (a script under a guard), `reboot`"),
                "task": text("A task, step, wave or stage; beside `call`: who makes the call"),
                "on": text("On these machines"),
            })),
        },
    })
}

fn setting() -> Value {
    json!({
        "fleet": {
            "description": "A fleet file, relative to this file, or a fleet",
            "oneOf": [{ "type": "string" }, { "type": "object" }],
        },
        "machines": { "type": "integer", "minimum": 1, "description": "Without a fleet: so many made-up machines for each group" },
        "params": { "type": "object", "description": "Values of parameters" },
        "limit": { "type": "array", "items": { "type": "string" }, "description": "Groups and ids" },
        "faults": {
            "description": "none, usual, rough, a file of draws, a profile, or a list of faults as in a fleet file",
            "oneOf": [{ "type": "string" }, { "type": "object" }, { "type": "array", "items": { "type": "object" } }],
        },
        "crash": { "enum": ["none", "random", "every-append"], "description": "When the runner dies" },
        "seeds": {
            "description": "How many worlds, or which",
            "oneOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "array", "minItems": 1, "uniqueItems": true, "items": { "type": "integer", "minimum": 1 } },
            ],
        },
        "people": { "type": "array", "items": { "type": "object" }, "description": "Who answers gates, as in a fleet file" },
        "start": { "type": "string", "format": "date-time", "description": "When the world begins" },
    })
}

fn order() -> Value {
    let mut schema = object(json!({
        "task": text("A task, step, wave or stage"),
        "after": text("What must have ended before it begins"),
        "before": text("What begins after it has ended"),
        "on": text("On each of these machines; absent: over the whole run"),
    }));
    schema["required"] = json!(["task"]);
    schema
}

fn calls() -> Value {
    let mut schema = object(json!({
        "call": text("A call that writes, in the service's words: `ssm:SendCommand`"),
        "operation": text("What the command or job does: `Install`, `Guarded` (a script under a guard), `reboot`"),
        "task": text("Made by this task, step, wave or stage"),
        "on": text("Counted on each of these machines"),
        "exactly": { "type": "integer", "minimum": 0 },
        "at_least": { "type": "integer", "minimum": 1 },
        "at_most": { "type": "integer", "minimum": 0 },
    }));
    schema["required"] = json!(["call"]);
    schema
}

fn amounts() -> Value {
    object(json!({
        "exactly": { "type": "integer", "minimum": 0 },
        "at_least": { "$ref": "#/$defs/amount" },
        "at_most": { "$ref": "#/$defs/amount" },
    }))
}

fn one_or_many(words: &[&str]) -> Value {
    json!({ "oneOf": [{ "enum": words }, { "type": "array", "minItems": 1, "items": { "enum": words } }] })
}

fn object(properties: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn duration() -> Value {
    json!({ "$ref": "#/$defs/duration" })
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}
