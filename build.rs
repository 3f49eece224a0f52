//! Puts the commit into `--version`, where there is one to be had, and the system that it is built for.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Changes with each commit, and is not there in a package.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    let mut version = env!("CARGO_PKG_VERSION").to_owned();
    if let Some(commit) = commit() {
        println!("cargo::rustc-env=CODEX_ACCOUNTS_COMMIT={commit}");
        version = format!("{version} ({commit})");
    }
    println!("cargo::rustc-env=CODEX_ACCOUNTS_VERSION={version}");
    let system = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=CODEX_ACCOUNTS_SYSTEM={system}");
    link_for_quick_starts();
}

/// What a start costs is the libraries that are loaded and the places that are filled in. The
/// unwinder is all that is used of `libgcc_s`: linked in, there is a library less. The commands that
/// are mostly started, and listen to nobody, stay where they are linked to.
fn link_for_quick_starts() {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|it| it == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    if !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    for command in [
        "codex-account-pick",
        "codex-ratelimit-mark",
        "codex-token-decode",
        "codex-token-encode",
    ] {
        println!("cargo::rustc-link-arg-bin={command}=-no-pie");
    }
}

fn commit() -> Option<String> {
    // A package that lies in another repository is not at that one's commit.
    if !Path::new(".git").exists() {
        return None;
    }
    let git = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(git.stdout).ok()?;
    let commit = commit.trim();
    (git.status.success() && !commit.is_empty()).then(|| commit.to_owned())
}
