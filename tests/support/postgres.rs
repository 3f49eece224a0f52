//! A real PostgreSQL for the tests, from Debian's packages: its own data, port, socket and
//! certificate. It ends when the test's process does, however that ends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Home;
use super::canary::{self, CANARY};
use super::home::commands;
use super::stage::{LONG, wait_until};

/// What everybody's password is: no message may have it.
pub(crate) const PASSWORD: &str = CANARY;

/// The role that may make tables.
pub(crate) const OWNER: &str = "owner";

/// Ends a server when the test's process is gone: its input ends then. What nobody will remove any
/// more goes with it.
const UNTIL_NOBODY_ASKS: &str = r#""$@" & pid=$!; echo $pid; read -r _; kill -INT $pid; wait $pid
    [ -z "$LEFT" ] || rm -rf "$LEFT""#;

/// What tells the one that all tests share, also in its list of processes.
const SHARED: &str = "cluster_name=shared";

/// See the module.
pub(crate) struct Postgres {
    folder: TempDir,
    port: u16,
    address: Ipv4Addr,
    settings: Vec<String>,
    running: Mutex<Option<Running>>,
    databases: AtomicU32,
}

struct Running {
    shell: Child,
    input: Option<ChildStdin>,
    pid: Pid,
}

impl Postgres {
    /// One for all tests that need no more than a database of their own.
    pub(crate) fn shared() -> &'static Postgres {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        // Values of statements are logged, so that a test can look for secrets.
        SERVER.get_or_init(|| {
            Postgres::start(&[
                "fsync=off",
                SHARED,
                "log_statement=all",
                "max_connections=300",
            ])
        })
    }

    /// One of a test's own, with these settings.
    pub(crate) fn start(settings: &[&str]) -> Postgres {
        Postgres::start_at(Ipv4Addr::LOCALHOST, settings)
    }

    /// The same, where others come by this address.
    pub(crate) fn start_at(address: Ipv4Addr, settings: &[&str]) -> Postgres {
        let folder = Postgres::empty_folder();
        let made = program("initdb", folder.path())
            .args(["--no-sync", "--auth=trust", "--username=postgres"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8", "-D"])
            .arg(folder.path().join("data"))
            .output()
            .expect("initdb: run tests/run");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
        let postgres = Postgres::of(folder, address, settings);
        postgres.write_certificate();
        // By the socket there are only this test and its replicas.
        let rules = "local all,replication all trust\n\
                     hostssl replication all all scram-sha-256\n\
                     hostnossl all only_tls all reject\n\
                     hostssl all without_tls all reject\n\
                     host all all all scram-sha-256\n";
        postgres.write("data/pg_hba.conf", rules);
        postgres.run();
        postgres.role(OWNER);
        postgres
    }

    fn empty_folder() -> TempDir {
        let folder = tempfile::Builder::new()
            .prefix("postgres-")
            // Where its user can get to, and the name of its socket is not too long.
            .tempdir_in("/tmp")
            .expect("a folder for the server");
        own(folder.path());
        folder
    }

    fn of(folder: TempDir, address: Ipv4Addr, settings: &[&str]) -> Postgres {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Postgres {
            port: free.local_addr().expect("its number").port(),
            folder,
            address,
            settings: settings.iter().map(|it| (*it).to_owned()).collect(),
            running: Mutex::new(None),
            databases: AtomicU32::new(0),
        }
    }

    /// A replica of this one, which nothing can be written to.
    pub(crate) fn replica(&self) -> Postgres {
        let folder = Postgres::empty_folder();
        let made = program("pg_basebackup", folder.path())
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                "-h",
            ])
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-U", "postgres", "-D"])
            .arg(folder.path().join("data"))
            .output()
            .expect("pg_basebackup: run tests/run");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "pg_basebackup: {said}");
        let replica = Postgres::of(folder, self.address, &["fsync=off"]);
        fs::copy(self.path("authority.pem"), replica.path("authority.pem")).expect("a copy");
        replica.run();
        replica
    }

    /// Starts the server, and waits until it takes connections.
    pub(crate) fn run(&self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let mut server = program("sh", self.folder.path());
        server.args(["-c", UNTIL_NOBODY_ASKS, "sh"]);
        if self.settings.iter().any(|it| it == SHARED) {
            server.env("LEFT", self.folder.path());
        }
        server
            .arg(bin_folder().join("postgres"))
            .arg("-D")
            .arg(self.path("data"));
        server.arg("-k").arg(self.folder.path());
        let port = format!("port={}", self.port);
        let address = format!("listen_addresses={}", self.address);
        let always = [
            &*port,
            &*address,
            "ssl=on",
            "password_encryption=scram-sha-256",
        ];
        let own = self.settings.iter().map(|it| &**it);
        for setting in always.into_iter().chain(own) {
            server.arg("-c").arg(setting);
        }
        let log = log.expect("a log");
        server
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        // What is typed on a terminal is not for it.
        let mut shell = server.process_group(0).spawn().expect("a shell");
        let input = shell.stdin.take();
        let mut output = shell.stdout.take().expect("its output");
        let mut line = Vec::new();
        let mut byte = [0];
        while output.read(&mut byte).expect("a pid") == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        let pid = String::from_utf8(line)
            .expect("digits")
            .parse()
            .expect("a pid");
        let pid = Pid::from_raw(pid);
        *self.running.lock().expect("whole") = Some(Running { shell, input, pid });
        let start = Instant::now();
        while self.try_sql("postgres", "SELECT 1").is_err() {
            let log = || {
                self.log()
                    .lines()
                    .rev()
                    .take(9)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert!(
                start.elapsed() < LONG,
                "no server, the last first:\n{}",
                log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server as its owner would.
    pub(crate) fn stop(&self) {
        if let Some(running) = self.running.lock().expect("whole").take() {
            running.end();
        }
    }

    /// Kills the server and all of its processes, as a power cut would.
    pub(crate) fn kill(&self) {
        let running = self.running.lock().expect("whole").take().expect("it runs");
        let all = running.processes();
        for pid in &all {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        running.end();
        let is_gone = |pid: &Pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        wait_until("its processes are gone", || all.iter().all(is_gone));
    }

    /// Lets all of its processes stand still, or go on.
    pub(crate) fn signal(&self, signal: Signal) {
        let running = self.running.lock().expect("whole");
        for pid in running.as_ref().expect("it runs").processes() {
            // A session may end by itself.
            let _ = kill(pid, signal);
        }
    }

    /// A role that may log in, and nothing more.
    pub(crate) fn role(&self, name: &str) {
        // Its log is searched for secrets.
        let unlogged = "SET log_statement = 'none'";
        let script = format!("{unlogged}; CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'");
        self.sql("postgres", &script);
    }

    /// A database of a test's own, empty; its name.
    pub(crate) fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}"));
        name
    }

    /// A database with the tables in it; its name.
    pub(crate) fn migrated(&self) -> String {
        let database = self.database();
        let home = Home::new();
        let mut migrate = home.command(helper());
        migrate
            .arg("migrate")
            .env("CODEX_ACCOUNTS_FILE", self.url(&database));
        let shown = home.run(&mut migrate);
        assert_eq!(shown.code, 0, "{shown}");
        database
    }

    /// The URL of a database, as its owner, with the password in it.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_as(OWNER, database)
    }

    /// The same as somebody else.
    pub(crate) fn url_as(&self, role: &str, database: &str) -> String {
        format!(
            "postgres://{role}:{PASSWORD}@{}:{}/{database}",
            self.address, self.port
        )
    }

    /// Runs statements as the one who may do everything; what they print, without a frame.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let result = self.try_sql(database, statements);
        result.unwrap_or_else(|said| panic!("{statements}: {said}"))
    }

    fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let mut psql = Command::new(bin_folder().join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
        ]);
        psql.arg(self.folder.path()).args([
            "-p",
            &self.port.to_string(),
            "-d",
            database,
            "-f",
            "-",
        ]);
        psql.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("psql: run tests/run");
        let mut input = psql.stdin.take().expect("its input");
        // It does not read them where it finds no server, and says so.
        let _ = input.write_all(statements.as_bytes());
        drop(input);
        let output = psql.wait_with_output().expect("psql");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// A folder in the server's, to put something there.
    pub(crate) fn folder_of_its_own(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("a folder");
        path
    }

    /// Gives a file or folder to the server's user.
    pub(crate) fn take(&self, path: &Path) {
        own(path);
    }

    /// The port by TCP, which is a part of the socket's name too.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate of the authority that made the server's.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// Everything that the server wrote into its log.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).expect("a log")).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.path("log")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file of the server");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
        own(&path);
        path
    }

    /// A certificate for `localhost` and for the address, of an authority that nobody else has.
    fn write_certificate(&self) {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::default();
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "An authority for a test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&key).expect("a certificate").pem();
        let authority = Issuer::new(authority, key);
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        self.write("data/server.crt", &certificate.pem());
        self.write("data/server.key", &key.serialize_pem());
        let authority = self.write("authority.pem", &pem);
        fs::set_permissions(authority, fs::Permissions::from_mode(0o644)).expect("mode");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    /// The server's, and those of its sessions and workers.
    fn processes(&self) -> Vec<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = fs::read_to_string(children).expect("a list of processes");
        let children = children
            .split_whitespace()
            .map(|pid| pid.parse().expect("a pid"));
        std::iter::once(self.pid)
            .chain(children.map(Pid::from_raw))
            .collect()
    }

    fn end(mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}

