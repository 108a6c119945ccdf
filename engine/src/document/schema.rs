//! The JSON Schema of runbooks, for editors.

use serde_json::{Map, Value, json};

use super::{
    check::{EVENTS, WEBHOOK, described},
    model::ParamKind,
};
use crate::{
    catalog::{ActionDoc, Catalog, InputDoc, InputKind},
    connection::Sudo,
    outcome::ErrorClass,
};

const NAME: &str = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";
const HOST_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$";
const DURATION: &str = "^[0-9]+[smhd]$";
const EXPRESSION: &str = r"\{\{.*\}\}";

/// A JSON Schema (draft 2020-12) of runbooks with these actions. It says what an editor can tell: keys, types, words
/// and the inputs of each action; [`super::check`] tells the rest.
pub fn schema(catalog: &dyn Catalog) -> Value {
    let docs: Vec<&ActionDoc> = catalog.names().into_iter().filter_map(|name| catalog.action(name)).collect();
    let webhook = catalog.action(WEBHOOK).map_or_else(|| json!({ "type": "object" }), inputs);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "runbook",
        "description": "A runbook, or a file that a step of one runs",
        "type": "object",
        "additionalProperties": false,
        "required": ["runbook", "steps"],
        "properties": {
            "runbook": described_as(json!({ "$ref": "#/$defs/name" }), "Its name"),
            "description": text("One sentence"),
            "env": described_as(
                json!({ "type": "array", "uniqueItems": true, "items": { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" } }),
                "The environment variables that expressions may read",
            ),
            "params": {
                "description": "Its parameters, by name",
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$" },
                "additionalProperties": { "$ref": "#/$defs/param" },
            },
            "targets": by_name("Target groups, by name", "group"),
            "patchset": {
                "description": "The step that tests patches: later ones install exactly what it installed and verified",
                "oneOf": [{ "type": "string" }, patchset()],
            },
            "blocks": {
                "description": "Blocks, by name: steps that run once per wave",
                "type": "object",
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": by_name("The steps of the block, by id", "step"),
            },
            "steps": by_name("The steps, by id", "step"),
            "finally": by_name("Steps that run once at every end", "step"),
            "notify": {
                "description": "Who is told what",
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["events", "webhook"],
                    "properties": {
                        "events": { "type": "array", "uniqueItems": true, "items": { "enum": EVENTS } },
                        "webhook": webhook,
                    },
                },
            },
        },
        "$defs": {
            "name": { "type": "string", "pattern": NAME },
            "ids": { "type": "array", "uniqueItems": true, "items": { "type": "string" } },
            "texts": { "type": "array", "items": { "type": "string" } },
            "duration": { "type": "string", "pattern": DURATION, "description": "90s, 15m, 2h or 14d" },
            "amount": {
                "description": "A number like 5 or a share like 5%",
                "oneOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+%$" }],
            },
            "expression": { "type": "string", "pattern": EXPRESSION },
            "param": param(),
            "group": group(),
            "rollout": rollout(),
            "retry": retry(),
            "step": step(&docs),
        },
    })
}

fn described_as(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn definition(name: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}"), "description": description })
}

fn by_name(description: &str, definition: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "$ref": "#/$defs/name" },
        "additionalProperties": { "$ref": format!("#/$defs/{definition}") },
    })
}

