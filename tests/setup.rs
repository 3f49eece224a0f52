//! `codex-accounts setup`: the relay as a service, and the real clients started plainly.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::app_server::AppServer;
use super::support::pretend::Servers;
use super::support::server::Server;

const CONFIG: &str = ".config/opencode/opencode.jsonc";
const TOML: &str = ".codex/config.toml";
const AUTH: &str = ".local/share/opencode/auth.json";
const KEY: &str = ".config/codex-accounts/key";

/// A home with one account, and clients and a service manager that are names only.
fn home() -> Home {
    let mut home = Home::new();
    home.write_store(&store([account("work")]));
    for name in ["opencode", "codex"] {
        home.install(name, "#!/bin/sh\n");
    }
    home.install("systemctl", "#!/bin/sh\nexit 1\n");
    home
}

/// Every file of a home with what it holds, but those that are ours to leave.
fn files(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if !path.to_string_lossy().contains("openai-codex-accounts") {
                found.push((path.clone(), fs::read(&path).expect("a file")));
            }
        }
    }
    let mut found = Vec::new();
    walk(home.path(), &mut found);
    found.sort();
    found
}

#[test]
fn setup_shows_each_change_and_undo_brings_back_the_very_bytes() {
    let home = home();
    home.write(CONFIG, "// mine\n{\n  \"username\": \"me\", // always\n}\n");
    home.write(
        TOML,
        "# mine\nmodel = \"gpt-5.5\"\n\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n",
    );
    home.write(
        AUTH,
        "{\n  \"anthropic\": {\"type\": \"api\", \"key\": \"k\"}\n}\n",
    );
    let before = files(&home);
    let shown = home.sh("codex-accounts setup --yes");
    let program = shown.stdout.lines().find(|line| line.contains("ExecStart"));
    let program = program
        .expect("a unit")
        .split('"')
        .nth(1)
        .expect("a program")
        .to_owned();
    insta::assert_snapshot!(shown.to_string().replace(&program, "PROGRAM"), @r#"
    +++ '$HOME/.config/codex-accounts/key' (a new key, not shown)
    +++ '$HOME/.config/systemd/user/codex-proxy.socket'
    +[Unit]
    +Description=Address of the relay of codex-accounts
    +
    +[Socket]
    +ListenStream=127.0.0.1:8765
    +
    +[Install]
    +WantedBy=sockets.target
    +++ '$HOME/.config/systemd/user/codex-proxy.service'
    +[Unit]
    +Description=Relay of codex-accounts
    +
    +[Service]
    +Type=notify
    +ExecStart="PROGRAM" "--key-file" "$HOME/.config/codex-accounts/key" "--log" "$HOME/.local/state/codex-accounts/relay.log"
    +StandardOutput=null
    +Restart=on-failure
    +RestartPreventExitStatus=1 2 77 78
    +++ '$HOME/.config/opencode/opencode.jsonc'
     {
       "username": "me", // always
    +  "provider": {
    +    "openai": {
    +      "options": {
    +        "baseURL": "http://127.0.0.1:8765/codex",
    +        "headers": {
    +          "x-codex-accounts-key": "{file:$HOME/.config/codex-accounts/key}"
    +        }
    +      }
    +    }
    +  },
     }
    +++ '$HOME/.local/share/opencode/auth.json'
     {
    -  "anthropic": {"type": "api", "key": "k"}
    +  "anthropic": {"type": "api", "key": "k"},
    +  "openai": {"type":"oauth","refresh":"none","access":"codex-accounts","expires":4102444800000,"accountId":"codex-accounts"}
     }
    +++ '$HOME/.codex/config.toml'
     # mine
     model = "gpt-5.5"
    +model_provider = "codex_accounts"
     
     [projects."/a"]
     trust_level = "trusted"
    +
    +[model_providers.codex_accounts]
    +name = "OpenAI"
    +base_url = "http://127.0.0.1:8765/codex"
    +wire_api = "responses"
    +supports_websockets = false
    +
    +[model_providers.codex_accounts.auth]
    +command = "cat"
    +args = ["$HOME/.config/codex-accounts/key"]
    --- stderr
    codex-accounts: systemd could not start the relay; start it by hand: codex-proxy --listen 127.0.0.1:8765 --key-file '$HOME/.config/codex-accounts/key'
    --- exit 0
    "#);
    let key = fs::metadata(home.path().join(KEY)).expect("a key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);

    insta::assert_snapshot!(home.sh("codex-accounts setup --yes"), @"
    --- stderr
    codex-accounts: everything is set up already
    codex-accounts: systemd could not start the relay; start it by hand: codex-proxy --listen 127.0.0.1:8765 --key-file '$HOME/.config/codex-accounts/key'
    --- exit 0
    ");
    // At another port, what was there before the first setup is what comes back.
    assert_eq!(home.sh("codex-accounts setup --yes --port 9000").code, 0);
    insta::assert_snapshot!(home.sh("codex-accounts setup --undo --yes"), @r#"
    --- '$HOME/.config/codex-accounts/key' is removed
    --- '$HOME/.config/systemd/user/codex-proxy.socket' is removed
    --- '$HOME/.config/systemd/user/codex-proxy.service' is removed
    +++ '$HOME/.config/opencode/opencode.jsonc'
     {
       "username": "me", // always
    -  "provider": {
    -    "openai": {
    -      "options": {
    -        "baseURL": "http://127.0.0.1:9000/codex",
    -        "headers": {
    -          "x-codex-accounts-key": "{file:$HOME/.config/codex-accounts/key}"
    -        }
    -      }
    -    }
    -  },
     }
    +++ '$HOME/.local/share/opencode/auth.json'
     {
    -  "anthropic": {"type": "api", "key": "k"},
    -  "openai": {"type":"oauth","refresh":"none","access":"codex-accounts","expires":4102444800000,"accountId":"codex-accounts"}
    +  "anthropic": {"type": "api", "key": "k"}
     }
    +++ '$HOME/.codex/config.toml'
     # mine
     model = "gpt-5.5"
    -model_provider = "codex_accounts"
     
     [projects."/a"]
     trust_level = "trusted"
    -
    -[model_providers.codex_accounts]
    -name = "OpenAI"
    -base_url = "http://127.0.0.1:9000/codex"
    -wire_api = "responses"
    -supports_websockets = false
    -
    -[model_providers.codex_accounts.auth]
    -command = "cat"
    -args = ["$HOME/.config/codex-accounts/key"]
    --- stderr
    codex-accounts: everything is as it was
    --- exit 0
    "#);
    assert_eq!(files(&home), before);
    insta::assert_snapshot!(home.sh("codex-accounts setup --undo"), @"
    --- stderr
    codex-accounts: error: nothing is set up
    --- exit 1
    ");
}

#[test]
fn what_was_changed_since_keeps_that_and_loses_what_is_ours() {
    let home = home();
    home.write(TOML, "model = \"gpt-5.5\"\n");
    assert_eq!(home.sh("codex-accounts setup --yes").code, 0);
    let config = fs::read_to_string(home.path().join(TOML)).expect("a file");
    home.write(TOML, format!("# new\n{config}"));
    let auth = fs::read_to_string(home.path().join(AUTH)).expect("a file");
    home.write(
        AUTH,
        auth.replacen('{', "{\"x\":{\"type\":\"api\",\"key\":\"k\"},", 1),
    );
    let shown = home.sh("codex-accounts setup --undo --yes");
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("was changed since"), "{shown}");
    let text = |path: &str| fs::read_to_string(home.path().join(path)).expect("a file");
    assert_eq!(text(TOML), "# new\nmodel = \"gpt-5.5\"\n");
    assert_eq!(text(AUTH), "{\"x\":{\"type\":\"api\",\"key\":\"k\"}}");
}

#[test]
fn the_placeholder_of_a_setup_is_nobodys_to_mend_or_import() {
    let home = home();
    assert_eq!(home.sh("codex-accounts setup --yes opencode").code, 0);
    let auth = fs::read(home.path().join(AUTH)).expect("a file");
    insta::assert_snapshot!(home.sh("codex-accounts import opencode"), @"
    --- stderr
    codex-accounts: error: '$HOME/.local/share/opencode/auth.json': it has the placeholder of 'codex-accounts setup', which is no login
    --- exit 65
    ");
    let shown = home.sh("codex-accounts doctor --fix");
    assert!(!shown.stdout.contains("a launch left"), "{shown}");
    let shown = home.sh("codex-launch -- opencode run hi");
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(fs::read(home.path().join(AUTH)).expect("a file"), auth);
}

#[test]
fn setup_prints_what_to_write_by_hand() {
    let home = home();
    for what in ["opencode", "codex", "vscode", "openai-sdk"] {
        let shown = home.sh(&format!("codex-accounts setup --print {what}"));
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown}");
        let address = "http://127.0.0.1:8765/codex";
        assert!(shown.stdout.contains(address), "{shown}");
    }
    insta::assert_snapshot!(home.sh("codex-accounts setup --print vscode"), @r#"
    # the extension reads the file of Codex CLI; restart the editor afterwards
    # in ~/.codex/config.toml
    model_provider = "codex_accounts"

    [model_providers.codex_accounts]
    name = "OpenAI"
    base_url = "http://127.0.0.1:8765/codex"
    wire_api = "responses"
    supports_websockets = false

    [model_providers.codex_accounts.auth]
    command = "cat"
    args = ["$HOME/.config/codex-accounts/key"]
    --- exit 0
    "#);
    insta::assert_snapshot!(home.sh("codex-accounts setup --print openai-sdk"), @r#"
    export OPENAI_BASE_URL=http://127.0.0.1:8765/codex
    export OPENAI_API_KEY="$(cat '$HOME/.config/codex-accounts/key')"
    --- exit 0
    "#);
}

#[test]
fn a_configuration_that_can_not_be_read_is_left_as_it_is() {
    let home = home();
    home.write(CONFIG, "{oops");
    insta::assert_snapshot!(home.sh("codex-accounts setup --yes opencode"), @"
    --- stderr
    codex-accounts: error: '$HOME/.config/opencode/opencode.jsonc' can't be changed: it is not JSON, or something else is where the address belongs
    --- exit 78
    ");
    assert_eq!(
        fs::read_to_string(home.path().join(CONFIG)).expect("a file"),
        "{oops"
    );
    assert!(!home.path().join(KEY).exists());
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A home with the real clients, set up to go to a relay that is started by hand; the first of its two
/// accounts is limited.
fn with_clients(client: &str) -> (Home, Servers, u16) {
    let mut home = Home::with_clients();
    home.install("systemctl", "#!/bin/sh\nexit 1\n");
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    let pretend = home.with_servers(script);
    let port = free_port();
    let shown = home.sh(&format!(
        "codex-accounts setup --yes --port {port} {client}"
    ));
    assert_eq!(shown.code, 0, "{shown}");
    (home, pretend, port)
}

fn relay(home: &Home, port: u16) -> Server {
    let key = home.path().join(KEY);
    let key = key.to_str().expect("a path");
    home.serve(
        "codex-proxy",
        &["--listen", &format!("127.0.0.1:{port}"), "--key-file", key],
    )
}

/// Asks with the client, behind the relay, behind the next relay at the same place, and with none.
fn asks_over_a_restart(client: &str, ask: &str) {
    let (home, _pretend, port) = with_clients(client);
    for _ in 0..2 {
        let relay = relay(&home, port);
        let shown = home.sh(ask);
        assert_eq!(shown.code, 0, "{shown}");
        assert!(
            shown.stdout.contains("answered by two@example.com"),
            "{shown}"
        );
        drop(relay);
    }
    let shown = home.sh(&format!("timeout 20 {ask}"));
    assert_ne!(shown.code, 0, "{shown}");
    assert!(!shown.stdout.contains("answered by"), "{shown}");
}

#[test]
fn plain_opencode_rotates_behind_a_standing_relay_and_over_its_restart() {
    asks_over_a_restart(
        "opencode",
        "opencode run -m openai/gpt-5.5 'say who you are' </dev/null",
    );
}

#[test]
fn plain_codex_rotates_behind_a_standing_relay_and_over_its_restart() {
    asks_over_a_restart(
        "codex",
        "codex exec --skip-git-repo-check -m gpt-5.5 'say who you are' </dev/null",
    );
}

#[test]
fn a_launch_goes_its_own_way_where_clients_are_set_up_for_good() {
    for (client, ask) in [
        (
            "opencode",
            "codex-launch opencode run -m openai/gpt-5.5 'say who you are' </dev/null",
        ),
        (
            "codex",
            "codex-launch codex exec --skip-git-repo-check -m gpt-5.5 'say who you are' </dev/null",
        ),
        (
            "codex",
            "codex-launch codex -m gpt-5.5 exec --skip-git-repo-check 'say who you are' </dev/null",
        ),
    ] {
        let (home, _pretend, _) = with_clients(client);
        let shown = home.sh(ask);
        assert_eq!(shown.code, 0, "{ask}: {shown}");
        assert!(
            shown.stdout.contains("answered by two@example.com"),
            "{shown}"
        );
    }
}

#[test]
fn a_launch_with_a_screen_or_an_editor_was_refused_where_codex_is_set_up_for_good() {
    let (home, _pretend, _) = with_clients("codex");
    let mut server = AppServer::start(&home, "codex-launch", &["codex", "app-server"]);
    let thread = server.begin("gpt-5.5");
    server.say(&thread, "say who you are");
    let end = ("completed", "answered by two@example.com");
    let (status, said) = server.end_of_turn();
    assert_eq!((&*status, &*said), end);
}
