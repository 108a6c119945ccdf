//! Servers that answer with pages of JSON, as NetBox does.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use runbook_engine::inventory::{ListedHost, Listing, Pages, Traits};
use runbook_http::{Network, Page};
use serde_json::Value;
use tokio::runtime;

use super::{
    asking::{Asker, Refusal, Told},
    path,
};

/// The most pages that are asked for: a server whose last page names the first must not hold us for ever.
const MOST_PAGES: usize = 10_000;

/// The largest page.
const MOST_BYTES: usize = 64 << 20;

/// Asks for all pages.
pub(super) fn ask(asker: &Asker, pages: &Pages, timeout: Duration) -> Result<Told, Refusal> {
    let end = Instant::now() + timeout;
    let headers = asker.rendered(&pages.headers)?;
    let failed = |error: std::io::Error| Refusal::of(format!("the server cannot be asked: {error}"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut url = asker.text(&pages.url)?;
    let mut seen = BTreeSet::new();
    let mut listing = Listing::default();
    loop {
        if !seen.insert(url.clone()) || seen.len() > MOST_PAGES {
            return Err(Refusal::of(
                "the server's pages have no end: one names an earlier one as its next".to_owned(),
            ));
        }
        let number = seen.len();
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Refusal::of(format!("the server did not tell all within {} s", timeout.as_secs())));
        }
        let answer = runtime.block_on(asker.network.page(&url, &headers, left, MOST_BYTES));
        let page = read(answer, number)?;
        take_page(&page, pages, number, &mut listing).map_err(Refusal::of)?;
        let next = pages.next.as_ref().and_then(|path| path::text(&page, path));
        let Some(next) = next else { break };
        // The token must not go to another server than the one that it was written down for.
        url = Network::following(&url, &next).map_err(Refusal::of)?;
    }
    Ok(Told { listing, notes: Vec::new() })
}

/// Takes the hosts of a page.
pub(super) fn take_page(
    page: &Value,
    pages: &Pages,
    number: usize,
    listing: &mut Listing,
) -> Result<(), String> {
    let items = match &pages.items {
        Some(path) => path::all(page, path).into_iter().next(),
        None => Some(page),
    };
    let items = items.and_then(Value::as_array).ok_or_else(|| {
        let place = pages.items.as_deref().unwrap_or("the outermost level");
        format!("page {number} of the server has no list at `{place}`")
    })?;
    for (index, item) in items.iter().enumerate() {
        take(item, pages, listing)
            .map_err(|why| format!("item {} of page {number} of the server {why}", index + 1))?;
    }
    Ok(())
}

fn read(answer: Result<Page, String>, number: usize) -> Result<Value, Refusal> {
    let page = answer.map_err(|why| Refusal::of(format!("the server gave no page {number}: {why}")))?;
    match page.status {
        200 => serde_json::from_slice(&page.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Refusal::of(format!("page {number} of the server is no JSON ({place})"))
        }),
        status @ (401 | 403) => Err(Refusal {
            why: format!("the server does not let us in: it answered {status}"),
            hint: Some("look at the secrets that `headers` names".to_owned()),
        }),
        status @ 300..=399 => Err(Refusal {
            why: format!("the server answered {status}: redirects are not followed"),
            hint: Some("write the address that it leads to as `url`".to_owned()),
        }),
        status => Err(Refusal::of(format!("the server answered {status} for page {number}"))),
    }
}

fn take(item: &Value, pages: &Pages, listing: &mut Listing) -> Result<(), String> {
    let name = path::text(item, &pages.name).ok_or_else(|| format!("has no text at `{}`", pages.name))?;
    if listing.hosts.contains_key(&name) {
        return Err(format!("is named `{name}` as another one is"));
    }
    let at = |path: &Option<String>| path.as_ref().and_then(|path| path::text(item, path));
    let vars = pages.vars.iter().filter_map(|(var, path)| {
        let value = *path::all(item, path).first()?;
        (!value.is_null()).then(|| (var.clone(), value.clone()))
    });
    // `10.0.0.1/24`: an address with its network, as NetBox writes it.
    let address = at(&pages.address).map(|text| text.split('/').next().unwrap_or_default().to_owned());
    let traits = Traits {
        vars: vars.collect(),
        environment: at(&pages.environment),
        owner: at(&pages.owner),
        ..Traits::default()
    };
    for group in pages.groups.iter().flat_map(|path| path::all(item, path)).filter_map(path::plain) {
        listing.groups.entry(group_name(&group)).or_default().hosts.insert(name.clone());
    }
    listing.hosts.insert(name, ListedHost { address, unfit: None, traits });
    Ok(())
}

/// A name that patterns and commands can hold: every other character becomes `_`, as in Ansible's group names.
fn group_name(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).collect()
}
