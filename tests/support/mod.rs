//! What the tests stand on: a machine of their own for each, and eyes for secrets.
//!
//! Holds no assertion about a command; those are in the file of their topic.

pub(crate) mod accounts;
pub(crate) mod app_server;
pub(crate) mod asked;
pub(crate) mod canary;
#[cfg(target_os = "linux")]
pub(crate) mod chromium;
pub(crate) mod clients;
pub(crate) mod examples;
#[cfg(target_os = "linux")]
pub(crate) mod faults;
#[cfg(target_os = "linux")]
pub(crate) mod fleet;
pub(crate) mod home;
pub(crate) mod kept;
pub(crate) mod mdoc;
#[cfg(target_os = "linux")]
pub(crate) mod network;
pub(crate) mod numbers;
pub(crate) mod people;
#[cfg(target_os = "linux")]
pub(crate) mod picture;
#[cfg(target_os = "linux")]
pub(crate) mod postgres;
pub(crate) mod pretend;
pub(crate) mod relay;
pub(crate) mod request;
pub(crate) mod server;
pub(crate) mod shown;
pub(crate) mod stage;
pub(crate) mod tmux;
pub(crate) mod wire;

mod harness;

pub(crate) use home::{CLOCK, Home};
