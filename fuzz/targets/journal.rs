//! Whatever stands in a journal, it decodes or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = runbook_state::format::decode(bytes);
});
