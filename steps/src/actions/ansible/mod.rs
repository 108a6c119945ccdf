//! Ansible: playbooks that exist already, a wave at a time, with a result for each host.

mod inventory;
pub mod playbook;
mod verdict;
