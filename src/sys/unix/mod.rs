//! Linux, macOS and their kin.

pub mod browser;
pub mod child;
pub mod descriptors;
pub mod file;
pub mod memory;
pub mod place;
pub mod process;
pub mod service;
pub mod shell;
pub mod signals;
pub mod stdio;
pub mod terminal;

/// What only some systems have, as `--version --json` names it.
pub const FEATURES: &[&str] = &[
    "descriptor-3",
    #[cfg(target_os = "linux")]
    "hidden-memory",
    "service-manager",
];
