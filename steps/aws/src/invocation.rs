//! What Run Command says of one machine's part, in the port's terms.

use aws_sdk_ssm::{
    operation::get_command_invocation::GetCommandInvocationOutput,
    primitives::DateTime,
    types::{CommandInvocation, CommandPlugin},
};
use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use runbook_steps::ports::ssm::{Invocation, InvocationStatus};

/// The status by `StatusDetails`, which documents and answers spell with and without blanks; else by `Status`.
/// A word that we do not know is no end.
pub(crate) fn status(details: &str, status: &str) -> InvocationStatus {
    word(details).or_else(|| word(status)).unwrap_or_else(|| {
        tracing::warn!(details, status, "unknown status of an invocation: taken as still running");
        InvocationStatus::Running
    })
}

fn word(text: &str) -> Option<InvocationStatus> {
    let word: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    Some(match word.as_str() {
        "pending" | "inprogress" | "delayed" | "cancelling" => InvocationStatus::Running,
        "success" => InvocationStatus::Succeeded,
        "failed" => InvocationStatus::Failed,
        "executiontimedout" => InvocationStatus::ExecutionTimedOut,
        "undeliverable" | "terminated" => InvocationStatus::NeverRan,
        "invalidplatform" | "accessdenied" => InvocationStatus::Refused,
        // A machine that took the command and was then lost ends as `DeliveryTimedOut` too.
        "deliverytimedout" | "cancelled" | "canceled" | "timedout" => InvocationStatus::Unclear,
        _ => return None,
    })
}

/// What stands between standard output and standard error in the output of a step, as the agent joins them.
const STDERR_FOLLOWS: &str = "\n----------ERROR-------\n";

/// From this length on an output may have been cut: the agent keeps 2,500 characters, its marks of cutting included.
const MAY_BE_CUT: usize = 2_400;

/// Standard output and error of a step, where nothing is missing of them.
fn printed(plugin: &CommandPlugin) -> Option<(String, String)> {
    let output = plugin.output().unwrap_or_default();
    if output.chars().count() >= MAY_BE_CUT {
        return None;
    }
    let (stdout, stderr) = output.split_once(STDERR_FOLLOWS).unwrap_or((output, ""));
    Some((stdout.to_owned(), stderr.to_owned()))
}

/// A row of `ListCommandInvocations` with details.
pub(crate) fn row(row: &CommandInvocation) -> Option<Invocation> {
    let details = row.status_details().unwrap_or_default();
    let status = status(details, row.status().map_or("", |status| status.as_str()));
    let plugins = row.command_plugins();
    let printed = match status {
        InvocationStatus::Running => None,
        _ => telling(plugins).and_then(printed),
    };
    let (stdout, stderr) = printed.unzip();
    Some(Invocation {
        instance: TargetId::new(row.instance_id()?),
        status,
        details: details.to_owned(),
        exit_code: telling(plugins).and_then(|plugin| exit_code(plugin.response_code(), status)),
        ended_at: plugins
            .iter()
            .filter_map(CommandPlugin::response_finish_date_time)
            .filter_map(timestamp)
            .max()
            .filter(|_| status != InvocationStatus::Running),
        stdout,
        stderr,
    })
}

/// The step whose result is the document's: the first one that did not succeed, else the last one that ran.
/// (Steps for another platform are skipped and still show as `Success`, with code 0 and without output.)
pub(crate) fn telling(plugins: &[CommandPlugin]) -> Option<&CommandPlugin> {
    plugins
        .iter()
        .find(|plugin| plugin.response_code() > 0)
        .or_else(|| plugins.iter().rfind(|plugin| plugin.output().is_some_and(|output| !output.is_empty())))
        .or_else(|| plugins.last())
}

/// The answer of `GetCommandInvocation`.
pub(crate) fn single(answer: &GetCommandInvocationOutput, instance: &TargetId) -> Invocation {
    let details = answer.status_details().unwrap_or_default();
    let status = status(details, answer.status().map_or("", |status| status.as_str()));
    Invocation {
        instance: instance.clone(),
        status,
        details: details.to_owned(),
        exit_code: exit_code(answer.response_code(), status),
        ended_at: answer.execution_end_date_time().and_then(|text| text.parse().ok()),
        stdout: answer.standard_output_content().map(str::to_owned),
        stderr: answer.standard_error_content().map(str::to_owned),
    }
}

