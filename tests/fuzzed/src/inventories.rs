//! What is told of hosts, by files, programs and servers.

use std::sync::LazyLock;

use runbook::inventory::{of_page, of_program};
use runbook_engine::{
    document::{is_inventory, read_inventory},
    inventory::{From, Pages},
};

/// How NetBox is asked, as `docs/inventory.md` has it.
static NETBOX: LazyLock<Pages> = LazyLock::new(|| {
    let file = read_inventory("netbox.yaml", include_bytes!("../netbox.yaml")).file.expect("an inventory");
    match file.source.expect("a source").from {
        From::Http(pages) => *pages,
        other => panic!("{other:?}"),
    }
});

/// An inventory file is a register of hosts, or says what is wrong with it.
pub(super) fn file(bytes: &[u8]) {
    is_inventory(&String::from_utf8_lossy(bytes));
    let reading = read_inventory("hosts.yaml", bytes);
    match reading.file {
        Some(file) => drop(file.register(None)),
        None => assert!(!reading.diagnostics.is_empty()),
    }
}

/// What `ansible-inventory` or another program prints.
pub(super) fn listing(bytes: &[u8]) {
    drop(of_program(bytes));
}

/// A page of NetBox.
pub(super) fn netbox(bytes: &[u8]) {
    drop(of_page(&NETBOX, bytes));
}
