//! Who asks an account that said "too fast", and when. Those that were told to wait must not all
//! come back at the same moment: one asks, and with each that is served twice as many may. What a
//! response means is not decided here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use crate::account::{Account, identity};

/// When so many asked in vain, the others need not try.
const MOST_IN_VAIN: u32 = 2;

/// Nobody stands in line for longer: the one in front may wait for an answer that takes minutes.
const LONGEST_LINE: Duration = Duration::from_secs(10);

/// The lines before the accounts that are asked too fast.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<u64, Arc<Line>>>);

/// The line before one account.
#[derive(Debug)]
struct Line {
    /// A permit for each that may ask at the same time.
    places: Arc<Semaphore>,
    state: Mutex<LineState>,
}

#[derive(Debug)]
struct LineState {
    /// Nobody asks before.
    until: Instant,
    /// How many asked from this line, and were told to wait again.
    in_vain: u32,
}

/// The right to ask an account now. It ends when this goes.
#[derive(Debug)]
pub struct Turn {
    key: u64,
    place: Option<(Arc<Line>, OwnedSemaphorePermit)>,
}

impl Pace {
    /// Waits for a turn to ask the account; there is no wait where nobody stands in line.
    pub async fn turn(&self, account: &Account) -> Turn {
        let key = identity::key(account);
        let Some(line) = lock(&self.0).get(&key).cloned() else {
            return Turn { key, place: None };
        };
        let place = line.place().await;
        line.wait().await;
        let place = place.map(|place| (line, place));
        Turn { key, place }
    }

    /// Waits for another turn after the account said to wait so long. `None`: others asked it
    /// meanwhile, and were told to wait again.
    pub async fn turn_again(&self, turn: Turn, wait: Duration) -> Option<Turn> {
        let key = turn.key;
        let line = self.stand_in_line(turn, Instant::now() + wait);
        let before = line.in_vain();
        let place = line.place().await;
        if line.in_vain() - before >= MOST_IN_VAIN {
            return None;
        }
        line.wait().await;
        let place = place.map(|place| (line, place));
        Some(Turn { key, place })
    }

    /// Notes that the account served somebody whose turn it was.
    pub fn served(&self, turn: &Turn) {
        let Some((line, _)) = &turn.place else {
            return;
        };
        line.places.add_permits(1);
        // A place that nobody took: nobody stands in line.
        if line.places.available_permits() > 0 {
            lock(&self.0).remove(&turn.key);
        }
    }

    fn stand_in_line(&self, turn: Turn, until: Instant) -> Arc<Line> {
        let mut lines = lock(&self.0);
        let line = lines.entry(turn.key).or_insert_with(|| {
            Arc::new(Line {
                places: Arc::new(Semaphore::new(1)),
                state: Mutex::new(LineState { until, in_vain: 0 }),
            })
        });
        line.slow_down(until, turn.place.is_some());
        Arc::clone(line)
    }
}

impl Line {
    fn slow_down(&self, until: Instant, in_vain: bool) {
        let mut state = lock(&self.state);
        state.until = state.until.max(until);
        state.in_vain += u32::from(in_vain);
        if in_vain {
            // One at a time again; the place of the one that asks is given back when its turn ends.
            self.places.forget_permits(self.places.available_permits());
        }
    }

    fn in_vain(&self) -> u32 {
        lock(&self.state).in_vain
    }

    /// A place at the front; none if that takes too long.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned();
        timeout(LONGEST_LINE, place).await.ok()?.ok()
    }

    /// Waits until the account may be asked again.
    async fn wait(&self) {
        let until = lock(&self.state).until;
        sleep_until(until).await;
    }
}

/// What is behind these locks is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
