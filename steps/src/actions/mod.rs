//! The actions, one file each, in folders named after their families.

pub mod ansible;
pub mod aws;
pub mod check;
pub mod linux;
pub mod local;
pub mod notify;