/// -1 stands for "has not run".
fn exit_code(code: i32, status: InvocationStatus) -> Option<i32> {
    let ran =
        !matches!(status, InvocationStatus::Running | InvocationStatus::NeverRan | InvocationStatus::Refused);
    (ran && code >= 0).then_some(code)
}

pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.to_millis().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::{
        primitives::DateTime,
        types::{CommandInvocation, CommandInvocationStatus, CommandPlugin},
    };
    use runbook_steps::ports::ssm::InvocationStatus;

    use super::{row, status};

    #[test]
    fn details_are_read_with_and_without_blanks() {
        for (details, expected) in [
            ("Pending", InvocationStatus::Running),
            ("In Progress", InvocationStatus::Running),
            ("Delayed", InvocationStatus::Running),
            ("Cancelling", InvocationStatus::Running),
            ("Success", InvocationStatus::Succeeded),
            ("Failed", InvocationStatus::Failed),
            ("Execution Timed Out", InvocationStatus::ExecutionTimedOut),
            ("ExecutionTimedOut", InvocationStatus::ExecutionTimedOut),
            ("Undeliverable", InvocationStatus::NeverRan),
            ("Terminated", InvocationStatus::NeverRan),
            ("InvalidPlatform", InvocationStatus::Refused),
            ("Access Denied", InvocationStatus::Refused),
            ("Delivery Timed Out", InvocationStatus::Unclear),
            ("Canceled", InvocationStatus::Unclear),
            ("Cancelled", InvocationStatus::Unclear),
        ] {
            assert_eq!(status(details, ""), expected, "{details}");
        }
    }

    #[test]
    fn a_word_that_nobody_knows_is_no_end() {
        assert_eq!(status("Pondering", "Pondering"), InvocationStatus::Running);
        assert_eq!(status("", ""), InvocationStatus::Running);
        assert_eq!(status("Pondering", "Failed"), InvocationStatus::Failed);
    }

    fn plugin(name: &str, code: i32, end: Option<i64>) -> CommandPlugin {
        CommandPlugin::builder()
            .name(name)
            .response_code(code)
            .set_response_finish_date_time(end.map(DateTime::from_secs))
            .build()
    }

    #[test]
    fn a_row_tells_the_code_of_the_step_that_failed_and_the_end_of_the_last_one() {
        let failed = CommandInvocation::builder()
            .instance_id("i-0123456789abcdef0")
            .status(CommandInvocationStatus::Failed)
            .status_details("Failed")
            .command_plugins(plugin("first", 0, Some(10)))
            .command_plugins(plugin("second", 7, Some(30)))
            .command_plugins(plugin("third", 0, Some(20)))
            .build();
        let read = row(&failed).expect("it names its machine");
        assert_eq!((read.status, read.exit_code), (InvocationStatus::Failed, Some(7)));
        assert_eq!(read.ended_at.map(|at| at.as_second()), Some(30));
    }

    #[test]
    fn short_outputs_are_read_whole_and_long_ones_not_at_all() {
        let of = |output: &str| {
            let plugin = CommandPlugin::builder().name("one").response_code(1).output(output).build();
            let row_ =
                CommandInvocation::builder().instance_id("i-0123456789abcdef0").status_details("Failed");
            let read = row(&row_.command_plugins(plugin).build()).expect("it names its machine");
            (read.stdout, read.stderr)
        };
        assert_eq!(of("fine"), (Some("fine".into()), Some(String::new())));
        assert_eq!(
            of("fine\n----------ERROR-------\nno space left"),
            (Some("fine".into()), Some("no space left".into()))
        );
        assert_eq!(of(&"x".repeat(2_400)), (None, None));
    }

    #[test]
    fn what_has_not_run_has_no_exit_code() {
        let waiting = CommandInvocation::builder()
            .instance_id("i-0123456789abcdef0")
            .status_details("Undeliverable")
            .command_plugins(plugin("only", -1, None))
            .build();
        let read = row(&waiting).expect("it names its machine");
        assert_eq!((read.status, read.exit_code, read.ended_at), (InvocationStatus::NeverRan, None, None));
        assert_eq!(row(&CommandInvocation::builder().status_details("Success").build()), None);
    }
}
