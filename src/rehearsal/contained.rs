//! A panic in one world, as something that is said of this world.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::Once,
};

thread_local! {
    /// The panics on this thread while a world is lived through; absent: none is.
    static NOTED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Does something, and gives what it came to, with the panics on the way: what began as a task of a runtime may have caught
/// its own. Nothing is printed of them.
pub(super) fn contained<T>(act: impl FnOnce() -> T) -> (Option<T>, Vec<String>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                before(info);
            }
        }));
    });
    NOTED.set(Some(Vec::new()));
    let came = panic::catch_unwind(AssertUnwindSafe(act)).ok();
    (came, NOTED.take().unwrap_or_default())
}

fn note(info: &PanicHookInfo<'_>) -> bool {
    NOTED.with_borrow_mut(|noted| {
        let Some(noted) = noted else { return false };
        let said = info.payload_as_str().unwrap_or("no words");
        let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
        noted.push(format!("it panicked: {said}{}", place.unwrap_or_default()));
        true
    })
}

#[cfg(test)]
mod tests {
    use super::contained;

    #[test]
    fn a_panic_is_told_with_its_words_and_its_place() {
        let (came, said) = contained(|| -> u32 { panic!("the {} is empty", "queue") });
        assert_eq!(came, None);
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("it panicked: the queue is empty (") && said[0].contains("contained.rs:")
        );
    }

    #[test]
    fn a_panic_that_somebody_caught_is_told_too() {
        let (came, said) = contained(|| std::panic::catch_unwind(|| panic!("inside")).is_err());
        assert_eq!((came, said.len()), (Some(true), 1));
        assert_eq!(contained(|| 7), (Some(7), Vec::new()));
    }
}
