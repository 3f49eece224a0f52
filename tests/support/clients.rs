//! The real clients, as `tests/run` installs them.

use std::path::{Path, PathBuf};

/// What keeps opencode from the network: without the last, it installs a package of
/// its own in the background of every start in a new home.
pub(crate) const OPENCODE_OFFLINE: [(&str, &str); 3] = [
    ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
    ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
    ("npm_config_offline", "true"),
];

/// The same for codex, as its `config.toml`: it has no variables for this.
pub(crate) const CODEX_OFFLINE: &str = "\
[analytics]
enabled = false

[features]
plugins = false
";

/// The folder with `opencode` and `codex` in it.
pub(crate) fn bin_dir() -> PathBuf {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node_modules");
    let installed = clients.join(".installed").exists();
    assert!(installed, "the clients are not installed: run tests/run");
    clients.join(".bin")
}

/// The folder with `node` in it, wherever this machine has it: `codex` is started by it.
pub(crate) fn node_dir() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    let found = folders.find(|folder| folder.join("node").is_file());
    found.expect("node is installed: run tests/run")
}
