//! The relay as a service of the person's: the files and commands of the system's service manager.
//! With systemd the relay is started by the first request; with the others when the person logs in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::typed::quoted;
use crate::client::for_good::{Edit, Error, config_folder};
use crate::store::locator::Locator;
use crate::sys::place;

/// The relay that is to run.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) program: PathBuf,
    pub(super) port: u16,
    pub(super) key_file: PathBuf,
    pub(super) log: PathBuf,
    /// The store, where it is not the usual one.
    pub(super) store: Option<Locator>,
}

impl Relay {
    fn arguments(&self) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let mut arguments = vec![text(&self.program), "--key-file".to_owned()];
        arguments.push(text(&self.key_file));
        arguments.extend(["--log".to_owned(), text(&self.log)]);
        if let Some(store) = &self.store {
            let store = store.absolute();
            arguments.extend([
                "--store".to_owned(),
                store.as_os_str().to_string_lossy().into_owned(),
            ]);
        }
        arguments
    }

    fn listen(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As a person types it.
    pub(super) fn command(&self) -> String {
        format!(
            "codex-proxy --listen {} --key-file {}",
            self.listen(),
            quoted(&self.key_file)
        )
    }
}

/// A service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Systemd,
    Launchd,
    Tasks,
}

const UNIT: &str = "codex-proxy";
const LABEL: &str = "codex-accounts.codex-proxy";

impl Manager {
    /// That of this system.
    pub(super) fn of_system() -> Self {
        match std::env::consts::OS {
            "macos" => Self::Launchd,
            "windows" => Self::Tasks,
            _ => Self::Systemd,
        }
    }

    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
            Self::Tasks => "the task scheduler",
        }
    }

    /// The files that it wants.
    pub(super) fn units(self, relay: &Relay) -> Result<Vec<Edit>, Error> {
        let file = |path: PathBuf, text: String| Edit::of(path, |_| Ok(text));
        match self {
            Self::Systemd => {
                let folder = config_folder().ok_or(Error::NoHome)?.join("systemd/user");
                Ok(vec![
                    file(folder.join(format!("{UNIT}.socket")), socket(relay))?,
                    file(folder.join(format!("{UNIT}.service")), service(relay))?,
                ])
            }
            Self::Launchd => Ok(vec![file(plist_path()?, plist(relay))?]),
            Self::Tasks => Ok(Vec::new()),
        }
    }

    /// The commands that start it now and whenever the person logs in.
    pub(super) fn start(self, relay: &Relay) -> Vec<Command> {
        match self {
            Self::Systemd => vec![
                systemctl(&["daemon-reload"]),
                systemctl(&["enable", &format!("{UNIT}.socket")]),
                systemctl(&["stop", &format!("{UNIT}.service")]),
                systemctl(&["restart", &format!("{UNIT}.socket")]),
            ],
            Self::Launchd => vec![launchctl("load")],
            Self::Tasks => {
                let mut arguments = relay.arguments();
                arguments.extend(["--listen".to_owned(), relay.listen()]);
                let words = arguments.iter().map(|it| format!("\"{it}\""));
                let line = words.collect::<Vec<_>>().join(" ");
                let create = ["/create", "/f", "/sc", "onlogon", "/tn", UNIT, "/tr", &line];
                vec![
                    command("schtasks", &create),
                    command("schtasks", &["/run", "/tn", UNIT]),
                ]
            }
        }
    }

    /// The commands that end it, while its files are there.
    pub(super) fn stop(self) -> Vec<Command> {
        match self {
            Self::Systemd => {
                let units = [format!("{UNIT}.socket"), format!("{UNIT}.service")];
                vec![systemctl(&["disable", "--now", &units[0], &units[1]])]
            }
            Self::Launchd => vec![launchctl("unload")],
            Self::Tasks => vec![
                command("schtasks", &["/end", "/tn", UNIT]),
                command("schtasks", &["/delete", "/f", "/tn", UNIT]),
            ],
        }
    }

    /// The commands that let it forget the files that are gone.
    pub(super) fn forget(self) -> Vec<Command> {
        match self {
            Self::Systemd => vec![systemctl(&["daemon-reload"])],
            Self::Launchd | Self::Tasks => Vec::new(),
        }
    }
}

fn systemctl(arguments: &[&str]) -> Command {
    let mut command = command("systemctl", &["--user"]);
    command.args(arguments);
    command
}

fn launchctl(verb: &str) -> Command {
    let mut command = command("launchctl", &[verb, "-w"]);
    command.args(plist_path());
    command
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn socket(relay: &Relay) -> String {
    format!(
        "[Unit]\nDescription=Address of the relay of codex-accounts\n\n\
         [Socket]\nListenStream={}\n\n\
         [Install]\nWantedBy=sockets.target\n",
        relay.listen()
    )
}

/// The record on standard output has the key in it, and would go into the journal.
fn service(relay: &Relay) -> String {
    let words: Vec<String> = relay.arguments().iter().map(|it| unit_word(it)).collect();
    format!(
        "[Unit]\nDescription=Relay of codex-accounts\n\n\
         [Service]\nType=notify\nExecStart={}\nStandardOutput=null\n\
         Restart=on-failure\nRestartPreventExitStatus=1 2 77 78\n",
        words.join(" ")
    )
}

/// A word of a command line of systemd's (systemd.service(5), "Command lines").
fn unit_word(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' | '$' => quoted.extend([c, c]),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn plist_path() -> Result<PathBuf, Error> {
    let home = place::home().ok_or(Error::NoHome)?;
    Ok(home.join(format!("Library/LaunchAgents/{LABEL}.plist")))
}

fn plist(relay: &Relay) -> String {
    let mut arguments = relay.arguments();
    arguments.extend(["--listen".to_owned(), relay.listen()]);
    let words: String = arguments
        .iter()
        .map(|it| format!("    <string>{}</string>\n", xml(it)))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n  <key>Label</key>\n  <string>{LABEL}</string>\n  \
         <key>ProgramArguments</key>\n  <array>\n{words}  </array>\n  \
         <key>RunAtLoad</key>\n  <true/>\n  <key>KeepAlive</key>\n  <true/>\n\
         </dict>\n</plist>\n"
    )
}

fn xml(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> Relay {
        Relay {
            program: "/opt/my own/codex-proxy".into(),
            port: 8765,
            key_file: "/home/me/50%/$key".into(),
            log: "/log".into(),
            store: Some(Locator::File("/a&b".into())),
        }
    }

    #[test]
    fn a_path_is_one_word_of_a_unit_whatever_is_in_it() {
        let service = service(&relay());
        let line = service.lines().find(|line| line.starts_with("ExecStart"));
        assert_eq!(
            line,
            Some(
                "ExecStart=\"/opt/my own/codex-proxy\" \"--key-file\" \"/home/me/50%%/$$key\" \
                 \"--log\" \"/log\" \"--store\" \"/a&b\""
            )
        );
    }

    #[test]
    fn a_path_is_one_string_of_a_property_list() {
        let plist = plist(&relay());
        assert!(plist.contains("<string>/a&amp;b</string>"), "{plist}");
        assert!(plist.contains("<string>127.0.0.1:8765</string>"), "{plist}");
    }
}
