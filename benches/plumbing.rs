//! What a command of the plumbing costs, as it ships, beside the least that a process and a commit
//! can cost, and beside programs that do as much.
//!
//! `cargo bench --bench plumbing` builds the release first where it is not built, measures in turns,
//! so that what else the machine does is shared out, and prints the medians and what DESIGN §6 says
//! that they must reach. Nothing here fails because a figure is bad. jq, git, node and sqlite3 take
//! part where they are installed.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is measured.
struct Work<'a> {
    name: String,
    once: Box<dyn FnMut() -> Result<()> + 'a>,
}

const RUNS: usize = 300;
/// Of what waits for the disk, and of what takes long.
const FEW: usize = 60;

/// How many marks are made at once, and by each.
const MARKERS: usize = 50;
const MARKS: usize = 4;

fn main() -> Result<()> {
    let release = release()?;
    // Not in the system's temporary folder, which may be in memory: a commit would cost nothing.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let stage = Stage {
        release: &release,
        folder: folder.path(),
    };
    sizes(&release)?;
    starts(&stage)?;
    marks(&stage)?;
    growth(&stage)?;
    crowd(&stage)
}

/// Where the release is, built.
fn release() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bins"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !status.success() {
        return Err("the release is not built".into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    Ok(target.ok_or("no target folder")?.join("release"))
}

/// What the commands work with.
struct Stage<'a> {
    release: &'a Path,
    folder: &'a Path,
}

impl Stage<'_> {
    /// A store with so many accounts, which have tokens as long as real ones where they are few.
    fn store(&self, accounts: usize) -> Result<PathBuf> {
        let path = self.folder.join(format!("store-{accounts}.json"));
        let length = if accounts > 10 { 100 } else { 2000 };
        let account = |index: usize| {
            json!({
                "refreshToken": format!("{index}{}", "r".repeat(90)),
                "chatgptAccountId": format!("account-{index}"),
                "email": format!("{index}@example.com"),
                "addedAt": 1_777_922_696_000_u64 + index as u64,
                "accessToken": "a".repeat(length),
                "expiresAt": 4_000_000_000_000_u64,
                "idToken": "i".repeat(length),
            })
        };
        let accounts: Vec<_> = (0..accounts).map(account).collect();
        let text = json!({"version": 1, "accounts": accounts, "activeIndex": 0}).to_string();
        fs::write(&path, text)?;
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(path)
    }

    /// One of ours, on a store.
    fn ours<'a>(&self, command: &str, arguments: &[&str], store: &Path) -> Work<'a> {
        let name = format!("{command} {}", arguments.join(" "));
        let program = self.release.join(command);
        let work = self.run(&program.to_string_lossy(), arguments, store, None);
        Work { name, ..work }
    }

    /// A program, which is given this as its input.
    fn run<'a>(
        &self,
        program: &str,
        arguments: &[&str],
        store: &Path,
        input: Option<&Path>,
    ) -> Work<'a> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("CODEX_ACCOUNTS_FILE", store)
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let input = input.map(Path::to_owned);
        let name = format!("{program} {}", arguments.join(" "));
        let once = move || {
            command.stdin(match &input {
                Some(path) => File::open(path)?.into(),
                None => Stdio::null(),
            });
            match command.status()? {
                status if status.success() => Ok(()),
                status => Err(format!("{command:?}: {status}").into()),
            }
        };
        Work {
            name,
            once: Box::new(once),
        }
    }

    /// The least that a process can cost.
    fn nothing<'a>(&self) -> Work<'a> {
        self.run("/bin/true", &[], self.folder, None)
    }
}

fn sizes(release: &Path) -> Result<()> {
    const MEBIBYTE: f64 = (1 << 20) as f64;
    let small = [
        "account-pick",
        "ratelimit-mark",
        "token-decode",
        "token-encode",
    ];
    println!("sizes, in MiB");
    for command in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/bin"))? {
        let name = command?.file_name().into_string().map_err(|_| "a name")?;
        let name = name.trim_end_matches(".rs");
        let most = if small.iter().any(|it| name.ends_with(it)) {
            1
        } else {
            4
        };
        let size = fs::metadata(release.join(name))?.len() as f64 / MEBIBYTE;
        println!("  {name:22} {size:6.2}  (at most {most})");
    }
    Ok(())
}

fn starts(stage: &Stage<'_>) -> Result<()> {
    let (five, ten) = (stage.store(5)?, stage.store(10)?);
    let file = five.to_string_lossy();
    let packed = stage.folder.join("packed");
    fs::write(&packed, ["refresh|account"; 5].join("||"))?;
    let query = stage.folder.join("query");
    fs::write(&query, "protocol=https\nhost=example.com\n\n")?;
    let credentials = stage.folder.join("credentials");
    fs::write(&credentials, "https://person:secret@example.com\n")?;
    let kept = format!("--file={}", credentials.to_string_lossy());
    let decode = Work {
        name: "codex-token-decode".to_owned(),
        ..stage.run(
            &stage.release.join("codex-token-decode").to_string_lossy(),
            &[],
            &five,
            Some(&packed),
        )
    };
    let work = vec![
        stage.nothing(),
        stage.ours("codex-account-pick", &["--peek", "--format", "id"], &five),
        decode,
        stage.ours("codex-token-encode", &["--from-store"], &five),
        stage.ours("codex-accounts", &[], &ten),
        stage.ours("codex-launch", &["true"], &five),
        stage.run(
            "jq",
            &[".accounts[.activeIndex].chatgptAccountId", &file],
            &five,
            None,
        ),
        stage.run(
            "git",
            &["credential-store", &kept, "get"],
            &five,
            Some(&query),
        ),
        stage.run("node", &["-e", "0"], &five, None),
    ];
    println!("\nmedians in ms, and beside true (the least that a process costs)");
    println!("  to reach: pick 1.3 and 0.1 of jq, decode 1.2, codex-accounts 2; launch in 3 ms");
    let medians = medians(RUNS, present(work))?;
    let nothing = medians[0].1;
    for (name, median) in medians {
        println!(
            "  {:40} {median:8.3}  {:6.2}",
            shortened(&name),
            median / nothing
        );
    }
    Ok(())
}

