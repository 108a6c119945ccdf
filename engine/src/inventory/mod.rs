//! The inventory of hosts: what is written or told of them, and what comes of it.
//!
//! A [`Listing`] is what a source says: hosts, groups, and what groups say for their hosts. A [`Register`] is what holds
//! for each host then. A [`Pattern`] chooses hosts of a register.

mod glob;
mod listing;
mod pattern;
mod register;
mod secrecy;
mod source;

pub use listing::{ListedGroup, ListedHost, Listing, Traits};
pub use pattern::{Pattern, PatternError};
pub use register::{ListingDefect, Register, Subject};
pub use secrecy::may_be_secret;
pub(crate) use secrecy::without_secrets;
pub use source::{From, Pages, Source};
