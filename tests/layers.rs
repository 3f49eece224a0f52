//! The layers of DESIGN §4: a module names those below it, never one above or beside.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the top down. What stands in one row must not name each other.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["proxy", "rehearse"],
    &["oauth"],
    &["client"],
    &["net"],
    &["store"],
    &["clock"],
    &["account", "sys"],
];

/// What `account`, which decides and does nothing else, must not name: the world
/// outside, the clock, chance, and the libraries that bring them.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "clap",
    "getrandom",
    "hyper",
    "tokio",
    "rustls",
    "ureq",
];

/// What only one place may name: a file, or a folder.
const HOUSED: &[(&str, &str)] = &[
    ("fs2", "src/store/lock.rs"),
    // What the systems do differently.
    ("filedescriptor", "src/sys/"),
    ("libc", "src/sys/"),
    ("listenfd", "src/sys/"),
    ("nix", "src/sys/"),
    ("sd_notify", "src/sys/"),
    ("std::os", "src/sys/"),
    ("tokio::signal", "src/sys/"),
    ("win32job", "src/sys/"),
    ("winapi_util", "src/sys/"),
    ("winsafe", "src/sys/"),
    ("target_os", "src/sys/"),
    ("unix", "src/sys/"),
];

#[test]
fn no_module_reaches_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for path in sources(&root.join("src")) {
        let text = fs::read_to_string(&path).expect("a source file");
        let path = path.strip_prefix(root).expect("a path under the root");
        found.extend(violations(&path.to_string_lossy(), &text));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// No source file is longer than this, with its unit tests.
const MOST_LINES: usize = 500;

#[test]
fn no_source_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for path in ["src", "bin"].iter().flat_map(|it| sources(&root.join(it))) {
        let text = fs::read_to_string(&path).expect("a source file");
        let lines = text.lines().count();
        if lines > MOST_LINES {
            found.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_change_of_a_store_is_one_that_logs_a_switch() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let calls = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source file");
        without_comments(&text).contains(".transact(")
    };
    let mut callers = sources(&root.join("src"));
    callers.retain(calls);
    assert_eq!(callers, [root.join("src/store/mod.rs")]);
}

pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// What is wrong with the paths that one source file names.
fn violations(path: &str, text: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let layer = inside.split('/').next().unwrap_or(inside);
    if layer == "lib" {
        return Vec::new(); // the map of the house: it names every room, and does nothing
    }
    if rank(layer).is_none() {
        return vec![format!("{path}: `{layer}` is no layer of DESIGN §4")];
    }
    let named = named(&without_comments(text));
    let problems = named.iter().filter_map(|named| {
        let problem = step_up(layer, named)
            .or_else(|| impure(layer, named))
            .or_else(|| not_at_home(path, named))?;
        Some(format!("{path}: `{named}`: {problem}"))
    });
    problems.chain(asks_for_system(path, text)).collect()
}

/// A system that is asked for by its name: that is a field's name, too.
fn asks_for_system(path: &str, text: &str) -> Option<String> {
    let asks = ["cfg(windows", "cfg!(windows", "cfg(not(windows"]
        .into_iter()
        .find(|asks| text.contains(asks))?;
    (!path.starts_with("src/sys/")).then(|| format!("{path}: `{asks})`: only in src/sys/"))
}

/// Why this layer must not name that path of ours.
fn step_up(layer: &str, named: &str) -> Option<String> {
    let mut segments = named.split("::");
    let root = segments.next();
    let other = segments.next()?;
    match root {
        Some("crate") => {}
        // From a layer's root `super` is the crate. No layer has a module with the name
        // of a higher layer, so it need not be known whether this is a layer's root.
        Some("super") if rank(other).is_some() => {}
        Some("super") if other == "super" => return Some("say `crate::`".into()),
        _ => return None,
    }
    match rank(other) {
        None => Some("what is shared belongs to a layer".into()),
        Some(_) if other == layer => None,
        Some(found) if found > rank(layer)? => None,
        Some(_) => Some(format!("`{other}` is not below `{layer}`")),
    }
}

/// Why a layer that must be pure is not.
fn impure(layer: &str, named: &str) -> Option<String> {
    let impure = IMPURE.iter().find(|impure| has_segments(named, impure))?;
    (layer == "account").then(|| format!("`account` is pure, without `{impure}`"))
}

/// Why a library must not be named in this file.
fn not_at_home(path: &str, named: &str) -> Option<String> {
    let (_, home) = HOUSED.iter().find(|(what, _)| has_segments(named, what))?;
    let inside = path == *home || home.ends_with('/') && path.starts_with(home);
    (!inside).then(|| format!("only in {home}"))
}

fn has_segments(path: &str, segments: &str) -> bool {
    format!("::{path}::").contains(&format!("::{segments}::"))
}

/// How far down a layer is.
fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

/// The lines up to their first `//`; one that follows a colon is a URL's.
pub(crate) fn without_comments(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let mut slashes = line.match_indices("//").map(|(at, _)| at);
        let comment = slashes.find(|at| !line[..*at].ends_with(':'));
        code += &line[..comment.unwrap_or(line.len())];
        code += "\n";
    }
    code
}

