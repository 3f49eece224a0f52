//! The tests, one binary: a file a topic.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise"
)]

mod accounts;
mod accounts_doctor;
mod accounts_policy;
mod accounts_refresh;
mod accounts_requests;
mod accounts_view;
mod accounts_watch;
#[cfg(target_os = "linux")]
mod bad_input;
#[cfg(target_os = "linux")]
mod canaries;
mod cmd;
mod codex;
mod codex_app_server;
mod codex_socket;
mod corpus;
mod e2e;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod fleet;
mod helper;
#[cfg(target_os = "linux")]
mod helper_postgres;
mod helper_refresh;
mod helper_relay;
mod hold;
mod import;
mod launch;
mod launch_narrowed;
mod layers;
mod layers_circles;
mod login;
mod manners;
mod manual;
mod mark;
#[cfg(target_os = "linux")]
mod model;
mod opencode;
mod opencode_logins;
#[cfg(target_os = "linux")]
mod opencode_serve;
mod opencode_socket;
mod opencode_title;
#[cfg(target_os = "linux")]
mod packaging;
#[cfg(target_os = "linux")]
mod page;
mod pick;
mod proxy;
mod python;
#[cfg(target_os = "linux")]
mod readme;
#[cfg(target_os = "linux")]
mod real_names;
mod recipes;
mod redeem;
mod refresh;
mod refresh_chains;
mod rehearsal;
mod rehearse;
mod relay_encoded;
mod relay_faults;
mod relay_http;
mod relay_log;
mod relay_room;
mod relay_session;
#[cfg(target_os = "linux")]
mod relay_soak;
mod relay_socket;
mod relay_trouble;
mod service;
mod session_strip;
mod setup;
#[cfg(target_os = "linux")]
mod socks;
mod store;
#[cfg(target_os = "linux")]
mod store_postgres;
#[cfg(target_os = "linux")]
mod store_trouble;
mod strategies;
mod support;
mod terminal;
mod token;
mod usage;
