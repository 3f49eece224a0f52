//! What is remembered of WebSockets between connections: that there are none to be had for a while,
//! which threads have to go by HTTP, and which turns were asked once to begin anew.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An upstream that has no WebSockets is not asked again for so long.
const CLOSED_FOR: Duration = Duration::from_secs(5 * 60);

/// So many threads and turns are remembered, the last ones.
const MOST: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SocketsSeen(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed_until: Option<Instant>,
    by_http: VecDeque<String>,
    asked_anew: VecDeque<String>,
}

impl SocketsSeen {
    /// Whether a thread may have a WebSocket now. One that has to go by HTTP is told so once: its
    /// client stays there.
    pub(super) fn may_open(&self, thread: Option<&str>) -> bool {
        let mut state = self.state();
        if let Some(place) = position(&state.by_http, thread) {
            state.by_http.remove(place);
            return false;
        }
        state
            .closed_until
            .is_none_or(|until| until <= Instant::now())
    }

    /// There are no WebSockets to be had.
    pub(super) fn close_for_a_while(&self) {
        self.state().closed_until = Some(Instant::now() + CLOSED_FOR);
    }

    /// This thread's next handshake is to be refused: what it asks is too large for a message.
    pub(super) fn send_by_http(&self, thread: Option<&str>) {
        if let Some(thread) = thread {
            remember(&mut self.state().by_http, thread);
        }
    }

    /// Whether the client may be asked to begin this turn's request anew after there was output of
    /// it: once.
    pub(super) fn may_ask_anew(&self, turn: &str) -> bool {
        let mut state = self.state();
        if position(&state.asked_anew, Some(turn)).is_some() {
            return false;
        }
        remember(&mut state.asked_anew, turn);
        true
    }

    /// A request of this turn was answered: its next one counts anew.
    pub(super) fn answered(&self, turn: &str) {
        let mut state = self.state();
        if let Some(place) = position(&state.asked_anew, Some(turn)) {
            state.asked_anew.remove(place);
        }
    }

    /// What is behind the lock is whole between any two statements.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn position(names: &VecDeque<String>, name: Option<&str>) -> Option<usize> {
    names.iter().position(|known| Some(known.as_str()) == name)
}

fn remember(names: &mut VecDeque<String>, name: &str) {
    if names.len() == MOST {
        names.pop_front();
    }
    names.push_back(name.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_sent_to_http_once() {
        let memory = SocketsSeen::default();
        memory.send_by_http(Some("large"));
        assert!(memory.may_open(Some("other")));
        assert!(!memory.may_open(Some("large")));
        assert!(memory.may_open(Some("large")));
        memory.close_for_a_while();
        assert!(!memory.may_open(Some("other")));
        assert!(!memory.may_open(None));
    }

    #[test]
    fn a_request_is_asked_for_anew_once() {
        let memory = SocketsSeen::default();
        assert!(memory.may_ask_anew("turn"));
        assert!(!memory.may_ask_anew("turn"));
        memory.answered("turn");
        assert!(memory.may_ask_anew("turn"));
        for number in 0..2 * MOST {
            memory.may_ask_anew(&number.to_string());
        }
        assert!(memory.state().asked_anew.len() <= MOST);
    }
}
