//! Opening an address in the person's browser.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use url::Url;

use crate::sys::browser;
use crate::sys::signals::Shield;

/// A browser that is not back by then stays in the foreground: it is open.
const LONGEST_START: Duration = Duration::from_secs(3);

/// Browsers that take the terminal and stay until the person leaves them.
const TEXT_BROWSERS: [&str; 6] = ["www-browser", "links2", "elinks", "links", "lynx", "w3m"];

/// What came of opening a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There is none.
    Not,
    /// A text browser has the terminal.
    InTerminal,
    /// It runs beside this program, as far as anybody knows: launchers hide how it ends.
    Beside,
}

/// Opens an address in the browser that `$BROWSER` names, or the system's. It is not waited for, and
/// what it prints is not seen, unless it is a text browser.
#[must_use]
pub fn open(url: &Url) -> Opened {
    let named = std::env::var("BROWSER").unwrap_or_default();
    if let Some(command) = text_browser(&named, url)
        && in_terminal(command)
    {
        return Opened::InTerminal;
    }
    let (started, start) = mpsc::channel();
    let url = url.clone();
    thread::spawn(move || {
        let opened = match browser::named(&named, url.as_str()) {
            Some(mut command) => command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .is_ok(),
            None => webbrowser::open(url.as_str()).is_ok(),
        };
        // Nobody waits any more for a browser that took its time.
        let _ = started.send(opened);
    });
    match start.recv_timeout(LONGEST_START) {
        Ok(true) | Err(RecvTimeoutError::Timeout) => Opened::Beside,
        Ok(false) | Err(RecvTimeoutError::Disconnected) => Opened::Not,
    }
}

/// Starts a text browser. The thread that waits for its end lives as long as it does, through the
/// commit of the login too: so that one holds signals back, and the browser does not.
fn in_terminal(mut command: Command) -> bool {
    let (started, start) = mpsc::channel();
    let _shield = Shield::raise();
    thread::spawn(move || {
        let child = {
            let _open = Shield::lower();
            command.spawn()
        };
        let _ = started.send(child.is_ok());
        // How it ends is the person's business; the login ends with the callback.
        let _ = child.and_then(|mut child: Child| child.wait());
    });
    start.recv().unwrap_or(false)
}

/// The command of the first browser in `$BROWSER`, if that is a text browser: words, of which `%s`
/// stands for the address; where none does, it comes last.
fn text_browser(named: &str, url: &Url) -> Option<Command> {
    let mut words = named.split(':').next()?.split_ascii_whitespace();
    let program = words.next()?;
    let name = program.rsplit('/').next()?;
    if !TEXT_BROWSERS.contains(&name) {
        return None;
    }
    let mut command = Command::new(program);
    let mut has_address = false;
    for word in words {
        has_address |= word.contains("%s");
        command.arg(word.replace("%s", url.as_str()));
    }
    if !has_address {
        command.arg(url.as_str());
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(named: &str) -> Option<Vec<String>> {
        let url = Url::parse("http://localhost/?a=%25s").unwrap();
        let command = text_browser(named, &url)?;
        let program = std::iter::once(command.get_program());
        let words = program.chain(command.get_args());
        Some(words.map(|it| it.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn a_text_browser_is_told_by_its_name() {
        let url = "http://localhost/?a=%25s";
        assert_eq!(words("w3m").unwrap(), ["w3m", url]);
        assert_eq!(
            words("/usr/bin/lynx -accept_all_cookies %s -nopause:firefox").unwrap(),
            ["/usr/bin/lynx", "-accept_all_cookies", url, "-nopause"]
        );
        for other in ["", ":", "firefox", "firefox:w3m", "/opt/w3m/firefox"] {
            assert_eq!(words(other), None, "{other}");
        }
    }
}
