//! What people and programs see: plans, runs and events as text and as JSON. Nothing here prints.

pub mod action_reference;
pub mod artifact_json;
pub mod artifact_page;
pub mod columns;
pub mod command_reference;
pub mod estimate;
pub mod event_line;
pub mod fleet_page;
pub mod inventory_page;
pub mod list;
pub mod logs;
pub mod lost;
pub mod paint;
pub mod patchset;
pub mod plan_page;
pub mod run_json;
pub mod run_page;
pub mod run_status;
pub mod stages;
pub mod waits;
pub mod words;