/// The folder with the server's programs in it: of the newest version that there is.
fn bin_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let versions = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten();
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let newest = versions.map(|it| it.path()).max_by_key(number);
        newest
            .expect("PostgreSQL is not installed: run tests/run")
            .join("bin")
    })
}

/// Who the server is run as: it refuses to be root.
fn user() -> Option<User> {
    let user = || {
        User::from_name("postgres")
            .expect("users")
            .expect("Debian's user of PostgreSQL")
    };
    geteuid().is_root().then(user)
}

fn own(path: &Path) {
    if let Some(user) = user() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("an owner");
    }
}

/// A program of the server's, as its user.
fn program(name: &str, folder: &Path) -> Command {
    let path = bin_folder().join(name);
    let mut command = Command::new(if path.exists() { path } else { name.into() });
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(folder);
    if let Some(user) = user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// The helper, built: it is of another package, so that cargo does not build it for these tests.
pub(crate) fn helper() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let path = commands().join("codex-store-postgres");
    BUILT.get_or_init(|| {
        if std::env::var_os("CODEX_ACCOUNTS_TESTED").is_some() {
            return;
        }
        let profile = match commands().file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev".to_owned(),
            Some(profile) => profile.to_owned(),
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "codex-store-postgres",
        ]);
        cargo
            .args(["--profile", &profile])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(
            cargo.status().is_ok_and(|it| it.success()),
            "codex-store-postgres is not built"
        );
    });
    path
}

