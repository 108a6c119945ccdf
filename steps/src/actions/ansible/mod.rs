//! Ansible: playbooks that exist already, a wave at a time, with a result for each host.

mod inventory;
mod invocation;
pub mod playbook;
pub mod preview;
mod verdict;
