//! Locks between processes: the one place that names fs2. A lock lives on a file of its own that is
//! never replaced and never deleted, so that all who want it meet on the same inode; the kernel
//! gives it back when its holder dies, however it dies.
//!
//! fs2's methods are called by their full path: std's `File` has methods of the same names.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fs2::FileExt;

use super::error::Error;
use super::notice::Notice;
use crate::sys::file;

/// How long to wait for a lock, and when to say that one is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After this long, [`Waiting`] is told.
    pub quiet: Duration,
    /// After this long it is given up.
    pub most: Duration,
}

impl Patience {
    /// That of all commands: a word after a second, and ten seconds in all.
    pub const USUAL: Self = Self {
        quiet: Duration::from_secs(1),
        most: Duration::from_secs(10),
    };
}

/// Told what a person should know while this works: that a lock takes longer than
/// [`Patience::quiet`], once; and what else there is in a [`Notice`].
pub type Waiting = fn(&Notice<'_>);

/// A lock, or a share of one, that is held until this goes.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// A lock that is held until this goes.
pub trait Held: Debug + Send {}

impl Held for Lock {}

impl Lock {
    /// Gives the share back and tells whether nobody else has one; the lock is this one's alone
    /// then. Of several that do so at the same time, one is the last.
    #[must_use]
    pub fn is_last(&self) -> bool {
        FileExt::unlock(&self.file).is_ok() && FileExt::try_lock_exclusive(&self.file).is_ok()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file gives the lock back as well, unless a child inherited it.
        let _ = FileExt::unlock(&self.file);
    }
}

/// Takes a share of the lock on a file, which is created (0600) if it is not there. Any number can
/// have one.
///
/// # Errors
/// When the file can't be opened or locked.
pub fn shared(path: &Path) -> io::Result<Lock> {
    let file = open(path)?;
    FileExt::lock_shared(&file)?;
    Ok(Lock { file })
}

/// Takes the exclusive lock on a file, which is created (0600) if it is not there. `None`: it was
/// not had in time.
///
/// # Errors
/// When the file can't be opened or locked.
pub fn exclusive(path: &Path, patience: Patience, waiting: Waiting) -> io::Result<Option<Lock>> {
    match try_exclusive(open(path)?) {
        Ok(None) => {}
        other => return other,
    }
    let line = Line::of(path);
    line.wait(path, patience, waiting)
}

/// Takes the lock on a file, or says why it was not had.
///
/// # Errors
/// When it can't be taken, or was not had in time.
pub fn lock_file(path: PathBuf, patience: Patience, waiting: Waiting) -> Result<Lock, Error> {
    match exclusive(&path, patience, waiting) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::Locked {
            path,
            waited: patience.most,
        }),
        Err(source) if file::knows_no_locks(&source) => Err(Error::NoLocks { path, source }),
        Err(source) => Err(Error::io(&path)(source)),
    }
}

fn try_exclusive(file: File) -> io::Result<Option<Lock>> {
    match FileExt::try_lock_exclusive(&file) {
        Ok(()) => Ok(Some(Lock { file })),
        Err(error) if error.kind() == fs2::lock_contended_error().kind() => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    file::open_private(&mut options, path)
}

/// Those of this process who wait for one lock. The kernel serves who waits in their order, which
/// asking again and again would not; its wait has no end, so a thread does it. There is one for all
/// of them, however long the lock is stuck: it outlives who gives up, and serves who comes next.
#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many wait here.
    waiting: usize,
    /// A thread waits in the kernel.
    has_thread: bool,
    /// What the thread got, for the first who takes it.
    got: Option<io::Result<Lock>>,
}

/// The lines that there are, by the path of the lock.
static LINES: Mutex<BTreeMap<PathBuf, Arc<Line>>> = Mutex::new(BTreeMap::new());

impl Line {
    fn of(path: &Path) -> Arc<Self> {
        let mut lines = held(&LINES);
        // Only who holds `LINES` can join one in which nobody is.
        lines.retain(|_, line| Arc::strong_count(line) > 1 || held(&line.state).has_thread);
        Arc::clone(lines.entry(path.to_owned()).or_default())
    }

    fn wait(
        self: Arc<Self>,
        path: &Path,
        patience: Patience,
        waiting: Waiting,
    ) -> io::Result<Option<Lock>> {
        let begun = Instant::now();
        let mut told = false;
        let mut state = held(&self.state);
        state.waiting += 1;
        let result = loop {
            if let Some(got) = state.got.take() {
                break got.map(Some);
            }
            if !state.has_thread {
                match self.start_thread(path) {
                    Ok(started) => state.has_thread = started,
                    Err(error) => break Err(error),
                }
                if !state.has_thread {
                    break Ok(None);
                }
            }
            let until = if told { patience.most } else { patience.quiet };
            let left = until.saturating_sub(begun.elapsed());
            if !left.is_zero() {
                let woken = self.changed.wait_timeout(state, left);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
            } else if told || patience.quiet >= patience.most {
                break Ok(None);
            } else {
                told = true;
                drop(state);
                waiting(&Notice::Waiting(path));
                state = held(&self.state);
            }
        };
        state.waiting -= 1;
        drop(state);
        // What another got here is for the next one, and a thread is for who still waits.
        self.changed.notify_all();
        result
    }

    /// Starts the thread. `false`: the system gives none, and the lock is not had.
    fn start_thread(self: &Arc<Self>, path: &Path) -> io::Result<bool> {
        let file = open(path)?;
        let line = Arc::clone(self);
        let thread = thread::Builder::new().stack_size(64 << 10);
        let started = thread.spawn(move || {
            let locked = FileExt::lock_exclusive(&file).map(|()| Lock { file });
            let mut state = held(&line.state);
            state.has_thread = false;
            // When nobody wants it any more, it is given back.
            state.got = (state.waiting > 0).then_some(locked);
            drop(state);
            line.changed.notify_all();
        });
        Ok(started.is_ok())
    }
}

/// What is behind these is whole between any two statements.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Patience = Patience {
        quiet: Duration::from_millis(5),
        most: Duration::from_millis(20),
    };

    #[test]
    fn a_lock_that_is_stuck_costs_one_thread_however_many_give_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let stuck = exclusive(&path, SHORT, |_| ()).unwrap().unwrap();
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| assert!(exclusive(&path, SHORT, |_| ()).unwrap().is_none()));
            }
        });
        let line = Line::of(&path);
        // The line itself, its place among the lines, and the one thread.
        assert_eq!(Arc::strong_count(&line), 3);
        assert!(held(&line.state).has_thread);
        drop(stuck);
        for _ in 0..3 {
            let patience = Patience {
                most: Duration::from_secs(10),
                ..SHORT
            };
            let lock = exclusive(&path, patience, |_| ()).unwrap();
            assert!(lock.is_some(), "it is had once it is given back");
        }
    }

    #[test]
    fn all_who_wait_have_it_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let inside = Mutex::new(());
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let lock = exclusive(&path, Patience::USUAL, |_| ()).unwrap().unwrap();
                    let alone = inside.try_lock().expect("one at a time");
                    thread::sleep(Duration::from_millis(2));
                    drop(alone);
                    drop(lock);
                });
            }
        });
    }
}
