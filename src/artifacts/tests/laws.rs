//! After any number of runs that died anywhere: ledger and orphans together are exactly what is there and no live run
//! needs, and `gc` removes exactly that.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use runbook_engine::artifact::ArtifactKind;
use runbook_state::artifact::ArtifactState;

use super::scene::{Cut, End, Scene};
use crate::artifacts::{books::Books, collect::Wishes};

#[derive(Clone, Debug)]
struct Call {
    kind: ArtifactKind,
    cut: Cut,
    /// Its time is over.
    expired: bool,
    /// A machine uses it, if it is a volume.
    used: bool,
}

#[derive(Clone, Debug)]
struct Run {
    calls: Vec<Call>,
    end: End,
    /// It rolls back the run so many before it.
    link: Option<usize>,
    /// Its state folder: ours, or one that is gone.
    here: bool,
}

fn call() -> impl Strategy<Value = Call> {
    let kind = prop_oneof![
        Just(ArtifactKind::Snapshot),
        Just(ArtifactKind::Volume),
        Just(ArtifactKind::RecoveryPoint)
    ];
    let cut = prop_oneof![Just(Cut::Intended), Just(Cut::Unheard), Just(Cut::Made)];
    (kind, cut, any::<bool>(), any::<bool>()).prop_map(|(kind, cut, expired, used)| Call {
        kind,
        cut,
        expired,
        used,
    })
}

fn run() -> impl Strategy<Value = Run> {
    let end = prop_oneof![3 => Just(End::Over), 1 => Just(End::Unfinished), 1 => Just(End::Stuck)];
    let link = prop_oneof![3 => Just(None), 1 => (1_usize..3).prop_map(Some)];
    let here = prop_oneof![4 => Just(true), 1 => Just(false)];
    (proptest::collection::vec(call(), 0..5), end, link, here).prop_map(|(calls, end, link, here)| Run {
        calls,
        end,
        link,
        here,
    })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, ..Default::default() })]
    #[test]
    fn ledger_and_orphans_are_exactly_what_no_live_run_needs(runs in proptest::collection::vec(run(), 1..8)) {
        let mut scene = Scene::new();
        let (past, later) = (
            scene.ago(Duration::from_secs(3600)),
            scene.now() + jiff::SignedDuration::from_hours(1),
        );
        let mut ids: Vec<Vec<(Call, String)>> = Vec::new();
        let mut links: Vec<Option<usize>> = Vec::new();
        for (at, run) in runs.iter().enumerate() {
            let name = format!("run{at}");
            let link = run.link.and_then(|back| at.checked_sub(back)).filter(|to| run.here && runs[*to].here);
            links.push(link);
            if run.here {
                scene.begin(&name, link.map(|to| format!("run{to}")).as_deref());
            }
            let mut made = Vec::new();
            for call in &run.calls {
                let expires = Some(if call.expired { past } else { later });
                let id = if run.here {
                    scene.call(&name, call.kind, call.cut, expires)
                } else if call.cut == Cut::Intended {
                    None
                } else {
                    let at = scene.ago(Duration::from_secs(29 * 86_400));
                    Some(scene.put(call.kind, &name, Some("token"), Some("there"), at, expires))
                };
                if let Some(id) = id {
                    if call.used && call.kind == ArtifactKind::Volume {
                        scene.attach(&id);
                    }
                    made.push((call.clone(), id));
                }
            }
            if run.here {
                scene.end(&name, run.end);
            }
            ids.push(made);
        }
        // What the world holds and no live run needs, told without the code under test.
        let mut live: BTreeSet<usize> = BTreeSet::new();
        for at in (0..runs.len()).filter(|at| runs[*at].here && runs[*at].end != End::Over) {
            let mut next = Some(at);
            while let Some(at) = next {
                live.insert(at);
                next = links[at];
            }
        }
        let (mut unneeded, mut due) = (Vec::new(), Vec::new());
        for (at, made) in ids.iter().enumerate().filter(|(at, _)| !live.contains(at)) {
            for (call, id) in made {
                let used = call.used && call.kind == ArtifactKind::Volume;
                let known = runs[at].here && call.cut == Cut::Made;
                if known || !used {
                    unneeded.push(id.clone());
                }
                if used {
                    continue;
                }
                // The ledger keeps what it knows until it expires; nobody answers for the rest.
                if !known || call.expired {
                    due.push(id.clone());
                }
            }
        }
        unneeded.sort();

        let books = Books::read(&scene.store.reopened()).expect("books");
        let needs = books.needs();
        let known = books.rows.iter().filter(|row| row.state == ArtifactState::Made && !needs.contains_key(&row.run));
        let mut told: Vec<String> = known.filter_map(|row| row.id.clone()).collect();
        told.extend(scene.orphan_ids());
        told.sort();
        prop_assert_eq!(&told, &unneeded);

        let mut left: BTreeSet<String> = scene.shelf.ids().into_iter().collect();
        for id in &due {
            left.remove(id);
        }
        let wishes = || Wishes { orphans: true, older_than: Some(Duration::ZERO), ..Wishes::default() };
        scene.gc(wishes());
        prop_assert_eq!(&scene.shelf.ids().into_iter().collect::<BTreeSet<_>>(), &left);
        let mut deletions = scene.shelf.things().deletions.clone();
        let calls = deletions.len();
        deletions.sort();
        deletions.dedup();
        prop_assert_eq!(deletions.len(), calls);
        // Once more changes nothing.
        scene.gc(wishes());
        prop_assert_eq!(scene.shelf.things().deletions.len(), calls);
        prop_assert_eq!(scene.orphan_ids(), Vec::<String>::new());
    }
}
