//! Windows 10 and later.

pub mod browser;
pub mod child;
pub mod descriptors;
pub mod file;
pub mod memory;
pub mod place;
pub mod process;
pub mod service;
pub mod signals;
pub mod stdio;
pub mod terminal;
