//! The coding agents: where each keeps its login, and how each is pointed at the proxy. They are
//! never changed and never patched. A new one is a folder here that fulfils [`contract::Client`],
//! and a line in [`registry`].

pub mod codex;
pub mod contract;
pub mod exports;
pub mod for_good;
pub mod json_file;
pub mod jsonc;
pub mod login;
pub mod opencode;
pub mod registry;
pub mod wiring;
