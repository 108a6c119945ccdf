//! sled panics on some damaged files. Here such a panic is an error, and prints nothing.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// Inside [`guarded`]: what the panic said.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs this; what it panicked with, if it did. What it worked on must not be used after that.
///
/// The first call puts a panic hook before the one that is there, which stays silent for these panics only.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let said = SAID.try_with(|said| {
                said.try_borrow_mut().is_ok_and(|mut said| match &mut *said {
                    Some(said) => {
                        *said = message(info.payload());
                        true
                    }
                    None => false,
                })
            });
            if !said.unwrap_or(false) {
                usual(info);
            }
        }));
    });
    let outer = SAID.replace(Some(String::new()));
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    let said = SAID.replace(outer);
    done.map_err(|_| said.unwrap_or_default())
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "(no message)".to_owned(),
    }
}
