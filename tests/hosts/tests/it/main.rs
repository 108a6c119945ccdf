//! The hosts are what they promise to be.

mod debian;
mod end;
mod network;
mod reboot;
