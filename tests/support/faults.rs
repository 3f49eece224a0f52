//! A command cut off, or failing, at one system call after the other: what strace does to it.

use std::collections::BTreeMap;

use super::Home;
use super::shown::Shown;

/// One system call of a command: its name, and the how manieth of that name it is in its thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) number: usize,
    /// The call as strace writes it, descriptors with what they are.
    pub(crate) line: String,
}

/// Calls that nobody but the process itself can see: to be cut off there is to be cut off at the
/// next one.
const UNSEEN: [&str; 24] = [
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "madvise",
    "mremap",
    "futex",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
    "getrandom",
    "clock_gettime",
    "clock_nanosleep",
    "gettid",
    "getpid",
    "getuid",
    "geteuid",
    "set_robust_list",
    "rseq",
    "sched_yield",
    "exit",
    "exit_group",
    "prlimit64",
    "sched_getaffinity",
];

/// The system calls of a command in their order, from the first one on a hidden file or folder of
/// the person's.
pub(crate) fn points(home: &Home, command: &str) -> Vec<Point> {
    let shown = home.sh(&format!(
        "exec strace -qq -f -y -s 200 -o trace {command} >record"
    ));
    assert_eq!(shown.code, 0, "{shown}");
    let trace = std::fs::read_to_string(home.path().join("trace")).expect("a trace");
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found = Vec::new();
    let own = format!("{}/.", home.path().display());
    let mut begun = false;
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, _)) = call.trim_start().split_once('(') else {
            continue; // the other half of a call, a signal, an end
        };
        let number = counts.entry((pid.to_owned(), name.to_owned())).or_default();
        *number += 1;
        begun |= call.contains(&own);
        if begun && !UNSEEN.contains(&name) {
            found.push(Point {
                name: name.to_owned(),
                number: *number,
                line: call.trim_start().to_owned(),
            });
        }
    }
    assert!(found.len() > 10, "{trace}");
    found
}

impl Point {
    /// Runs the command, which is killed when it is about to make this call.
    pub(crate) fn kill(&self, home: &Home, command: &str) -> Shown {
        self.inject(home, command, "signal=KILL")
    }

    /// Runs the command, for which this call fails without being made.
    pub(crate) fn fail(&self, home: &Home, command: &str, error: &str) -> Shown {
        self.inject(home, command, &format!("error={error}"))
    }

    fn inject(&self, home: &Home, command: &str, what: &str) -> Shown {
        let (name, number) = (&self.name, self.number);
        home.sh(&format!(
            "exec timeout 60 strace -qq -f -o trace -e trace={name} \
             -e inject={name}:{what}:when={number} {command}"
        ))
    }
}

/// All of them where `SOAK` is set, which takes minutes; else every so manieth, so that there are
/// about `count`.
pub(crate) fn sample<T>(all: Vec<T>, count: usize) -> Vec<T> {
    if is_soak() {
        return all;
    }
    let step = all.len().div_ceil(count).max(1);
    all.into_iter().step_by(step).collect()
}

/// Whether the long run was asked for, by `tests/soak`.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("SOAK").is_some()
}