fn marks(stage: &Stage<'_>) -> Result<()> {
    let store = stage.store(5)?;
    let (text, other) = (fs::read(&store)?, stage.folder.join("other"));
    let database = stage.folder.join("database");
    let database = database.to_string_lossy();
    let table = "create table if not exists a(i integer primary key, u integer);\
                 insert or ignore into a values(0, 0);";
    let update = format!("{table} update a set u = u + 1 where i = 0;");
    let work = vec![
        stage.nothing(),
        Work {
            name: "a commit of as many bytes".to_owned(),
            once: Box::new(move || commit(&other, &text)),
        },
        stage.ours(
            "codex-ratelimit-mark",
            &["--retry-after", "1h", "0"],
            &store,
        ),
        stage.run("sqlite3", &[&database, &update], &store, None),
    ];
    let medians = medians(FEW, present(work))?;
    let (nothing, commit) = (medians[0].1, medians[1].1);
    println!("\na change that outlives a power cut, in ms, and less true beside the bare commit");
    println!("  to reach: 1.3");
    for (name, median) in &medians[1..] {
        let beside = if name.starts_with("a commit") {
            1.0
        } else {
            (median - nothing) / commit
        };
        println!("  {:40} {median:8.3}  {beside:6.2}", shortened(name));
    }
    Ok(())
}

fn growth(stage: &Stage<'_>) -> Result<()> {
    println!("\nhow it grows, in ms; to reach with 10000: pick 12, mark 30");
    for accounts in [10, 100, 1000, 10_000] {
        let store = stage.store(accounts)?;
        let work = vec![
            stage.ours("codex-account-pick", &["--peek", "--format", "id"], &store),
            stage.ours(
                "codex-ratelimit-mark",
                &["--retry-after", "1h", "0"],
                &store,
            ),
        ];
        let medians = medians(FEW, work)?;
        let [pick, mark] = [medians[0].1, medians[1].1];
        println!("  {accounts:6} accounts  pick {pick:8.2}  mark {mark:8.2}");
    }
    Ok(())
}

/// Many processes that mark one store, each a few times.
fn crowd(stage: &Stage<'_>) -> Result<()> {
    let store = stage.store(5)?;
    let arguments = ["--retry-after", "1h", "0"];
    let mut alone = stage.ours("codex-ratelimit-mark", &arguments, &store);
    let started = Instant::now();
    for _ in 0..MARKERS {
        (alone.once)()?;
    }
    let alone = MARKERS as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    let times = std::thread::scope(|scope| {
        let marker = || {
            let mut work = stage.ours("codex-ratelimit-mark", &arguments, &store);
            let started = Instant::now();
            (0..MARKS)
                .try_for_each(|_| (work.once)())
                .map(|()| started.elapsed())
                .map_err(|error| error.to_string())
        };
        let markers: Vec<_> = (0..MARKERS).map(|_| scope.spawn(marker)).collect();
        let times = markers
            .into_iter()
            .map(|it| it.join().map_err(|_| "a panic")?);
        times.collect::<std::result::Result<Vec<Duration>, String>>()
    })?;
    let crowd = (MARKERS * MARKS) as f64 / started.elapsed().as_secs_f64();
    let slowest = times
        .iter()
        .max()
        .copied()
        .unwrap_or_default()
        .as_secs_f64();
    println!(
        "\n{MARKERS} processes marking one store; to reach: 0.8 of one, slowest 5 times the median"
    );
    println!("  one {alone:.0}/s, all {crowd:.0}/s: {:.2}", crowd / alone);
    println!(
        "  the slowest took {:.2} times the median",
        slowest * 1000.0 / median(times)
    );
    Ok(())
}

/// Those that are installed, and work.
fn present(work: Vec<Work<'_>>) -> Vec<Work<'_>> {
    let works = |work: &mut Work<'_>| (work.once)().is_ok();
    let tried = work
        .into_iter()
        .filter_map(|mut work| match works(&mut work) {
            true => Some(work),
            false => {
                println!("  {} takes no part", shortened(&work.name));
                None
            }
        });
    tried.collect()
}

/// Without folders, and not longer than a column.
fn shortened(name: &str) -> String {
    let program = name.split(' ').next().unwrap_or(name);
    let base = program.rsplit('/').next().unwrap_or(program);
    format!("{base}{}", &name[program.len()..])
        .chars()
        .take(38)
        .collect()
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

/// The median time of each in ms.
fn medians(runs: usize, mut work: Vec<Work<'_>>) -> Result<Vec<(String, f64)>> {
    let mut times: Vec<_> = work.iter().map(|_| Vec::with_capacity(runs)).collect();
    for _ in 0..runs {
        for (work, times) in work.iter_mut().zip(&mut times) {
            let started = Instant::now();
            (work.once)()?;
            times.push(started.elapsed());
        }
    }
    let medians = times.into_iter().map(median);
    Ok(work.into_iter().map(|it| it.name).zip(medians).collect())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
