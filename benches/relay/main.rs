//! What the relay costs, beside nginx, HAProxy and a plain forwarder of TCP in front of the same
//! backend.
//!
//! `cargo bench --bench relay` prints the figures of one run, and beside those that DESIGN §6 speaks
//! of what they must reach; `-- plain`, `tls`, `rotation` or `socket` a part of them. `BEFORE` in the
//! environment names another codex-proxy to take part. Nothing here
//! fails because a figure is bad, but it does where nginx or HAProxy is missing: `apt-get install
//! nginx-light haproxy`, on Debian. Client, backend and whatever is between them share the machine's
//! processors, so only figures of one run compare.

mod answers;
mod backend;
mod client;
mod rotation;
mod socket;
mod ways;

use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_accounts::rehearse::{Pretend, Script};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::backend::{Backend, SERVE};
use self::ways::{FORWARD, Goal, forward, write_store};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most.min(1 << 16), most)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [what, files @ ..] if what == SERVE => one_thread()?.block_on(backend::serve(files)),
        [what, backend, ..] if what == FORWARD => two_threads()?.block_on(forward(backend)),
        parts => measure(parts),
    }
}

fn one_thread() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

fn two_threads() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

fn measure(parts: &[String]) -> Result<()> {
    let named = |part: &&String| !part.starts_with('-');
    let all = !parts.iter().any(|part| named(&part));
    let wants = |name: &str| all || parts.iter().any(|part| part == name);
    let mut script = Script::with_accounts(2);
    script.remember = false;
    script.access_lifetime = Duration::from_secs(24 * 60 * 60);
    let pretend = Pretend::start(script)?;
    // Not in the system's temporary folder, which may be in memory: a mark would cost no sync.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = folder.path().join("store.json");
    let goal = Goal {
        folder: folder.path(),
        pretend: &pretend,
        store: &store,
        backend: "",
        certificate: None,
    };
    if wants("plain") {
        println!("\n== a backend without TLS");
        of_backend(&goal, &Backend::plain()?)?;
    }
    if wants("tls") {
        println!("\n== a backend with TLS");
        of_backend(&goal, &Backend::with_tls(folder.path())?)?;
    }
    if wants("rotation") {
        println!("\n== rotation");
        two_threads()?.block_on(rotation::measure(&goal))?;
    }
    if wants("socket") {
        println!("\n== WebSockets");
        write_store(&store, &pretend)?;
        two_threads()?.block_on(socket::measure(&goal))?;
    }
    Ok(())
}

fn of_backend(goal: &Goal<'_>, backend: &Backend) -> Result<()> {
    write_store(goal.store, goal.pretend)?;
    let goal = Goal {
        backend: &backend.address,
        certificate: backend.certificate.as_deref(),
        ..*goal
    };
    let nginx = || goal.nginx("proxy_set_header Connection \"\";");
    let relay = || goal.relay();
    let haproxy = || goal.haproxy();
    let mut ways = vec![relay()?, nginx()?, haproxy()?];
    ways.extend(goal.relay_before()?);
    if backend.certificate.is_none() {
        ways.insert(0, goal.direct()?);
    }
    one_thread()?.block_on(async {
        answers::measure(backend, &ways).await?;
        drop(ways);
        answers::starts(&[&relay, &nginx, &haproxy]).await
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
