//! The login of a Codex CLI that keeps it in the system's keyring (PROTOCOL §6): read by the
//! system's own tool, never written.

use std::fmt::Write as _;
use std::io;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::config;
use super::folder::folder;
use crate::client::contract::Elsewhere;

/// What Codex calls its entries.
const SERVICE: &str = "Codex Auth";

/// So much of the hash of its folder's path tells one Codex from another.
const KEY_BYTES: usize = 8;

/// The login in the keyring, where Codex is told to keep it there.
pub(super) fn login() -> Elsewhere {
    if !config::uses_keyring() {
        return Elsewhere::No;
    }
    let Some(key) = key() else {
        return Elsewhere::No;
    };
    let Some((mut tool, package)) = tool(&key) else {
        return Elsewhere::Hidden(
            "Codex CLI keeps its login in the keyring, which can't be read here: log in with \
             'codex-accounts add'"
                .to_owned(),
        );
    };
    let name = tool.get_program().to_string_lossy().into_owned();
    match tool.stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            Elsewhere::Login(output.stdout)
        }
        Ok(_) => Elsewhere::Hidden(format!(
            "Codex CLI keeps its login in the keyring, and '{name}' finds none there: unlock the \
             keyring, or log in with 'codex-accounts add'"
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Elsewhere::Hidden(format!(
            "Codex CLI keeps its login in the keyring, and there is no '{name}' to read it with: \
             install {package}, or log in with 'codex-accounts add'"
        )),
        Err(error) => Elsewhere::Hidden(format!("can't run '{name}': {error}")),
    }
}

/// The key of the entry of this Codex: its folder says which one it is.
fn key() -> Option<String> {
    let folder = folder().ok()?;
    let folder = folder.canonicalize().unwrap_or(folder);
    let hash = Sha256::digest(folder.to_string_lossy().as_bytes());
    let mut key = String::from("cli|");
    for byte in &hash[..KEY_BYTES] {
        // Writing to a text does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    Some(key)
}

/// What reads an entry of the keyring, and what has to be installed for it.
fn tool(key: &str) -> Option<(Command, &'static str)> {
    match std::env::consts::OS {
        "windows" => None,
        "macos" => {
            let mut tool = Command::new("security");
            tool.args(["find-generic-password", "-s", SERVICE, "-a", key, "-w"]);
            Some((tool, "the tools of macOS"))
        }
        _ => {
            let mut tool = Command::new("secret-tool");
            tool.args(["lookup", "service", SERVICE, "username", key]);
            Some((tool, "libsecret-tools"))
        }
    }
}
