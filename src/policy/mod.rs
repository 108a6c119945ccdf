//! The least IAM policy for a runbook, one document for each account that it works in.
//!
//! A runbook is planned with stand-ins in place of machines ([`stand_in`]), so nobody needs a right to learn which ones
//! are needed. [`used`] gathers what its actions call, by account; [`table`] says what each right may be limited to;
//! [`document`] writes it as IAM wants it.

pub mod document;
pub mod stand_in;
pub mod table;
pub mod used;
