//! The documents of AWS that this sandbox has: exactly their parameters, their steps and platforms
//! (facts: AWS-RunPatchBaseline).

use serde_json::{Value, json};

/// A Command document that AWS owns.
#[derive(Debug)]
pub(super) struct Document {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Its schema.
    pub schema: &'static str,
    /// `Linux`, `MacOS`, `Windows`.
    pub platforms: &'static [&'static str],
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Its steps.
    pub steps: &'static [Step],
}

/// A parameter of a document.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// `String` or `StringList`.
    pub kind: &'static str,
    /// What it is when it is not given; absent: it must be given.
    pub usual: Option<&'static str>,
    /// What it is for.
    pub description: &'static str,
    /// The values that it may have; empty: any.
    pub allowed: &'static [&'static str],
}

/// A step of a document. Its name is the `PluginName` of `GetCommandInvocation`.
#[derive(Debug)]
pub(super) struct Step {
    /// Its name.
    pub name: &'static str,
    /// What it does: `aws:runShellScript`.
    pub action: &'static str,
    /// Where it runs; on others it is skipped, and shown as a success (facts: AWS-RunPatchBaseline).
    pub platform: Option<&'static str>,
    /// Its own limit, in seconds.
    pub limit_s: Option<u64>,
}

const fn parameter(
    name: &'static str,
    kind: &'static str,
    usual: Option<&'static str>,
    description: &'static str,
    allowed: &'static [&'static str],
) -> Parameter {
    Parameter { name, kind, usual, description, allowed }
}

const SCRIPT: [Parameter; 3] = [
    parameter("commands", "StringList", None, "The lines of the script.", &[]),
    parameter("workingDirectory", "String", Some(""), "The folder that it begins in.", &[]),
    parameter("executionTimeout", "String", Some("3600"), "How long it may run, in seconds.", &[]),
];

/// All of them.
pub(super) const DOCUMENTS: [Document; 4] = [
    Document {
        name: "AWS-RunShellScript",
        description: "Run a shell script or specify the commands to run.",
        schema: "1.2",
        platforms: &["Linux", "MacOS"],
        parameters: &SCRIPT,
        steps: &[Step {
            name: "aws:runShellScript",
            action: "aws:runShellScript",
            platform: None,
            limit_s: None,
        }],
    },
    Document {
        name: "AWS-RunPowerShellScript",
        description: "Run a PowerShell script or specify the paths to scripts to run.",
        schema: "1.2",
        platforms: &["Windows", "Linux"],
        parameters: &SCRIPT,
        steps: &[Step {
            name: "aws:runPowerShellScript",
            action: "aws:runPowerShellScript",
            platform: None,
            limit_s: None,
        }],
    },
    Document {
        name: "AWS-RunPatchBaseline",
        description: "Scans for or installs patches from a patch baseline to a Linux or Windows operating system.",
        schema: "2.2",
        platforms: &["Windows", "Linux", "MacOS"],
        parameters: &[
            parameter("Operation", "String", None, "Whether patches are installed.", &["Scan", "Install"]),
            parameter("AssociationId", "String", Some(""), "Set by State Manager.", &[]),
            parameter("SnapshotId", "String", Some(""), "What freezes the list of approved patches.", &[]),
            parameter(
                "InstallOverrideList",
                "String",
                Some(""),
                "A list of patches instead of the baseline.",
                &[],
            ),
            parameter(
                "BaselineOverride",
                "String",
                Some(""),
                "Baselines instead of the registered one.",
                &[],
            ),
            parameter(
                "RebootOption",
                "String",
                Some("RebootIfNeeded"),
                "What is done about reboots.",
                &["RebootIfNeeded", "NoReboot"],
            ),
        ],
        steps: &[
            Step {
                name: "PatchWindows",
                action: "aws:runPowerShellScript",
                platform: Some("Windows"),
                limit_s: Some(7200),
            },
            Step {
                name: "PatchLinux",
                action: "aws:runShellScript",
                platform: Some("Linux"),
                limit_s: Some(7200),
            },
            Step {
                name: "PatchMacOS",
                action: "aws:runShellScript",
                platform: Some("MacOS"),
                limit_s: Some(7200),
            },
        ],
    },
    Document {
        name: "AWS-UpdateSSMAgent",
        description: "Update the Amazon SSM Agent to the latest version or specified version.",
        schema: "1.2",
        platforms: &["Windows", "Linux", "MacOS"],
        parameters: &[
            parameter("version", "String", Some(""), "A version; empty: the latest.", &[]),
            parameter(
                "allowDowngrade",
                "String",
                Some("false"),
                "Whether it may go back.",
                &["true", "false"],
            ),
        ],
        steps: &[Step {
            name: "aws:updateSsmAgent",
            action: "aws:updateSsmAgent",
            platform: None,
            limit_s: None,
        }],
    },
];

