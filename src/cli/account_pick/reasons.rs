//! `--explain`: a record for each account, with the reason why it was chosen or passed over.

use serde::Serialize;

use super::AccountPick;
use crate::account::pick::{self, Reason};
use crate::account::time::UnixMillis;
use crate::cli::exit::{Code, Error};
use crate::cli::record::Who;
use crate::cli::shell::Shell;
use crate::store::Store;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainRecord<'a> {
    #[serde(flatten)]
    who: Who<'a>,
    chosen: bool,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<UnixMillis>,
}

impl AccountPick {
    pub(super) fn print_reasons(&self, shell: &Shell, store: &dyn Store) -> Result<Code, Error> {
        let now = self.now(shell);
        let document = shell.read(store)?;
        if document.accounts.is_empty() {
            return Err(Error::no_accounts());
        }
        let request = self.request(&document, now)?;
        let reasons = pick::explain(&document.accounts, document.active_index, &request, now);
        for (index, reason) in reasons.into_iter().enumerate() {
            shell.emit(&ExplainRecord {
                who: Who::new(index, &document.accounts[index]),
                chosen: reason == Reason::Chosen,
                reason: reason.word(),
                until: reason.until(),
            })?;
        }
        Ok(Code::Done)
    }
}
