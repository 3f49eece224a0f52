//! `codex-accounts completions`: for a shell, a script that completes the commands of the suite. The
//! script asks `codex-accounts`, which knows the flags of all and the accounts.

use clap::ValueEnum;
use clap_complete::env::Shells;

use crate::cli::exit::{Code, Error};
use crate::cli::shell::Shell;

/// The environment variable by which a shell asks; its value names the shell.
pub(in crate::cli) const VARIABLE: &str = "CODEX_ACCOUNTS_COMPLETE";
/// Which command it asks.
const COMPLETER: &str = "codex-accounts";

/// The commands of the suite.
const COMMANDS: [&str; 13] = [
    "codex-account-pick",
    "codex-accounts",
    "codex-launch",
    "codex-oauth-login",
    "codex-proxy",
    "codex-ratelimit-mark",
    "codex-rehearse",
    "codex-reset-redeem",
    "codex-session-strip",
    "codex-token-decode",
    "codex-token-encode",
    "codex-token-refresh",
    "codex-usage-fetch",
];

/// `codex-accounts completions`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "codex-accounts completions bash | zsh | fish")]
pub(super) struct Completions {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(super) fn run(&self, shell: &Shell) -> Result<Code, Error> {
        let name = match self.shell {
            Kind::Bash => "bash",
            Kind::Zsh => "zsh",
            Kind::Fish => "fish",
        };
        let mut script = Vec::new();
        if matches!(self.shell, Kind::Zsh) {
            // Only the first line tells zsh for what it should load the file.
            script.extend(format!("#compdef {}\n", COMMANDS.join(" ")).into_bytes());
        }
        let shells = Shells::builtins();
        for command in COMMANDS {
            if let Some(completer) = shells.completer(name) {
                completer
                    .write_registration(VARIABLE, command, command, COMPLETER, &mut script)
                    .map_err(Error::output)?;
            }
        }
        shell.print(&String::from_utf8_lossy(&script))?;
        Ok(Code::Done)
    }
}
