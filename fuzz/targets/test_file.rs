//! Test files: what is expected of a runbook.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runbook_fuzzed::take("test_file", bytes));
