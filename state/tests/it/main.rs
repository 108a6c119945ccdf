//! The store's tests.

mod artifacts;
mod child;
mod contract;
mod damage;
mod dice;
mod folder;
mod full;
mod kept;
mod kill;
mod sample;
