//! Several of a person's own ChatGPT accounts behind one coding agent.
//!
//! The house, from the top down. A module uses what stands below it and never what stands above:
//!
//! - [`cli`]: the commands. Arguments, streams, exit codes; one file a command.
//! - [`proxy`]: the rotating relay on loopback. [`rehearse`]: the pretend issuer and backend.
//! - [`oauth`]: what the issuer is asked. [`client`]: how opencode and Codex CLI are wired.
//! - [`net`]: HTTP out, the login callback, opening a browser.
//! - [`store`]: the file.
//! - [`account`]: the accounts and every decision about them; no I/O. [`clock`]: what time it is.
//!   [`sys`]: what the systems do differently.

pub mod account;
pub mod cli;
pub mod client;
pub mod clock;
pub mod net;
pub mod oauth;
pub mod proxy;
pub mod rehearse;
pub mod store;
pub mod sys;
