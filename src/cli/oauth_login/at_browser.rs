//! The person at a login with a browser: what they are shown, and what they paste.

use std::future::pending;
use std::time::{Duration, Instant};

use url::Url;

use super::is_conversation;
use super::lines::Lines;
use crate::cli::shell::Shell;
use crate::cli::when;
use crate::net::browser::{self, Opened};
use crate::oauth::login::{Person, Unusable};

/// A browser that is not back by then may never have opened.
const SOON: Duration = Duration::from_secs(30);

/// The person at a browser login.
pub(super) struct AtBrowser<'a> {
    pub(super) shell: &'a Shell,
    pub(super) lines: &'a mut Lines,
    /// Whether a browser is opened for them.
    pub(super) opens: bool,
    /// Whether they are asked for what the browser comes back with.
    pub(super) pastes: bool,
    /// How long they may take.
    pub(super) patience: Duration,
    /// The browser that was opened for them.
    pub(super) opened: Opened,
    /// When they are asked whether a browser opened at all.
    pub(super) reminds_at: Option<Instant>,
}

impl Person for AtBrowser<'_> {
    fn brings_answer(&self) -> bool {
        !self.opens
    }

    fn is_there(&self) -> bool {
        is_conversation()
    }

    fn has_browser(&self) -> bool {
        self.opened == Opened::Beside
    }

    fn show(&mut self, url: &Url) {
        if self.opens {
            self.opened = browser::open(url);
        }
        match self.opened {
            Opened::Not => self
                .shell
                .tell_page("open this page in a browser and log in:", url),
            Opened::InTerminal | Opened::Beside => self
                .shell
                .note_page("log in with the browser; its page is", url),
        }
        // Other input than a person's is left alone where none was asked for, and a text browser
        // has the terminal.
        if !self.is_there() || self.opened == Opened::InTerminal {
            return;
        }
        self.pastes = true;
        let or_code = match self.opened {
            Opened::Not => ", or the code in it",
            Opened::InTerminal | Opened::Beside => "",
        };
        self.shell.note(&format!(
            "waiting, {}; if the browser can't come back here, paste the address that it ends at\
             {or_code}",
            when::span(self.patience)
        ));
        if self.opened == Opened::Beside {
            self.reminds_at = Some(Instant::now() + SOON.min(self.patience / 2));
        }
    }

    async fn line(&mut self) -> Option<String> {
        if !self.pastes {
            return pending().await;
        }
        if let Some(at) = self.reminds_at {
            tokio::select! {
                line = self.lines.next() => return line,
                () = tokio::time::sleep_until(at.into()) => {}
            }
            self.reminds_at = None;
            self.shell
                .note("no browser has come back yet: if none opened, open the page above yourself");
        }
        self.lines.next().await
    }

    fn reject(&mut self, why: Unusable) {
        self.shell.tell(&format!("{why}; try again"));
    }
}
