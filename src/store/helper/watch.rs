//! A thread that waits for changes of a helper's store, with a helper of its own. While there is
//! none, what was seen last stays what is known.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::known::Known;
use super::link::Link;
use super::process::{Connection, Fault};
use super::wire::Request;

/// It is asked again after this, so that one that lost its engine without noticing is found out.
const LONGEST_WAIT: u64 = 30_000;

/// After this, where the helper failed, or can't watch.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Begins to watch. The thread ends when nobody wants to know any more.
pub(super) fn start(link: &Arc<Link>, known: &Arc<Known>) {
    let (link, known) = (Arc::downgrade(link), Arc::downgrade(known));
    let watching = thread::Builder::new().spawn(move || watch(&link, &known));
    // Without a thread the store is read each time.
    drop(watching);
}

fn watch(link: &Weak<Link>, known: &Weak<Known>) {
    let mut connection = None;
    while let Some((link, known)) = link.upgrade().zip(known.upgrade()) {
        let pause = look(&link, &known, &mut connection);
        drop((link, known));
        thread::sleep(pause);
    }
}

/// Waits for one change; how long to wait before the next look.
fn look(link: &Link, known: &Known, connection: &mut Option<Connection>) -> Duration {
    let mut there = match connection.take() {
        Some(there) => there,
        None => match link.start() {
            Ok(started) => started,
            Err(_) => return LOOK_AGAIN,
        },
    };
    let version = known.version();
    let can_watch = there.can_watch();
    // The first one is a look.
    let waits = can_watch && known.counted().is_some();
    let request = Request::Watch {
        version: version.as_deref(),
        wait: if waits { LONGEST_WAIT } else { 0 },
    };
    match link.ask_of(&mut there, &request) {
        Ok(answer) => {
            known.watched(answer.version.as_deref());
            *connection = Some(there);
            if can_watch {
                Duration::ZERO
            } else {
                LOOK_AGAIN
            }
        }
        Err(Fault::Refused(_)) => {
            *connection = Some(there);
            LOOK_AGAIN
        }
        Err(_) => LOOK_AGAIN,
    }
}
