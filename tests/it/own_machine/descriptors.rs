//! A process that may open few files.

use super::{Chain, below, done};
use crate::program::Place;

#[test]
fn a_process_that_may_open_few_files_is_slow_or_says_so_and_counts_no_machine_as_failed() {
    let chain = Chain { steps: 2, hosts: 40 };
    for limit in [8, 12, 16, 20, 24, 32, 64] {
        let place = Place::new();
        let (state, file) = (place.path("state").display().to_string(), chain.write(&place));
        let limited = done(below(&place, &format!("ulimit -n {limit}"), &["run", &file]));
        let when = format!("{limit} files: {}{}", limited.stdout, limited.stderr);
        if limit >= 32 || limited.code == 0 {
            assert_eq!(limited.code, 0, "{when}");
            chain.ran_once(&place, &when);
        } else {
            match limited.code {
                // With less than ten it is the loader that says so.
                127 => {}
                12 => assert!(limited.stdout.contains("Too many open files"), "{when}"),
                code => {
                    assert!(matches!(code, 1 | 20), "{when}");
                    assert!(limited.stderr.contains("ulimit -n 4096"), "{when}");
                }
            }
            chain.goes_on(&place, &state, &when);
        }
    }
}