/// A helper that is asked line by line. It ends with its input.
pub(crate) struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it for a store.
    pub(crate) fn new(home: &Home, url: &str) -> Helper {
        let mut command = home.std_command(helper());
        command.env("CODEX_STORE_URL", url);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the helper");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut helper = Helper {
            child,
            input,
            output,
        };
        assert_eq!(helper.answer()["helper"], "codex-store-postgres");
        helper
    }

    /// Asks for something, and gives what comes back.
    pub(crate) fn ask(&mut self, request: Value) -> Value {
        self.send(request);
        self.answer()
    }

    /// Asks for something.
    pub(crate) fn send(&mut self, request: Value) {
        let input = self.input.as_mut().expect("its input");
        writeln!(input, "{request}").expect("a request");
    }

    /// What comes back next.
    pub(crate) fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        if answer["message"].is_string() {
            canary::assert_none(&line);
        }
        answer
    }

    /// Replaces the document.
    pub(crate) fn put(&mut self, document: &str) -> Value {
        let begun = self.ask(json!({"do": "begin", "wait": 10_000}));
        assert_eq!(begun["ok"], "begin", "{begun}");
        self.ask(json!({"do": "commit", "document": document}))
    }

    /// What the document is.
    pub(crate) fn read(&mut self) -> Value {
        self.ask(json!({"do": "read"}))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
