//! What a host tells of a log.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runbook_fuzzed::take("log", bytes));
