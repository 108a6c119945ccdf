//! What is refused before anything is journaled.

use runbook_state::MemoryStore;
use runbook_steps::{ports::Ports, world::World};

use super::rig::{self, Shown};
use crate::coordinator::{outside::Outside, refused::Refused};

const FLEET: &str = include_str!("../../../runbooks/fleets/happy.yaml");
const RUNBOOK: &str = include_str!("../../../runbooks/patch-linux.yaml");

#[test]
fn what_this_binary_cannot_do_on_real_aws_is_refused_before_anything_is_changed() {
    let world = World::in_memory(FLEET, 1).expect("a world");
    let plan = rig::plan(RUNBOOK, &world);
    let mut parts = rig::parts(MemoryStore::new(), &world);
    parts.outside = Outside::Real(Ports { aws: None, ..world.ports() });
    let refused = rig::run(parts, plan, &mut Shown::default()).expect_err("it is refused");
    assert!(
        matches!(&refused, Refused::NotOnRealAws { action, .. } if action == "aws/snapshot"),
        "{refused}"
    );
    assert_eq!(refused.exit_code(), 4);
}
