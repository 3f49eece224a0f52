//! What the systems do differently, and nothing else knows: files, processes, signals, the child,
//! the terminal, services. One face, and a folder for each kind of system behind it; the two have
//! the same names. It decides nothing: what to make of a signal or of somebody's rights is said
//! above.

pub mod rights;
pub mod suite;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
pub mod wish;

#[cfg(unix)]
pub use unix::{
    FEATURES, browser, child, descriptors, file, memory, place, process, service, shell, signals,
    stdio, terminal,
};
#[cfg(windows)]
pub use windows::{
    FEATURES, browser, child, descriptors, file, memory, place, process, service, shell, signals,
    stdio, terminal,
};
