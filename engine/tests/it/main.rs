//! The core, tested from outside: plans made from text, runs driven in virtual time.

mod catalog;
mod corners;
mod drive;
mod experience;
mod inventory;
mod laws;
mod oracle;
mod patchset;
mod planned;
mod planning;
mod ten_situations;
