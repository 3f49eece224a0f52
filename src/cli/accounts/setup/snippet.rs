//! What a person writes by hand to point a program at the relay.

use clap::ValueEnum;

use crate::cli::typed::quoted;
use crate::client::codex::Codex;
use crate::client::contract::Client;
use crate::client::for_good::Standing;
use crate::client::opencode::Opencode;
use crate::sys::shell;

/// What is to be pointed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    Opencode,
    Codex,
    /// Codex's extension, which reads what Codex CLI reads.
    Vscode,
    OpenaiSdk,
}

impl What {
    pub(super) fn text(self, relay: &Standing<'_>) -> String {
        match self {
            Self::Opencode => Opencode.snippet(relay),
            Self::Codex => Codex.snippet(relay),
            Self::Vscode => format!(
                "# the extension reads the file of Codex CLI; restart the editor afterwards\n{}",
                Codex.snippet(relay)
            ),
            Self::OpenaiSdk => format!(
                "{}\n{}\n",
                shell::set("OPENAI_BASE_URL", relay.url),
                shell::set_from_file("OPENAI_API_KEY", &quoted(relay.key_file))
            ),
        }
    }
}
