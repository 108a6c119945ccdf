//! What a host tells of a job.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runbook_fuzzed::take("job", bytes));
