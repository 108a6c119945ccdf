//! Artifacts, for a person.

use std::collections::BTreeMap;

use runbook_engine::{artifact::ArtifactKind, ids::RunId, target::Home};
use runbook_state::artifact::{ArtifactRow, ArtifactState};

use super::{
    columns::columns,
    paint::Paint,
    words::{count, moment},
};
use crate::artifacts::{
    books::Books,
    collect::{Collected, Report},
    held::Unasked,
    orphan::Orphan,
    price::monthly_usd,
};

/// The ledger: what is there, or may be; with `all`, what was deleted too. One table for each world.
pub fn list(books: &Books, of: Option<&RunId>, all: bool, paint: Paint) -> String {
    let mut worlds: BTreeMap<Option<&str>, Vec<&ArtifactRow>> = BTreeMap::new();
    for row in books.rows.iter().filter(|row| of.is_none_or(|run| row.run == *run)) {
        worlds.entry(books.world(&row.run)).or_default().push(row);
    }
    let needs = books.needs();
    let mut text = String::new();
    for (world, rows) in worlds {
        if let Some(world) = world {
            text.push_str(&format!("{}\n", paint.bold(&format!("simulated fleet {world}"))));
        }
        let head =
            ["run", "kind", "id", "machine", "where", "size", "a month", "made", "expires", "state", ""];
        let mut lines = vec![head.map(|word| paint.dim(word)).to_vec()];
        let there = |row: &&&ArtifactRow| row.state != ArtifactState::Deleted;
        lines.extend(rows.iter().filter(|row| all || there(row)).map(|row| {
            let note = match (&row.gc, needs.get(&row.run)) {
                (Some(gc), _) => {
                    let note = gc.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                    format!("{} by {}{note}", gc.end.as_str().replace('_', " "), gc.by)
                }
                (None, Some(need)) => need.to_string(),
                (None, None) => String::new(),
            };
            vec![
                paint.bold(row.run.as_str()),
                kind(row.kind),
                row.id.clone().unwrap_or_else(|| "not known yet".to_owned()),
                row.target.as_ref().map(ToString::to_string).unwrap_or_default(),
                row.home.as_ref().map(place).unwrap_or_default(),
                size(row.size_gib),
                usd(price(row.kind, row.size_gib)),
                moment(row.made_at),
                row.expires.map_or_else(|| "never".to_owned(), moment),
                row.state.as_str().to_owned(),
                note,
            ]
        }));
        if lines.len() > 1 {
            text.push_str(&columns(&lines, ""));
        }
        let kept: Vec<_> = rows.iter().filter(there).map(|row| (row.kind, row.size_gib)).collect();
        let gone = rows.len() - kept.len();
        text.push_str(&total(&kept));
        if gone > 0 && !all {
            text.push_str(&format!("; {gone} more deleted (--all)"));
        }
        text.push('\n');
    }
    text
}

/// What nobody answers for.
pub fn orphans(orphans: &[Orphan], paint: Paint) -> String {
    let head = ["kind", "id", "where", "size", "a month", "made", "run", "expires", "why"];
    let mut lines = vec![head.map(|word| paint.dim(word)).to_vec()];
    lines.extend(orphans.iter().map(|Orphan { held, why }| {
        let store = held.store.as_deref().filter(|_| *why == crate::artifacts::orphan::Why::OtherStore);
        vec![
            kind(held.kind),
            paint.bold(&held.id),
            place(&held.home),
            size(held.size_gib),
            usd(price(held.kind, held.size_gib)),
            held.made_at.map(moment).unwrap_or_default(),
            held.run.to_string(),
            held.expires.map_or_else(|| "never".to_owned(), moment),
            store.map_or_else(|| why.words().to_owned(), |store| format!("{} {store}", why.words())),
        ]
    }));
    let sizes: Vec<_> = orphans.iter().map(|orphan| (orphan.held.kind, orphan.held.size_gib)).collect();
    if orphans.is_empty() { String::new() } else { format!("{}{}\n", columns(&lines, ""), total(&sizes)) }
}

