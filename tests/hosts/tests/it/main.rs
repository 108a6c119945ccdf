//! The hosts are what they promise to be.

mod end;
mod families;
mod network;
mod packages;
mod reboot;
