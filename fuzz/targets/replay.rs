//! Entries of a journal, applied to a run.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runbook_fuzzed::take("replay", bytes));