fn object(properties: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn param() -> Value {
    let mut schema = object(json!({
        "type": { "enum": ParamKind::ALL.map(ParamKind::as_str) },
        "enum": { "type": "array", "minItems": 1, "description": "The values that it may have" },
        "default": { "description": "Its value when none is given; without one, a value must be given" },
        "description": text("What it is for"),
    }));
    schema["required"] = json!(["type"]);
    schema
}

fn patchset() -> Value {
    let mut schema = object(json!({ "from": text("The id of the step") }));
    schema["required"] = json!(["from"]);
    schema
}

fn group() -> Value {
    let texts = json!({ "$ref": "#/$defs/texts" });
    let host = json!({
        "oneOf": [
            { "type": "null" },
            object(json!({
                "address": text("A name or an IP address; absent: the host's name"),
                "vars": { "type": "object", "description": "Variables, as `target.vars` in expressions" },
                "connection": connection(),
                "environment": text("What it serves, as `target.environment` in expressions"),
                "owner": text("Who answers for it, as `target.owner` in expressions"),
            })),
        ],
    });
    object(json!({
        "aws": described_as(
            object(json!({
                "tags": {
                    "description": "Instances that have all of these tags, each with (one of) the values",
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": { "oneOf": [{ "type": "string" }, texts] },
                },
                "ids": described_as(texts.clone(), "These instances"),
                "resource_group": text("The members of this resource group"),
                "region": text("The Region; absent: the default one"),
                "role": text("The role to assume"),
                "external_id": text("What the role asks for besides (sts:ExternalId)"),
            })),
            "EC2 instances",
        ),
        "hosts": {
            "description": "Hosts, by name, or from an inventory file",
            "anyOf": [
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["inventory"],
                    "properties": {
                        "inventory": text("The file, relative to the runbook"),
                        "group": text("Which of its groups and hosts, as a pattern: `web`, `web:!canary`, `web:&production`, `web*`; absent: all hosts"),
                    },
                },
                { "type": "object", "propertyNames": { "pattern": HOST_NAME }, "additionalProperties": host },
            ],
        },
        "all_of": definition("ids", "The machines that are in each of these groups"),
        "minus": definition("ids", "Without the machines of these groups"),
    }))
}

fn connection() -> Value {
    let port = json!({
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "description": "The TCP port; absent: what ssh takes",
    });
    let jump = json!({
        "description": "The hosts to go through, in order, each as `user@host:port`",
        "oneOf": [{ "type": "string" }, { "$ref": "#/$defs/texts" }],
    });
    let sudo = json!({
        "enum": Sudo::ALL.map(Sudo::as_str),
        "description": "How to become root; absent: not at all where the user is root, else `passwordless`",
    });
    described_as(
        object(json!({
            "port": port,
            "user": text("The user to log in as; absent: what ssh takes"),
            "identity": text("The path of a private key file; absent: the agent's and the usual keys"),
            "config": text("An ssh_config file in place of the user's own"),
            "jump": jump,
            "sudo": sudo,
            "sudo_password": text("The name of the secret that holds the password for sudo; never the password"),
        })),
        "How it is reached over SSH, where that is not what the user's own ssh configuration says",
    )
}

fn rollout() -> Value {
    object(json!({
        "waves": {
            "description": "How many machines, or which share, have been done when each wave ends",
            "type": "array",
            "items": { "$ref": "#/$defs/amount" },
        },
        "soak": definition("duration", "How long to wait after every wave, before its checks run again"),
        "max_failures": definition("amount", "How many machines may fail before the rollout stops; absent: none"),
        "window": text("A `gate/window` step that is asked again before every wave"),
        "first": definition("ids", "The names of the machines to begin with"),
        "spread": text("A tag: each wave holds machines of one value"),
        "max_in_flight": definition("amount", "How many machines of a wave are worked on at once"),
    }))
}

fn retry() -> Value {
    let mut schema = object(json!({
        "attempts": { "type": "integer", "minimum": 1, "description": "How many attempts in all" },
        "errors": {
            "description": "Which errors are tried again; absent: all",
            "type": "array",
            "items": { "enum": ErrorClass::ALL.map(ErrorClass::as_str) },
        },
        "delay": definition("duration", "How long to wait before the second attempt; doubled for each further one"),
    }));
    schema["required"] = json!(["attempts"]);
    schema
}

