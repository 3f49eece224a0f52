//! What is around the suite: the clients, the ports of a login, proxy variables, and what older
//! tools left.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::fix::Fix;
use super::{Finding, Mend};
use crate::account::identity;
use crate::client::{login, opencode};
use crate::store::Document;

/// The ports that the issuer sends a login back to (PROTOCOL §1).
const LOGIN_PORTS: [u16; 2] = [1455, 1457];

/// A client that does not tell its version by then is left alone.
const PATIENCE: Duration = Duration::from_secs(15);

/// Plugins that take over opencode's requests to openai. The first is built in now, and opencode
/// passes it over by its name (PROTOCOL §5).
const PLUGINS: [&str; 6] = [
    "opencode-openai-codex-auth",
    "opencode-openai-codex-multi-auth",
    "oc-chatgpt-multi-auth",
    "oc-codex-multi-auth",
    "opencode-multi-auth-codex",
    "codex-multi-auth",
];

pub(super) fn examine(document: &Document) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ["opencode", "codex"].map(client).into();
    findings.push(ports());
    findings.extend(proxy());
    findings.extend(plugins());
    findings.extend(placeholder());
    findings.extend(old_accounts(document));
    findings
}

fn client(name: &str) -> Finding {
    match version(name) {
        None => Finding::note(name, "not found in PATH", Mend::Nothing),
        Some(version) => Finding::well(name, version),
    }
}

/// The first line that `NAME --version` prints, and nothing if it can't be started. It gets no
/// terminal, and no longer than it deserves.
fn version(name: &str) -> Option<String> {
    let mut child = Command::new(name)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let started = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(_)) => break true,
            Ok(None) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            _ => break false,
        }
    };
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
        return Some("found, but it does not tell its version".to_owned());
    }
    let mut text = String::new();
    // Less than a pipe holds: it has ended, so this can't block.
    child
        .stdout
        .take()?
        .take(4096)
        .read_to_string(&mut text)
        .ok()?;
    let line = text.lines().next().unwrap_or_default().trim();
    Some(format!(
        "version {}",
        line.rsplit(' ').next().unwrap_or(line)
    ))
}

fn ports() -> Finding {
    let is_taken = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err();
    let taken: Vec<u16> = LOGIN_PORTS.into_iter().filter(is_taken).collect();
    match taken.as_slice() {
        [] => Finding::well("ports", "1455 and 1457 are free for a login"),
        [one] => {
            let what = format!("{one} is taken; the other one is free for a login");
            Finding::note("ports", what, Mend::Nothing)
        }
        _ => {
            let what =
                "1455 and 1457 are taken; a login in the browser has nowhere to come back to";
            let mend = Mend::Type("codex-accounts add --device".to_owned());
            Finding::wrong("ports", what, mend)
        }
    }
}

/// The clients ask our proxy on 127.0.0.1 by plain http: another proxy must not come between.
fn proxy() -> Option<Finding> {
    let set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let name = names.into_iter().find(set)?;
    let exceptions = ["NO_PROXY", "no_proxy"].into_iter().find_map(env::var_os);
    let exceptions = exceptions.unwrap_or_default();
    if spares_loopback(&exceptions.to_string_lossy()) {
        return Some(Finding::well(
            "proxy",
            format!("{name} is set, and spares 127.0.0.1"),
        ));
    }
    let what = format!("{name} is set, and NO_PROXY does not spare 127.0.0.1");
    let mend = Mend::Type("export NO_PROXY=\"127.0.0.1,localhost,$NO_PROXY\"".to_owned());
    Some(Finding::wrong("proxy", what, mend))
}

fn spares_loopback(exceptions: &str) -> bool {
    let mut entries = exceptions.split(',').map(str::trim);
    entries.any(|entry| matches!(entry, "*" | "127.0.0.1" | "127.0.0.0/8" | "127.0.0.1/32"))
}

/// What a launch that was killed could not take back.
fn placeholder() -> Option<Finding> {
    let path = opencode::left_behind()?;
    let what = format!("a launch left its entry in '{}'", path.display());
    Some(Finding::wrong(
        "launch",
        what,
        Mend::Fix(Fix::TakeBack(path)),
    ))
}

fn plugins() -> Vec<Finding> {
    let Some(folder) = config_folder() else {
        return Vec::new();
    };
    let files = ["opencode.json", "opencode.jsonc", "config.json"];
    let files = files.map(|name| folder.join("opencode").join(name));
    files.iter().filter_map(|file| plugin(file)).collect()
}

fn plugin(file: &Path) -> Option<Finding> {
    let text = fs::read_to_string(file).ok()?;
    let name = PLUGINS.into_iter().find(|name| names(&text, name))?;
    let what = format!("the plugin {name} takes over the same requests");
    let mend = Mend::Type(format!("${{EDITOR:-vi}} '{}'", file.display()));
    Some(if name == PLUGINS[0] {
        let what = format!("the plugin {name} is passed over, as it is built in now");
        Finding::note("plugin", what, mend)
    } else {
        Finding::wrong("plugin", what, mend)
    })
}

/// Whether a text in quotes is this package, with or without a version.
fn names(text: &str, package: &str) -> bool {
    let mut parts = text.split(['"', '\'']);
    parts.any(|part| {
        part == package
            || part
                .strip_prefix(package)
                .is_some_and(|it| it.starts_with('@'))
    })
}

fn config_folder() -> Option<PathBuf> {
    let set = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    set.filter(|path| path.is_absolute())
        .or_else(|| Some(dirs::home_dir()?.join(".config")))
}

/// Accounts that older tools keep and that are not here yet.
fn old_accounts(document: &Document) -> Vec<Finding> {
    let home = dirs::home_dir().unwrap_or_default();
    let files = [
        ".opencode/openai-codex-accounts.json",
        ".codex/multi-auth/openai-codex-accounts.json",
        ".cli-proxy-api",
    ];
    let files = files.map(|name| home.join(name));
    let strange = files.iter().filter(|file| holds_others(file, document));
    strange
        .map(|file| {
            let file = file.display();
            let what = format!("accounts of an older tool are in '{file}'");
            let mend = Mend::Type(format!("codex-accounts import '{file}'"));
            Finding::note("import", what, mend)
        })
        .collect()
}

fn holds_others(path: &Path, document: &Document) -> bool {
    let files = match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.to_owned()],
    };
    let is_json = |file: &&PathBuf| file.extension() == Some(OsStr::new("json"));
    let texts = files
        .iter()
        .filter(is_json)
        .filter_map(|file| fs::read(file).ok());
    let mut logins = texts.filter_map(|text| login::read(&text).ok()).flatten();
    logins.any(|login| {
        !document
            .accounts
            .iter()
            .any(|known| identity::same(known, &login))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_spared_by_its_address() {
        for (exceptions, spared) in [
            ("127.0.0.1,localhost", true),
            ("example.com, 127.0.0.0/8", true),
            ("*", true),
            ("localhost", false),
            ("10.127.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(spares_loopback(exceptions), spared, "{exceptions}");
        }
    }

    #[test]
    fn a_package_is_named_whole() {
        assert!(names(
            r#"{"plugin": ["codex-multi-auth@latest"]}"#,
            "codex-multi-auth"
        ));
        assert!(!names(r#"["oc-codex-multi-auth"]"#, "codex-multi-auth"));
        assert!(!names(r#"["codex-multi-auth-other"]"#, "codex-multi-auth"));
    }
}
