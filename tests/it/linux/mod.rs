//! On real hosts of their own (`tests/hosts`), with real package managers.

mod rollout;