fn step(docs: &[&ActionDoc]) -> Value {
    let names: Vec<&str> = docs.iter().map(|doc| doc.name).collect();
    let cases: Vec<Value> = docs
        .iter()
        .map(|doc| {
            json!({
                "if": { "properties": { "uses": { "const": doc.name } }, "required": ["uses"] },
                "then": { "properties": { "with": inputs(doc) } },
            })
        })
        .collect();
    let mut schema = object(json!({
        "description": text("One sentence"),
        "uses": { "description": "The action", "enum": names },
        "run": text("A block, or a file like ./file.yaml"),
        "with": { "type": "object", "description": "The inputs of the action, or the parameters of the file" },
        "needs": definition("ids", "Steps that must have succeeded before"),
        "on_failure": definition("ids", "Branch steps that this step's failure leads to"),
        "targets": {
            "description": "The machines: a group, or those on which steps failed or worked",
            "oneOf": [
                { "type": "string" },
                { "type": "object", "additionalProperties": false, "required": ["failed_in"],
                  "properties": { "failed_in": definition("ids", "On which one of these steps started and did not succeed") } },
                { "type": "object", "additionalProperties": false, "required": ["touched_by"],
                  "properties": { "touched_by": definition("ids", "On which one of these steps started") } },
            ],
        },
        "timeout": definition("duration", "How long one attempt may take"),
        "retry": { "$ref": "#/$defs/retry" },
        "when": { "description": "A condition: else the step is skipped", "type": ["string", "boolean"] },
        "rollout": { "$ref": "#/$defs/rollout" },
        "effect": { "description": "What it does to machines, where the action cannot know", "enum": ["reads", "changes", "unknown"] },
        "backs_up": { "type": "boolean", "description": "It makes a backup that machines can be restored from" },
        "restores": text("It restores machines from the backup that this step made"),
        "way_back": { "description": "There is none; `because` says why", "const": "none" },
        "because": text("Why there is no way back"),
        "resolve_within": definition("duration", "How long a machine whose state is unknown waits for a person; absent: 24h"),
    }));
    schema["oneOf"] = json!([{ "required": ["uses"] }, { "required": ["run"] }]);
    schema["dependentRequired"] = json!({ "way_back": ["because"], "because": ["way_back"] });
    schema["allOf"] = cases.into();
    schema
}

/// `with:` of an action.
fn inputs(doc: &ActionDoc) -> Value {
    let properties: Map<String, Value> =
        doc.inputs.iter().map(|input| (input.name.to_owned(), self::input(input))).collect();
    let mut schema = object(Value::Object(properties));
    schema["description"] = doc.summary.into();
    let required: Vec<&str> =
        doc.inputs.iter().filter(|input| input.required).map(|input| input.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !doc.exactly_one_of.is_empty() {
        let cases: Vec<Value> = doc.exactly_one_of.iter().map(|name| json!({ "required": [name] })).collect();
        schema["oneOf"] = cases.into();
    }
    schema
}

fn input(input: &InputDoc) -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let exact = match &input.kind {
        InputKind::String
        | InputKind::Script
        | InputKind::StepRef
        | InputKind::TimeZone
        | InputKind::Cron => {
            json!({ "type": "string" })
        }
        InputKind::Bool => json!({ "type": "boolean" }),
        InputKind::Integer => json!({ "type": "integer", "minimum": 0 }),
        InputKind::Duration => json!({ "type": "string", "pattern": DURATION }),
        InputKind::Timestamp => json!({ "type": "string", "format": "date-time" }),
        InputKind::Url => json!({ "type": "string", "pattern": "^(https?://|\\{\\{)" }),
        InputKind::Enum(words) => json!({ "enum": words }),
        InputKind::Strings => texts,
        InputKind::StringMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        InputKind::StringListMap => json!({ "type": "object", "additionalProperties": texts }),
        InputKind::Any => json!({}),
    };
    let mut schema = match input.kind {
        InputKind::StepRef | InputKind::Any | InputKind::String | InputKind::Script | InputKind::Url => exact,
        _ => json!({ "anyOf": [exact, { "$ref": "#/$defs/expression" }] }),
    };
    schema["description"] = format!("{} ({})", input.doc, described(&input.kind)).into();
    if !input.default.is_null() {
        schema["default"] = input.default.clone();
    }
    schema
}