impl Document {
    /// The document with this name or ARN.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.rsplit_once(":document/").map_or(name, |(_, name)| name);
        DOCUMENTS.iter().find(|document| document.name == name)
    }

    /// Why these parameters cannot be.
    pub fn check(&self, parameters: &[(String, Vec<String>)]) -> Result<(), String> {
        for (name, values) in parameters {
            let Some(known) = self.parameters.iter().find(|parameter| parameter.name == *name) else {
                return Err(format!("`{name}` is no parameter of {}", self.name));
            };
            if known.kind == "String" && values.len() > 1 {
                return Err(format!("{name} has one value, not {}", values.len()));
            }
            let wrong = values
                .iter()
                .find(|value| !known.allowed.is_empty() && !known.allowed.contains(&value.as_str()));
            if let Some(wrong) = wrong {
                return Err(format!("{name} is one of {}, not `{wrong}`", known.allowed.join(", ")));
            }
        }
        let missing =
            self.parameters.iter().filter(|parameter| parameter.usual.is_none()).find(|parameter| {
                !parameters.iter().any(|(name, values)| name == parameter.name && !values.is_empty())
            });
        missing.map_or(Ok(()), |parameter| Err(format!("{} needs {}", self.name, parameter.name)))
    }

    /// The step that does the work on such a machine.
    pub fn step_on(&self, platform: &str) -> &'static Step {
        let fits = |step: &&Step| step.platform.is_none_or(|wanted| wanted == platform);
        self.steps.iter().find(fits).unwrap_or(&self.steps[0])
    }

    /// What is in it, in its schema.
    pub fn content(&self) -> Value {
        let parameters = self.parameters.iter().map(|parameter| {
            let mut value = json!({ "type": parameter.kind, "description": parameter.description });
            if let Some(usual) = parameter.usual {
                value["default"] = json!(usual);
            }
            if !parameter.allowed.is_empty() {
                value["allowedValues"] = json!(parameter.allowed);
            }
            (parameter.name.to_owned(), value)
        });
        let parameters: serde_json::Map<_, _> = parameters.collect();
        let mut content = json!({
            "schemaVersion": self.schema,
            "description": self.description,
            "parameters": parameters,
        });
        if self.schema == "1.2" {
            let steps = self.steps.iter().map(|step| {
                let inputs = self.parameters.iter().map(|parameter| {
                    let inside = match parameter.name {
                        "commands" => "runCommand",
                        "executionTimeout" => "timeoutSeconds",
                        other => other,
                    };
                    (inside.to_owned(), json!(format!("{{{{ {} }}}}", parameter.name)))
                });
                let inputs: serde_json::Map<_, _> = inputs.collect();
                (step.action.to_owned(), json!({ "properties": [inputs] }))
            });
            content["runtimeConfig"] = Value::Object(steps.collect());
        } else {
            content["mainSteps"] = self
                .steps
                .iter()
                .map(|step| {
                    let mut value = json!({
                        "action": step.action,
                        "name": step.name,
                        "inputs": { "timeoutSeconds": step.limit_s, "runCommand": ["{{ Operation }}"] },
                    });
                    if let Some(platform) = step.platform {
                        value["precondition"] = json!({ "StringEquals": ["platformType", platform] });
                    }
                    value
                })
                .collect();
        }
        content
    }
}
