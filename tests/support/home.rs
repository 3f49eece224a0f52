//! A person's machine for one test: a home folder, an environment and a clock.
//!
//! Nothing of the real machine's environment gets in except the programs of the
//! system; nothing gets out, since every folder a command may write to is inside.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use tempfile::TempDir;

use super::clients;
use super::shown::Shown;

/// When it is in every test, in Unix seconds: the second of PROTOCOL's captured 429.
pub(crate) const CLOCK: u64 = 1_777_922_696;

/// Long enough for a real client on a busy machine, short enough to end a hung test.
const PATIENCE: Duration = Duration::from_secs(300);

/// The folder of the commands under test: those that cargo built for this machine, or those for
/// another system that `tests/platforms` names.
pub(crate) fn commands() -> PathBuf {
    match std::env::var_os("CODEX_ACCOUNTS_TESTED") {
        Some(folder) => folder.into(),
        None => {
            let command = Path::new(env!("CARGO_BIN_EXE_codex-account-pick"));
            let folder = command.parent().expect("a built command is in a folder");
            folder.to_owned()
        }
    }
}

/// See the module.
pub(crate) struct Home {
    dir: TempDir,
    env: BTreeMap<OsString, OsString>,
}

impl Home {
    /// An empty home, with our commands and the system's on PATH.
    pub(crate) fn new() -> Home {
        // Not in the system's temporary folder: codex refuses some work there.
        let dir = tempfile::Builder::new()
            .prefix("home-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a folder for the test");
        let mut home = Home {
            dir,
            env: BTreeMap::new(),
        };
        let path = home.path().to_path_buf();
        home.set("HOME", &path);
        for (name, folder) in [
            ("TMPDIR", "tmp"),
            ("XDG_CACHE_HOME", ".cache"),
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_STATE_HOME", ".local/state"),
        ] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).expect("folders of the home");
            home.set(name, folder);
        }
        home.set("PATH", "/usr/local/bin:/usr/bin:/bin");
        home.prefix_path(&commands());
        home.set("CODEX_ACCOUNTS_CLOCK", CLOCK.to_string());
        home.set("COLUMNS", "80");
        home.set("LC_ALL", "C.UTF-8");
        home.set("TZ", "UTC");
        home
    }

    /// A home where opencode and codex are installed too, and keep to this machine.
    pub(crate) fn with_clients() -> Home {
        let mut home = Home::new();
        for folder in [clients::node_dir(), clients::bin_dir()] {
            home.prefix_path(&folder);
        }
        for (name, value) in clients::OPENCODE_OFFLINE {
            home.set(name, value);
        }
        home.write(".codex/config.toml", clients::CODEX_OFFLINE);
        home
    }

    /// The home folder; commands start in it.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Sets a variable for all commands run from now on.
    pub(crate) fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.env.insert(name.as_ref().into(), value.as_ref().into());
    }

    /// Takes a variable away: `CODEX_ACCOUNTS_CLOCK`, for the real time.
    pub(crate) fn unset(&mut self, name: impl AsRef<OsStr>) {
        self.env.remove(name.as_ref());
    }

    /// Puts a folder before all others in which programs are.
    pub(crate) fn prefix_path(&mut self, folder: &Path) {
        let rest = self.env.remove(OsStr::new("PATH")).unwrap_or_default();
        let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&rest));
        let path = std::env::join_paths(folders).expect("no colon in a folder's name");
        self.set("PATH", path);
    }

    /// `program` in this home, to be spawned: for what runs beside the test.
    pub(crate) fn std_command(&self, program: impl AsRef<OsStr>) -> process::Command {
        let mut command = process::Command::new(program);
        command.env_clear().envs(&self.env).current_dir(self.path());
        command
    }

    /// `program` in this home, to be run to its end. Its stdin is an empty pipe
    /// unless something is written to it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(self.std_command(program));
        command.timeout(PATIENCE);
        command
    }

    /// Runs a command and shows what came of it.
    pub(crate) fn run(&self, command: &mut assert_cmd::Command) -> Shown {
        Shown::new(command.output().expect("the command starts"), self.path())
    }

    /// Runs a line of shell, as a person would type it.
    pub(crate) fn sh(&self, script: &str) -> Shown {
        self.sh_with(script, "")
    }

    /// Runs a line of shell with something on its stdin.
    pub(crate) fn sh_with(&self, script: &str, stdin: impl Into<Vec<u8>>) -> Shown {
        self.run(self.command("sh").args(["-c", script]).write_stdin(stdin))
    }

    /// Writes a file that only its owner can read, with the folders it is in.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("folders for the file");
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("mode");
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).expect("the file opens");
        file.write_all(text.as_ref()).expect("the text is written");
        path
    }

    /// Puts a script before all other programs of its name.
    pub(crate) fn install(&mut self, name: &str, script: &str) {
        let path = self.write(Path::new("bin").join(name), script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("mode");
        let folder = self.path().join("bin");
        self.prefix_path(&folder);
    }

    /// Sets `$BROWSER` to the script `browser` beside this file. It is not written
    /// here: a file just written may be busy while another test starts a process.
    pub(crate) fn install_browser(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser");
        self.set("BROWSER", script);
    }
}
