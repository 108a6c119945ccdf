//! What the callback plugin of Ansible writes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runbook_fuzzed::take("playbook", bytes));
