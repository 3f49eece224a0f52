//! `codex-session-strip`: the body of a request in; the same without what only another account can
//! read out.

use super::args::Common;
use super::console::Console;
use super::exit::{Code, Error};
use crate::account::session::{Body, Extent};

/// What `--help` says after the options.
const MORE: &str = "\
Input:
  The body of a request for a response, as JSON.

Output:
  The same bytes, less reasoning items, the ids of all other items but
  compactions, and what is encrypted in outputs, messages and arguments.

Exit status:
  0   It was written; where nothing is encrypted, as it came
  1   The input is empty
  2   The arguments are wrong
  65  The input is no JSON object, or can be read in more than one way
  74  Input or output failed

Examples:
  echo '{\"input\":[{\"type\":\"reasoning\"}]}' | codex-session-strip -q";

/// Strip a request of what only another account can read
///
/// Reads the body of a request for a response from standard input and writes it without what the
/// backend encrypted for the account that it answered. It can then be sent as any account.
#[derive(Debug, clap::Parser)]
#[command(
    name = "codex-session-strip",
    version,
    long_version = crate::cli::VERSION,
    override_usage = "codex-session-strip [-qhV] [--store FILE] [--compaction]",
    after_long_help = MORE,
    term_width = 80
)]
pub struct SessionStrip {
    /// Replace compaction items too, by a note: what they summarise is lost
    #[arg(long)]
    compaction: bool,
    #[command(flatten)]
    common: Common,
}

impl super::Command for SessionStrip {
    const NAME: &'static str = "codex-session-strip";
    type Around = Console;

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, console: &Console) -> Result<Code, Error> {
        let input = console.read_input("the body of a request")?;
        if input.trim_ascii().is_empty() {
            return Err(Error::new(Code::No, "the input is empty"));
        }
        let extent = match self.compaction {
            true => Extent::All,
            false => Extent::AllButCompactions,
        };
        let body =
            Body::read(&input).map_err(|error| Error::new(Code::Malformed, error.to_string()))?;
        match body.cut(extent) {
            Some(cut) => {
                console.print_bytes(cut.body.as_bytes())?;
                console.note(&format!("stripped {}", cut.counts));
            }
            None => console.print_bytes(&input)?,
        }
        Ok(Code::Done)
    }
}
