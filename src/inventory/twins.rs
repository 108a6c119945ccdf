//! Hosts that may be one machine by several names: it would be changed once for each of them, perhaps in two waves.

use std::collections::BTreeMap;

use runbook_engine::inventory::Register;

/// The port of ssh, where nothing is said.
const SSH: u16 = 22;

/// As many addresses are told; of the others, how many there are.
const MOST: usize = 5;

/// One lower-case sentence for each address that several hosts have.
pub(super) fn notes(register: &Register) -> Vec<String> {
    let mut places: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (name, entry) in register.hosts.iter().filter(|(name, _)| !register.unfit.contains_key(*name)) {
        let connection = &entry.connection;
        let port = connection.port.unwrap_or(SSH);
        let place = (entry.address.to_lowercase(), port, &connection.jump, &connection.config);
        places.entry(place).or_default().push(name);
    }
    let twins: Vec<_> = places.into_iter().filter(|(_, names)| names.len() > 1).collect();
    let told = twins.iter().take(MOST).map(|((address, ..), names)| {
        let others = match names.len() - 2 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let (one, other) = (names[0], names[1]);
        format!(
            "`{one}` and `{other}`{others} are at one address, {address}: a machine of several names is changed once for each"
        )
    });
    let mut notes: Vec<_> = told.collect();
    if twins.len() > MOST {
        notes.push(format!("{} more addresses have several hosts", twins.len() - MOST));
    }
    notes
}

#[cfg(test)]
mod tests {
    use runbook_engine::{connection::Connection, inventory::Register, target::HostEntry};

    use super::notes;

    fn register(hosts: &[(&str, &str, Option<u16>)]) -> Register {
        let entry = |(name, address, port): &(&str, &str, Option<u16>)| {
            let connection = Connection { port: *port, ..Connection::default() };
            let entry = HostEntry { address: (*address).to_owned(), connection, ..HostEntry::default() };
            ((*name).to_owned(), entry)
        };
        Register { hosts: hosts.iter().map(entry).collect(), ..Register::default() }
    }

    #[test]
    fn hosts_at_one_address_and_port_are_told() {
        let one = [
            ("web1", "gw", None),
            ("web2", "GW", Some(22)),
            ("web3", "gw", None),
            ("behind", "gw", Some(2222)),
            ("db1", "10.0.0.1", None),
        ];
        assert_eq!(
            notes(&register(&one)),
            [
                "`web1` and `web2` (and 1 more) are at one address, gw: a machine of several names is changed once for each"
            ]
        );
        let mut unfit = register(&one[..2]);
        unfit.unfit.insert("web2".to_owned(), "it is reached by `local`".to_owned());
        assert!(notes(&unfit).is_empty());
        let many: Vec<_> =
            (0..14).map(|number| (format!("h{number:02}"), format!("a{}", number / 2))).collect();
        let many: Vec<_> = many.iter().map(|(name, at)| (name.as_str(), at.as_str(), None)).collect();
        let told = notes(&register(&many));
        assert_eq!((told.len(), told[5].as_str()), (6, "2 more addresses have several hosts"));
    }
}
