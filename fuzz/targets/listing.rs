//! What Ansible and inventory programs print.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runbook_fuzzed::take("listing", bytes));
