//! microburst, a fault proxy that is not ours, between the binary and each server: answers that are lost after the effect,
//! and half of all calls throttled.
//!
//! Which server has which of the calls decides what is shown where. The sandbox has all of them. moto makes snapshots and
//! volumes and attaches them; its Run Command reaches every machine of the Region, and it has no backup jobs. ministack
//! runs commands (`aws_command.rs` loses their answers); it has no `CreateSnapshots`, so that no run comes to a volume
//! there: what a lost answer of its other calls is taken for is shown call by call in `steps/aws/tests`.

mod lost;
mod throttled;