/// What was collected, or would be.
pub fn collected(report: &Report, paint: Paint) -> String {
    let head = ["run", "kind", "id", "where", "size", "a month", "why", ""];
    let mut lines = vec![head.map(|word| paint.dim(word)).to_vec()];
    lines.extend(report.collected.iter().map(|each| {
        let Collected { row, reason, end, note, failed } = each;
        let note = note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        let end = end.map(|end| format!("{}{note}", end.as_str().replace('_', " "))).unwrap_or_default();
        vec![
            paint.bold(row.run.as_str()),
            kind(row.kind),
            row.id.clone().unwrap_or_default(),
            row.home.as_ref().map(place).unwrap_or_default(),
            size(row.size_gib),
            usd(price(row.kind, row.size_gib)),
            reason.words().to_owned(),
            if *failed { paint.red(&end) } else { end },
        ]
    }));
    if report.collected.is_empty() { String::new() } else { columns(&lines, "") }
}

/// Where nobody could look.
pub fn unasked(unasked: &[Unasked]) -> String {
    let line = |each: &Unasked| format!("warning: {} could not be asked: {}\n", place(&each.home), each.why);
    unasked.iter().map(line).collect()
}

/// So many, so large, so expensive.
pub fn total(sizes: &[(ArtifactKind, Option<u64>)]) -> String {
    let gib: u64 = sizes.iter().filter_map(|(_, size)| *size).sum();
    let prices: Vec<f64> = sizes.iter().filter_map(|(kind, size)| price(*kind, *size)).collect();
    let cost = match prices.iter().sum::<f64>() {
        _ if prices.is_empty() => String::new(),
        usd => format!(", at most about {usd:.2} USD a month (list prices of us-east-1)"),
    };
    let unknown = sizes.iter().filter(|(_, size)| size.is_none()).count();
    let unknown =
        if unknown > 0 { format!(", {unknown} of a size that is not known") } else { String::new() };
    let count = count(sizes.len(), "artifact");
    let any = sizes.iter().any(|(_, size)| size.is_some());
    let size = if any { format!(", {}", size_words(gib)) } else { String::new() };
    format!("{count}{size}{cost}{unknown}")
}

/// Account, Region and role, as far as they are known.
pub fn place(home: &Home) -> String {
    match home {
        Home::Host { address, .. } => address.clone(),
        Home::Aws { account, region, role, .. } => {
            let words: Vec<&str> =
                [account, region, role].into_iter().flatten().map(String::as_str).collect();
            if words.is_empty() { "the default account and Region".to_owned() } else { words.join(" ") }
        }
    }
}

fn kind(kind: ArtifactKind) -> String {
    kind.as_str().replace('_', " ")
}

fn size(gib: Option<u64>) -> String {
    gib.map(size_words).unwrap_or_default()
}

/// Package files are small: they take some room all the same.
fn size_words(gib: u64) -> String {
    if gib == 0 { "under 1 GiB".to_owned() } else { format!("{gib} GiB") }
}

/// What it costs in a month; nothing is said of what lies on disks of one's own.
fn price(kind: ArtifactKind, gib: Option<u64>) -> Option<f64> {
    match kind {
        ArtifactKind::HostSnapshot | ArtifactKind::PackageFiles => None,
        ArtifactKind::Snapshot | ArtifactKind::Image | ArtifactKind::Volume | ArtifactKind::RecoveryPoint => {
            monthly_usd(kind, gib)
        }
    }
}

fn usd(usd: Option<f64>) -> String {
    usd.map(|usd| format!("{usd:.2} USD")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use runbook_engine::artifact::ArtifactKind;

    use super::total;

    #[test]
    fn what_lies_on_disks_of_ones_own_has_no_price() {
        let files = (ArtifactKind::PackageFiles, Some(0));
        assert_eq!(total(&[files, files]), "2 artifacts, under 1 GiB");
        let both = total(&[files, (ArtifactKind::Volume, Some(100))]);
        assert_eq!(both, "2 artifacts, 100 GiB, at most about 8.00 USD a month (list prices of us-east-1)");
        assert_eq!(total(&[(ArtifactKind::HostSnapshot, None)]), "1 artifact, 1 of a size that is not known");
    }
}
