//! Scripts and readers against the real package managers, each in a scratch root of its own.

mod apt;
mod contract;
mod dnf;
mod family;
mod rpm;
mod scratch;
mod zypper;
