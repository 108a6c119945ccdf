//! Where an inventory file has its hosts from, besides what it says itself.

use std::collections::BTreeMap;

use crate::duration::Span;

/// Where an inventory file has its hosts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who is asked.
    pub from: From,
    /// Within which time all of it must be told; absent: a minute.
    pub timeout: Option<Span>,
    /// The variables that are taken over; absent: all but those that may hold a secret.
    pub vars: Option<Vec<String>>,
}

/// Who is asked for hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// `ansible:`, whatever Ansible reads: the arguments of `-i`, relative to the inventory file.
    Ansible(Vec<String>),
    /// `command:`, a program that prints JSON.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// Added to its environment; `{{ secret('NAME') }}` may stand in the values.
        env: BTreeMap<String, String>,
    },
    /// `http:`, a server that answers with JSON.
    Http(Box<Pages>),
}

/// Pages of JSON, and where in them what is said of a host stands: paths like `primary_ip.address`, with `*` for every
/// item of a list, or JSON pointers (`/primary_ip/address`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    /// The first page; `{{ secret('NAME') }}` may stand in it.
    pub url: String,
    /// Headers; `{{ secret('NAME') }}` may stand in the values.
    pub headers: BTreeMap<String, String>,
    /// The list of hosts in a page; absent: the page is the list.
    pub items: Option<String>,
    /// The URL of the next page; absent: there is one page.
    pub next: Option<String>,
    /// The name of a host.
    pub name: String,
    /// Its address; a length of prefix (`/24`) is cut off.
    pub address: Option<String>,
    /// What it serves.
    pub environment: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its variables.
    pub vars: BTreeMap<String, String>,
}
