//! What a command of the plumbing costs, beside the least that a process and a commit can cost.
//!
//! `cargo bench --bench plumbing` prints the medians of one run, and beside those that DESIGN §6
//! speaks of what they must reach. Nothing here fails because a figure is bad. jq takes part where
//! it is installed.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is measured.
type Work<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

const RUNS: usize = 300;
/// Of what waits for the disk.
const COMMITS: usize = 100;

fn main() -> Result<()> {
    // Not in the system's temporary folder, which may be in memory: a commit would cost nothing.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = folder.path().join("store.json");
    let text = text_of_store();
    fs::write(&store, &text)?;
    #[cfg(unix)]
    fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    println!("a store of {} bytes; medians in ms", text.len());
    read(&store)?;
    mark(&store)?;
    launch(&store)
}

/// Five accounts, with tokens as long as real ones.
fn text_of_store() -> String {
    let account = |index: usize| {
        json!({
            "refreshToken": format!("{index}{}", "r".repeat(90)),
            "chatgptAccountId": format!("account-{index}"),
            "email": format!("{index}@example.com"),
            "addedAt": 1_777_922_696_000_u64,
            "accessToken": "a".repeat(2000),
            "expiresAt": 4_000_000_000_000_u64,
            "idToken": "i".repeat(2000),
        })
    };
    let accounts: Vec<_> = (0..5).map(account).collect();
    json!({"version": 1, "accounts": accounts, "activeIndex": 0}).to_string()
}

fn read(store: &Path) -> Result<()> {
    let file = store.to_string_lossy().into_owned();
    let mut work = vec![
        nothing(store),
        run(env!("CARGO_BIN_EXE_codex-account-pick"), &["--peek"], store),
    ];
    let query = [".accounts[.activeIndex].chatgptAccountId", &file];
    let mut jq = run("jq", &query, store);
    match jq() {
        Ok(()) => work.push(jq),
        Err(_) => println!("  jq is not installed, and takes no part"),
    }
    let medians = medians(RUNS, &mut work)?;
    let (nothing, pick) = (medians[0], medians[1]);
    println!("  true                       {nothing:7.3}");
    println!(
        "  codex-account-pick --peek  {pick:7.3}  {:.2} x true (target: < 1.6)",
        pick / nothing
    );
    if let Some(jq) = medians.get(2) {
        println!(
            "  jq, of the same file       {jq:7.3}  the pick is {:.2} x jq (target: < 0.15)",
            pick / jq
        );
    }
    Ok(())
}

fn mark(store: &Path) -> Result<()> {
    let arguments = ["--retry-after", "1h", "0"];
    let text = fs::read(store)?;
    let other = store.with_extension("other");
    let mut work = [
        nothing(store),
        run(
            env!("CARGO_BIN_EXE_codex-ratelimit-mark"),
            &arguments,
            store,
        ),
        Box::new(move || commit(&other, &text)),
    ];
    let medians = medians(COMMITS, &mut work)?;
    let [nothing, mark, commit] = [medians[0], medians[1], medians[2]];
    println!("  a commit of as many bytes  {commit:7.3}");
    println!(
        "  codex-ratelimit-mark       {mark:7.3}  less true, {:.2} x the commit (target: one commit)",
        (mark - nothing) / commit
    );
    Ok(())
}

fn launch(store: &Path) -> Result<()> {
    let mut work = [
        nothing(store),
        run(env!("CARGO_BIN_EXE_codex-launch"), &["true"], store),
    ];
    let medians = medians(COMMITS, &mut work)?;
    println!(
        "  codex-launch true          {:7.3}  {:.2} x true",
        medians[1],
        medians[1] / medians[0]
    );
    Ok(())
}

/// The least that a process can cost.
fn nothing(store: &Path) -> Work<'static> {
    run("/bin/true", &[], store)
}

fn run(program: &str, arguments: &[&str], store: &Path) -> Work<'static> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("CODEX_ACCOUNTS_FILE", store)
        .env("XDG_STATE_HOME", store.with_extension("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Box::new(move || match command.status()? {
        status if status.success() => Ok(()),
        status => Err(format!("{command:?}: {status}").into()),
    })
}

/// The least that a change of a file can cost which a power cut leaves whole.
fn commit(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().ok_or("no folder")?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    Ok(File::open(folder)?.sync_all()?)
}

/// The median time of each in ms. They take turns, so that what else the machine does is shared out.
fn medians(runs: usize, work: &mut [Work<'_>]) -> Result<Vec<f64>> {
    let mut times: Vec<_> = work.iter().map(|_| Vec::with_capacity(runs)).collect();
    for _ in 0..runs {
        for (work, times) in work.iter_mut().zip(&mut times) {
            let started = Instant::now();
            work()?;
            times.push(started.elapsed());
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
