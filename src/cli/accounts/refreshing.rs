//! Figures that are asked for while a view goes on: by a thread of its own, one account after the
//! other, and none that was asked a moment ago.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc as news;

use crate::account::Account;
use crate::cli::exit::Error;
use crate::cli::figures::Figures;
use crate::cli::shell::Shell;

/// See the module.
#[derive(Debug)]
pub(super) struct Refreshing {
    /// How old figures have to be.
    orders: mpsc::Sender<Duration>,
    news: news::UnboundedReceiver<String>,
    ends: Arc<AtomicBool>,
    worker: JoinHandle<()>,
}

impl Refreshing {
    /// # Errors
    /// When the environment names a server that must not be used.
    pub(super) fn new(shell: &Shell) -> Result<Self, Error> {
        let figures = Figures::new(shell)?;
        let (orders, ordered) = mpsc::channel();
        let (told, news) = news::unbounded_channel();
        let ends = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            figures,
            shell: shell.clone(),
            told,
            ends: Arc::clone(&ends),
        };
        let worker = thread::spawn(move || {
            while let Ok(older_than) = ordered.recv() {
                worker.ask(older_than);
            }
        });
        Ok(Self {
            orders,
            news,
            ends,
            worker,
        })
    }

    /// Has the figures asked for of the accounts of which they are older than this.
    pub(super) fn order(&self, older_than: Duration) {
        // The worker lives as long as this does.
        let _ = self.orders.send(older_than);
    }

    /// What there is to say of it; the empty text, when all was asked.
    pub(super) async fn news(&mut self) -> Option<String> {
        self.news.recv().await
    }

    /// Ends after the account that is being asked for: with a token that is just renewed nothing may
    /// end before it is kept.
    pub(super) fn finish(self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(self.orders);
        // It says nothing, and a panic has been printed.
        let _ = self.worker.join();
    }
}

struct Worker {
    figures: Figures,
    shell: Shell,
    told: news::UnboundedSender<String>,
    ends: Arc<AtomicBool>,
}

impl Worker {
    fn ask(&self, older_than: Duration) {
        let accounts = match self.figures.accounts() {
            Ok(accounts) => accounts,
            Err(error) => return self.tell(error.to_string()),
        };
        let now = self.shell.now();
        let is_old = |account: &&Account| {
            let seen = account.usage.as_ref().and_then(|it| it.observed_at);
            account.enabled && seen.is_none_or(|seen| now.since(seen) >= older_than)
        };
        let mut failed = None;
        for account in accounts.iter().filter(is_old) {
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            self.tell(format!("asking for the figures of {}", account.name()));
            if let Err(error) = self.figures.fetch(account) {
                failed = Some(Error::from(error).to_string());
            }
        }
        self.tell(failed.unwrap_or_default());
    }

    fn tell(&self, text: String) {
        // Whoever shows it may be gone already.
        let _ = self.told.send(text);
    }
}
