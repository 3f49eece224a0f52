//! What is around the suite: the clients, the ports of a login, proxy variables, plugins, and what
//! launches and older tools left.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use super::clients;
use super::finding::{Finding, Mend};
use super::fix::Fix;
use crate::account::identity;
use crate::cli::shell::Shell;
use crate::cli::typed::quoted;
use crate::client::contract::Client;
use crate::client::for_good;
use crate::client::login;
use crate::client::registry::CLIENTS;
use crate::store::Document;
use crate::sys::{place, shell};

/// The ports that the issuer sends a login back to (PROTOCOL §1).
const LOGIN_PORTS: [u16; 2] = [1455, 1457];

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

pub(super) fn examine(shell: &Shell) -> Vec<Finding> {
    let mut findings = clients::examine();
    findings.push(ports(shell));
    findings.extend(proxy());
    findings.extend(plugins());
    findings
}

/// What a launch or an older tool left.
pub(super) fn left_behind(shell: &Shell, document: &Document) -> Vec<Finding> {
    let mut findings: Vec<Finding> = placeholders();
    findings.extend(old_accounts(shell, document));
    findings
}

fn ports(shell: &Shell) -> Finding {
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
            let mend = Mend::Type(shell.command("codex-accounts add --device"));
            Finding::wrong("ports", what, mend)
        }
    }
}

/// One proxy carries our requests to the servers, and is as it should be. The clients ask our own
/// on 127.0.0.1 by plain http: there another one must not come between.
fn proxy() -> Vec<Finding> {
    let mut findings = Vec::new();
    let outside = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    if let Some((name, _)) = first_set(&outside) {
        let what = format!("{name} carries the requests to the servers");
        findings.push(Finding::well("proxy", what));
    }
    let inside = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    if let Some((name, _)) = first_set(&inside) {
        let exceptions = first_set(&["NO_PROXY", "no_proxy"]);
        let spared = exceptions.is_some_and(|(_, value)| spares_loopback(&value));
        findings.push(if spared {
            Finding::well("proxy", format!("{name} is set, and spares 127.0.0.1"))
        } else {
            let what = format!("{name} is set, and NO_PROXY does not spare 127.0.0.1");
            let set = shell::set_before("NO_PROXY", "127.0.0.1,localhost,");
            Finding::wrong("proxy", what, Mend::Type(set))
        });
    }
    findings
}

/// The first of these variables that is not empty, and its value.
fn first_set(names: &[&'static str]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        let value = env::var_os(name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some((*name, value))
    })
}

fn spares_loopback(exceptions: &str) -> bool {
    let mut entries = exceptions.split(',').map(str::trim);
    entries.any(|entry| matches!(entry, "*" | "127.0.0.1" | "127.0.0.0/8" | "127.0.0.1/32"))
}

/// What a launch that was killed could not take back.
fn placeholders() -> Vec<Finding> {
    let left = |client: &&dyn Client| Some((client.name(), client.left_behind()?));
    let left = CLIENTS.iter().filter_map(left);
    left.map(|(client, path)| {
        let what = format!("a launch left its entry in '{}'", path.display());
        Finding::wrong("launch", what, Mend::Fix(Fix::TakeBack { client, path }))
    })
    .collect()
}

fn plugins() -> Vec<Finding> {
    let Some(folder) = for_good::config_folder() else {
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
    let mend = Mend::Type(shell::edit(&quoted(file)));
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

/// Accounts that older tools keep and that are not here yet.
fn old_accounts(shell: &Shell, document: &Document) -> Vec<Finding> {
    let home = place::home().unwrap_or_default();
    let files = [
        ".opencode/openai-codex-accounts.json",
        ".codex/multi-auth/openai-codex-accounts.json",
        ".cli-proxy-api",
    ];
    let files = files.map(|name| home.join(name));
    let strange = files.iter().filter(|file| holds_others(file, document));
    strange
        .map(|file| {
            let what = format!("accounts of an older tool are in '{}'", file.display());
            let import = format!("codex-accounts import {}", quoted(file));
            Finding::note("import", what, Mend::Type(shell.command(&import)))
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
    let logins = texts.filter_map(|text| login::read(&text).ok());
    let mut logins = logins.flat_map(|logins| logins.accounts);
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
