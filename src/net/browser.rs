//! Opening an address in the person's browser.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use url::Url;

/// A browser that is not back by then stays in the foreground, as text browsers do: it is open.
const LONGEST_START: Duration = Duration::from_secs(3);

/// Opens an address in the browser that `$BROWSER` names, or the system's. Whether there is one; it
/// is not waited for, and what it prints is not seen.
#[must_use]
pub fn open(url: &Url) -> bool {
    let (started, start) = mpsc::channel();
    let url = url.clone();
    thread::spawn(move || {
        // Nobody waits any more for a browser that took its time.
        let _ = started.send(webbrowser::open(url.as_str()).is_ok());
    });
    match start.recv_timeout(LONGEST_START) {
        Ok(opened) => opened,
        Err(RecvTimeoutError::Timeout) => true,
        Err(RecvTimeoutError::Disconnected) => false,
    }
}
