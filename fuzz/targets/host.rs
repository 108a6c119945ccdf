//! What a host prints.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runbook_fuzzed::take("host", bytes));