/// The paths in the code, groups spelt out: `a::{b, c::d}` is `a::b` and `a::c::d`.
pub(crate) fn named(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut groups: Vec<String> = Vec::new();
    let mut path = String::new();
    for token in tokens(code) {
        let is_name = token.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let is_open = path.ends_with("::");
        match token {
            "::" if !path.is_empty() => path += token,
            "{" if is_open => groups.push(path.clone()),
            _ if is_name && is_open => path += token,
            _ => {
                paths.push(std::mem::take(&mut path).trim_end_matches("::").to_string());
                match token {
                    _ if is_name => path += token,
                    "," => path = groups.last().cloned().unwrap_or_default(),
                    "}" => drop(groups.pop()),
                    _ => {}
                }
            }
        }
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// The names, the `::` and the other signs of the code, without its white space.
fn tokens(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code.trim_start();
    std::iter::from_fn(move || {
        let sign = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let end = match sign {
            Some(0) if rest.starts_with("::") => 2,
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(end) => end,
            None => rest.len(),
        };
        let (token, after) = rest.split_at(end);
        rest = after.trim_start();
        (!token.is_empty()).then_some(token)
    })
}

#[test]
fn steps_up_are_caught() {
    let planted = [
        ("src/account/pick.rs", "use crate::store::Store;"),
        ("src/account.rs", "use super::store;"),
        ("src/account/pick.rs", "fn f() { std::fs::read(\"x\") }"),
        (
            "src/account/pick.rs",
            "use std::{\n  fmt,\n  process::{self, exit},\n};",
        ),
        (
            "src/account/limit.rs",
            "use std::time; fn f() { time::SystemTime::now() }",
        ),
        ("src/account/limit.rs", "let now = jiff::Timestamp::now();"),
        ("src/account/usage.rs", "#[derive(clap::Args)]"),
        (
            "src/store/commit.rs",
            "use crate::{account, net::agent::{self, Agent}};",
        ),
        ("src/store/commit.rs", "use fs2::FileExt;"),
        (
            "src/store/lock.rs",
            "use std::os::unix::fs::OpenOptionsExt;",
        ),
        ("src/cli/proxy.rs", "#[cfg(not(unix))] fn ready() {}"),
        ("src/cli/proxy.rs", "if cfg!(windows) {}"),
        ("src/cli/child.rs", "use nix::{unistd::Pid, sys};"),
        (
            "src/client/codex.rs",
            "let url = \"https://x\"; crate::oauth::refresh(url)",
        ),
        ("src/oauth/refresh.rs", "use crate::proxy as relay;"),
        ("src/proxy/failover.rs", "use crate::rehearse::*;"),
        (
            "src/rehearse/mod.rs",
            "pub(crate) use super::proxy::server;",
        ),
        (
            "src/proxy/server.rs",
            "mod tests { use super::super::cli; }",
        ),
        ("src/net/agent.rs", "use crate::Secret;"),
        ("src/util.rs", ""),
    ];
    let found = planted.map(|(path, text)| violations(path, text).join("\n"));
    insta::assert_snapshot!(found.join("\n"), @"
    src/account/pick.rs: `crate::store::Store`: `store` is not below `account`
    src/account.rs: `super::store`: `store` is not below `account`
    src/account/pick.rs: `std::fs::read`: `account` is pure, without `std::fs`
    src/account/pick.rs: `std::process::self`: `account` is pure, without `std::process`
    src/account/pick.rs: `std::process::exit`: `account` is pure, without `std::process`
    src/account/limit.rs: `time::SystemTime::now`: `account` is pure, without `SystemTime`
    src/account/limit.rs: `jiff::Timestamp::now`: `account` is pure, without `Timestamp::now`
    src/account/usage.rs: `clap::Args`: `account` is pure, without `clap`
    src/store/commit.rs: `crate::net::agent::self`: `net` is not below `store`
    src/store/commit.rs: `crate::net::agent::Agent`: `net` is not below `store`
    src/store/commit.rs: `fs2::FileExt`: only in src/store/lock.rs
    src/store/lock.rs: `std::os::unix::fs::OpenOptionsExt`: only in src/sys/
    src/cli/proxy.rs: `unix`: only in src/sys/
    src/cli/proxy.rs: `cfg!(windows)`: only in src/sys/
    src/cli/child.rs: `nix::unistd::Pid`: only in src/sys/
    src/cli/child.rs: `nix::sys`: only in src/sys/
    src/client/codex.rs: `crate::oauth::refresh`: `oauth` is not below `client`
    src/oauth/refresh.rs: `crate::proxy`: `proxy` is not below `oauth`
    src/proxy/failover.rs: `crate::rehearse`: `rehearse` is not below `proxy`
    src/rehearse/mod.rs: `super::proxy::server`: `proxy` is not below `rehearse`
    src/proxy/server.rs: `super::super::cli`: say `crate::`
    src/net/agent.rs: `crate::Secret`: what is shared belongs to a layer
    src/util.rs: `util` is no layer of DESIGN §4
    ");
}

#[test]
fn what_goes_down_passes() {
    let allowed = [
        ("src/lib.rs", "pub mod cli; use crate::cli;"),
        (
            "src/cli/pick.rs",
            "use crate::{account::pick::{self, Strategy}, proxy, store};",
        ),
        (
            "src/oauth/mirror.rs",
            "use crate::client::{codex, opencode};",
        ),
        (
            "src/account/pick.rs",
            "//! Not for [`crate::store`].\nuse super::limit; // std::fs",
        ),
        (
            "src/account/pick.rs",
            "use crate::account::limit; fn pick(now: u64, store: &str) {}",
        ),
        ("src/account/pick.rs", "mod tests { use super::*; }"),
        (
            "src/store/lock.rs",
            "use fs2::FileExt; use std::time::Instant;",
        ),
        ("src/cli/proxy.rs", "let it = super::proxy::run();"),
        (
            "src/sys/unix/file.rs",
            "use std::os::unix::fs::MetadataExt; use nix::unistd;",
        ),
    ];
    let found = allowed.map(|(path, text)| violations(path, text).concat());
    assert_eq!(found.concat(), "");
}
