//! Artifacts, for a program.

use runbook_engine::{artifact::ArtifactKind, ids::RunId, target::Home};
use runbook_state::artifact::{ArtifactRow, ArtifactState};
use serde_json::{Map, Value, json};

use crate::artifacts::{books::Books, collect::Report, held::Unasked, orphan::Orphan, price::monthly_usd};

/// The whole ledger, or that of one run.
pub fn list(books: &Books, of: Option<&RunId>) -> Value {
    let needs = books.needs();
    let rows: Vec<&ArtifactRow> =
        books.rows.iter().filter(|row| of.is_none_or(|run| row.run == *run)).collect();
    let artifacts: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut object = artifact(row);
            object.insert("world".to_owned(), json!(books.world(&row.run)));
            object.insert("needed".to_owned(), json!(needs.get(&row.run).map(ToString::to_string)));
            Value::Object(object)
        })
        .collect();
    let there = rows.iter().filter(|row| row.state != ArtifactState::Deleted);
    let sizes: Vec<_> = there.map(|row| (row.kind, row.size_gib)).collect();
    json!({ "store": books.store, "artifacts": artifacts, "total": total(&sizes) })
}

/// What nobody answers for.
pub fn orphans(books: &Books, orphans: &[Orphan], unasked: &[Unasked]) -> Value {
    let list: Vec<Value> = orphans
        .iter()
        .map(|Orphan { held, why }| {
            let mut object = Map::from_iter([
                ("kind".to_owned(), json!(held.kind)),
                ("id".to_owned(), json!(held.id)),
                ("vault".to_owned(), json!(held.vault)),
                ("size_gib".to_owned(), json!(held.size_gib)),
                ("usd_month".to_owned(), usd(monthly_usd(held.kind, held.size_gib))),
                ("made_at".to_owned(), json!(held.made_at)),
                ("expires".to_owned(), json!(held.expires)),
                ("run".to_owned(), json!(held.run)),
                ("task".to_owned(), json!(held.task)),
                ("token".to_owned(), json!(held.token)),
                ("target".to_owned(), json!(held.host)),
                ("store".to_owned(), json!(held.store)),
                ("why".to_owned(), json!(why.as_str())),
            ]);
            place(&mut object, Some(&held.home));
            Value::Object(object)
        })
        .collect();
    let sizes: Vec<_> = orphans.iter().map(|orphan| (orphan.held.kind, orphan.held.size_gib)).collect();
    json!({ "store": books.store, "orphans": list, "total": total(&sizes), "unasked": blind(unasked) })
}

/// What was collected, or would be.
pub fn collected(report: &Report, dry_run: bool) -> Value {
    let list: Vec<Value> = report
        .collected
        .iter()
        .map(|each| {
            let mut object = artifact(&each.row);
            object.insert("reason".to_owned(), json!(each.reason.as_str()));
            object.insert("end".to_owned(), json!(each.end.map(|end| end.as_str())));
            object.insert("note".to_owned(), json!(each.note));
            object.insert("failed".to_owned(), json!(each.failed));
            Value::Object(object)
        })
        .collect();
    let freed = report.collected.iter().filter(|each| dry_run || each.row.state == ArtifactState::Deleted);
    let sizes: Vec<_> =
        freed.filter(|each| each.row.id.is_some()).map(|each| (each.row.kind, each.row.size_gib)).collect();
    json!({ "dry_run": dry_run, "collected": list, "total": total(&sizes), "unasked": blind(&report.unasked) })
}

fn artifact(row: &ArtifactRow) -> Map<String, Value> {
    let mut object = Map::from_iter([
        ("run".to_owned(), json!(row.run)),
        ("task".to_owned(), json!(row.task)),
        ("token".to_owned(), json!(row.token)),
        ("kind".to_owned(), json!(row.kind)),
        ("id".to_owned(), json!(row.id)),
        ("vault".to_owned(), json!(row.vault)),
        ("target".to_owned(), json!(row.target)),
        ("size_gib".to_owned(), json!(row.size_gib)),
        ("usd_month".to_owned(), usd(monthly_usd(row.kind, row.size_gib))),
        ("made_at".to_owned(), json!(row.made_at)),
        ("expires".to_owned(), json!(row.expires)),
        ("state".to_owned(), json!(row.state)),
        ("gc".to_owned(), json!(row.gc)),
    ]);
    place(&mut object, row.home.as_ref());
    object
}

fn place(object: &mut Map<String, Value>, home: Option<&Home>) {
    let (account, region, role) = match home {
        Some(Home::Aws { account, region, role, .. }) => (account.as_ref(), region.as_ref(), role.as_ref()),
        _ => (None, None, None),
    };
    object.insert("account".to_owned(), json!(account));
    object.insert("region".to_owned(), json!(region));
    object.insert("role".to_owned(), json!(role));
}

fn blind(unasked: &[Unasked]) -> Vec<Value> {
    let of = |each: &Unasked| {
        let mut object = Map::from_iter([("why".to_owned(), json!(each.why))]);
        place(&mut object, Some(&each.home));
        Value::Object(object)
    };
    unasked.iter().map(of).collect()
}

fn total(sizes: &[(ArtifactKind, Option<u64>)]) -> Value {
    let gib: u64 = sizes.iter().filter_map(|(_, size)| *size).sum();
    let sum: f64 =
        sizes.iter().filter_map(|(kind, size)| monthly_usd(*kind, *size)).fold(0.0, |sum, usd| sum + usd);
    json!({ "artifacts": sizes.len(), "size_gib": gib, "usd_month": usd(Some(sum)) })
}

/// In whole cents.
fn usd(usd: Option<f64>) -> Value {
    json!(usd.map(|usd| (usd * 100.0).round() / 100.0))
}
