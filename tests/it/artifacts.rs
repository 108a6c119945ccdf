//! The ledger of artifacts, as a user sees it.

use crate::program::Place;

#[test]
fn nothing_was_made_where_nothing_ran() {
    let place = Place::new();
    let list = place.run(&["artifacts", "list", "--json"]).exits(0).json();
    assert_eq!(list["artifacts"], serde_json::json!([]));
    assert_eq!(list["total"], serde_json::json!({ "artifacts": 0, "size_gib": 0, "usd_month": 0.0 }));
    place.run(&["artifacts", "list"]).exits(0);
    place.run(&["artifacts", "list", "none"]).exits(2);
    place.run(&["artifacts", "gc", "--older-than", "7d"]).exits(2);
    place.run(&["artifacts", "gc", "--orphans", "--older-than", "soon"]).exits(2);
}
