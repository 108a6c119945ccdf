//! What came of tests, as JUnit XML, for CI servers.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::test_page::Told;

/// A test file that could not be tried, and why.
#[derive(Clone, Debug)]
pub struct Untried {
    /// The test file.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

/// The report: a suite for each test file, in it a test for each case.
///
/// # Errors
/// It cannot be written as XML.
pub fn report(told: &[Told], untried: &[Untried]) -> Result<String, SerializeError> {
    let mut report = Report::new("runbook test");
    for file in untried {
        let mut suite = TestSuite::new(file.file.as_str());
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status
            .set_type("invalid")
            .set_message("the cases cannot be tried")
            .set_description(file.why.as_str());
        let mut case = TestCase::new("can-be-tried", status);
        case.set_classname(class(&file.file)).set_time(Duration::ZERO);
        suite.add_test_case(case);
        report.add_test_suite(suite);
    }
    let mut rest = told;
    while let Some(first) = rest.first() {
        let (of_file, others) = rest.split_at(rest.iter().take_while(|told| told.file == first.file).count());
        let mut suite = TestSuite::new(first.file.as_str());
        suite.set_time(of_file.iter().map(|told| told.tried.took).sum());
        suite.add_test_cases(of_file.iter().map(case));
        report.add_test_suite(suite);
        rest = others;
    }
    report.set_time(told.iter().map(|told| told.tried.took).sum());
    report.to_string()
}

fn case(told: &Told) -> TestCase {
    let status = match &told.tried.first {
        None => TestCaseStatus::success(),
        Some(first) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let message = match first.unmet.first() {
                Some(unmet) if !told.breaks_a_law() => {
                    format!("expected {}, came {}", unmet.expected, unmet.came)
                }
                _ => "a law was broken".to_owned(),
            };
            let mut text = String::new();
            for failure in told.tried.told() {
                let lines = told.lines(failure).join("\n");
                text.push_str(&format!("{lines}\nsee it: {}\n", told.command(failure.seed)));
            }
            text.push_str(&format!("in {} of {} worlds", told.tried.failed, told.tried.worlds));
            status.set_type("expectation").set_message(message).set_description(text);
            status
        }
    };
    let mut case = TestCase::new(told.name.as_str(), status);
    case.set_classname(class(&told.file)).set_time(told.tried.took);
    case
}

/// `runbooks/patch-linux.test.yaml` is the class `runbooks.patch-linux`.
fn class(file: &str) -> String {
    let plain = file.trim_start_matches("./").trim_start_matches('/');
    let plain = plain.strip_suffix(".yaml").unwrap_or(plain);
    plain.strip_suffix(".test").unwrap_or(plain).replace('/', ".")
}
