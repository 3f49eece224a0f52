//! The work of a month: which sessions there are, and when. By a seed, so that each strategy is
//! given the very same.

use super::month::TICKS;

/// What the work is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// One agent at a time, twelve hours a day.
    Steady,
    /// Two agents for an hour or three, twice a day or so, at any hour.
    Bursts,
    /// Ten agents at once, twelve hours a day, each for an hour or four.
    Parallel,
}

impl Load {
    /// All of them, with what they are called.
    pub(crate) const ALL: [(Self, &str); 3] = [
        (Self::Steady, "one steady agent"),
        (Self::Bursts, "bursts"),
        (Self::Parallel, "ten parallel sessions"),
    ];
}

/// An agent at work.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    begins: usize,
    ends: usize,
    /// What it asks for in each tick.
    pub(crate) cost: f64,
    /// The account that has its cache.
    pub(crate) account: Option<usize>,
}

impl Session {
    /// Whether it is at work then.
    pub(crate) fn lives(&self, tick: usize) -> bool {
        (self.begins..self.ends).contains(&tick)
    }
}

const HOUR: usize = 2;
const DAY: usize = 24 * HOUR;

impl Load {
    /// The sessions, by when they begin; together they ask for so much.
    pub(crate) fn sessions(self, demand: f64) -> Vec<Session> {
        let mut chance = Chance(2026);
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for day in (0..TICKS).step_by(DAY) {
            match self {
                Self::Steady => {
                    let begins = [8, 12, 16].map(|hour| day + hour * HOUR);
                    spans.extend(begins.map(|begin| (begin, begin + 4 * HOUR)));
                }
                Self::Bursts => {
                    for _ in 0..2 {
                        let begin = day + chance.below(DAY);
                        let end = begin + HOUR + chance.below(2 * HOUR + 1);
                        spans.extend([(begin, end); 2]);
                    }
                }
                Self::Parallel => {
                    for _ in 0..10 {
                        let mut begin = day + 8 * HOUR;
                        let evening = day + 20 * HOUR;
                        while begin < evening {
                            let end = begin + HOUR + chance.below(3 * HOUR + 1);
                            spans.push((begin, end.min(evening)));
                            begin = end;
                        }
                    }
                }
            }
        }
        spans
            .iter_mut()
            .for_each(|(_, end)| *end = (*end).min(TICKS));
        spans.sort_unstable();
        let ticks: usize = spans.iter().map(|(begin, end)| end - begin).sum();
        let cost = demand / ticks as f64;
        let sessions = spans.into_iter().map(|(begins, ends)| Session {
            begins,
            ends,
            cost,
            account: None,
        });
        sessions.collect()
    }
}

/// Numbers that look like chance: SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((number ^ (number >> 31)) % bound as u64) as usize
    }
}
