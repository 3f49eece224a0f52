//! A relay under many clients for a long time, while accounts are limited, marked and let go, one of
//! them fails in every way, and whoever holds the store's lock is killed: each request is answered
//! whole, and memory, threads and descriptors stay what they are.
//!
//! Seconds here; as many as `SOAK_SECONDS` says by `tests/soak`, with 64 clients.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Answer, Progress, Script, Standing, Style};
use http::StatusCode;

use super::support::faults::is_soak;
use super::support::relay::Setting;
use super::support::request::QUESTION;

/// The accounts: the first one fails, the last one serves, those between are limited now and then.
const ACCOUNTS: usize = 6;

/// What the first one can do wrong: what is the server's fault, and nobody else's.
const FAILURES: [Style; 12] = [
    Style::Error500,
    Style::Error502,
    Style::Error529,
    Style::Overloaded,
    Style::OverloadedEvent,
    Style::OverloadedFailed,
    Style::CapacityEvent,
    Style::EmptyStream,
    Style::CommentsOnly,
    Style::NoOutput,
    Style::CloseBeforeHead,
    Style::NoTerminal,
];

/// How the others are limited.
const LIMITS: [Style; 8] = [
    Style::UsageLimit,
    Style::ResetsIn,
    Style::WindowsOnly,
    Style::RetryAfter,
    Style::Limit404,
    Style::FailedFirst,
    Style::ErrorCreated,
    Style::IncompleteCreated,
];

/// What a process takes.
#[derive(Clone, Copy, Debug)]
struct Taken {
    memory: usize,
    threads: usize,
    descriptors: usize,
}

fn taken(setting: &Setting) -> Taken {
    let process = format!("/proc/{}", setting.ready_pid());
    let status = fs::read_to_string(format!("{process}/status")).expect("a process");
    let field = |name: &str| {
        let mut lines = status.lines();
        let line = lines
            .find_map(|line| line.strip_prefix(name))
            .expect("a field");
        let number = line.split_whitespace().next().expect("a number");
        number.parse().expect("a number")
    };
    Taken {
        memory: field("VmRSS:"),
        threads: field("Threads:"),
        // Nobody but the superuser sees those of a process that hides its memory.
        descriptors: fs::read_dir(format!("{process}/fd")).map_or(0, Iterator::count),
    }
}

/// What goes wrong around the relay, one thing after the other.
fn trouble(setting: &Setting, round: usize) {
    let home = &setting.home;
    let quiet = |script: &str| {
        let mut shell = home.std_command("sh");
        shell.args(["-c", script]).stdin(Stdio::null());
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        shell
    };
    let limited = 1 + round % (ACCOUNTS - 2);
    setting.pretend.change(|script| {
        let failure = match round % 13 {
            12 => Answer::Close {
                code: None,
                after: Progress::Created,
            },
            number => FAILURES[number].into(),
        };
        script.accounts[0].standing = Standing::Always(failure);
        script.accounts[limited].limit(Duration::from_secs(2), LIMITS[round % LIMITS.len()]);
    });
    let store = home.store_path();
    let lock = format!("{}.lock", store.display());
    match round % 4 {
        0 => {
            let mark = format!("codex-ratelimit-mark --retry-after 1 {limited}");
            let _ = quiet(&mark).status();
        }
        1 => {
            let _ = quiet("codex-accounts clear --all").status();
        }
        2 => {
            let mut holder = Command::new("flock")
                .args([&lock, "sleep", "5"])
                .spawn()
                .expect("flock");
            thread::sleep(Duration::from_millis(100));
            let _ = holder.kill();
            let _ = holder.wait();
        }
        _ => {
            let mut command = quiet("exec codex-token-refresh --force 0")
                .spawn()
                .expect("a command");
            thread::sleep(Duration::from_millis(20));
            let _ = command.kill();
            let _ = command.wait();
        }
    }
    thread::sleep(Duration::from_millis(100));
}

fn is_whole(body: &str) -> bool {
    [
        "response.completed",
        "response.failed",
        "response.incomplete",
    ]
    .iter()
    .any(|end| body.contains(&format!("event: {end}")))
}

#[test]
fn a_relay_serves_many_for_long_and_takes_no_more_for_it() {
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .and_then(|it| it.parse().ok());
    let (clients, seconds) = match is_soak() {
        true => (64, seconds.unwrap_or(600)),
        false => (16, 6),
    };
    let setting = Setting::new(
        Script::with_accounts(ACCOUNTS),
        &["--strategy", "round-robin"],
    );
    let end = Instant::now() + Duration::from_secs(seconds);
    let (whole, other) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut samples = Vec::new();
    thread::scope(|scope| {
        for client in 0..clients {
            let (setting, whole, other) = (&setting, &whole, &other);
            scope.spawn(move || {
                let mut session = 0;
                while Instant::now() < end {
                    session += 1;
                    let id = format!("s-{client}-{session}");
                    let got = setting.send("/responses", &[("session-id", &id)], QUESTION);
                    match got.status == StatusCode::OK && is_whole(&got.body) {
                        true => whole.fetch_add(1, Ordering::Relaxed),
                        false => {
                            eprintln!("{}: {}", got.status, got.body);
                            other.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
        scope.spawn(|| {
            for round in 0.. {
                if Instant::now() >= end {
                    break;
                }
                trouble(&setting, round);
            }
        });
        while Instant::now() < end {
            samples.push(taken(&setting));
            thread::sleep(Duration::from_secs(1));
        }
    });
    let (whole, other) = (whole.into_inner(), other.into_inner());
    let most = |of: fn(&Taken) -> usize, part: &[Taken]| part.iter().map(of).max().unwrap_or(0);
    let (early, late) = samples.split_at(samples.len() / 2);
    println!(
        "{clients} clients, {seconds} s: {whole} answers, {other} others; memory {} then {} KiB, \
         threads {} then {}, descriptors {} then {}",
        most(|it| it.memory, early),
        most(|it| it.memory, late),
        most(|it| it.threads, early),
        most(|it| it.threads, late),
        most(|it| it.descriptors, early),
        most(|it| it.descriptors, late),
    );
    assert_eq!(other, 0, "of {whole}");
    assert!(whole > clients, "only {whole}");
    assert!(most(|it| it.threads, &samples) < 40, "{samples:?}");
    assert!(
        most(|it| it.descriptors, late) < 16 * clients,
        "{samples:?}"
    );
    if is_soak() {
        let (early, late) = (most(|it| it.memory, early), most(|it| it.memory, late));
        assert!(late < early + early / 4, "{samples:?}");
    }
    // Marks are gone with their time, and the accounts are what they were.
    let asked = setting
        .home
        .sh("codex-accounts clear --all; codex-account-pick");
    assert_eq!(asked.code, 0, "{asked}");
    assert_eq!(setting.ask().status, StatusCode::OK);
}
