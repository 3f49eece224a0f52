//! A program that runs in the place of this one. Ctrl-C and Ctrl-Break go to all of a console, the
//! program included: this process outlives them. The program ends with this one, however that
//! ends, since it is in a job of this one's.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tokio::runtime::Handle;
use win32job::{ExtendedLimitInfo, Job};

use super::signals::End;

/// What can be run, in the order in which it is looked for where no extension is named: npm puts a
/// `.cmd` and a `.ps1` beside a script for other systems that has none.
const RUNNABLE: [&str; 5] = ["com", "exe", "bat", "cmd", "ps1"];

/// A program by the name that a person types.
#[must_use]
pub fn command(program: &OsStr) -> Command {
    match find(Path::new(program)) {
        Some(path) if path.extension() == Some(OsStr::new("ps1")) => {
            let mut command = Command::new("powershell");
            command.args(["-NoProfile", "-ExecutionPolicy", "Bypass", "-File"]);
            command.arg(path);
            command
        }
        Some(path) => Command::new(path),
        // The system says that there is none.
        None => Command::new(program),
    }
}

fn find(program: &Path) -> Option<PathBuf> {
    let is_path = program.components().count() > 1;
    let path = env::var_os("PATH").filter(|_| !is_path).unwrap_or_default();
    let here = is_path.then(PathBuf::new);
    let folders = here.into_iter().chain(env::split_paths(&path));
    let all = folders.flat_map(|folder| {
        let named = folder.join(program);
        let exact = program.extension().map(|_| named.clone());
        let extended = RUNNABLE.iter().map(move |extension| {
            let mut path = named.clone().into_os_string();
            path.push(".");
            path.push(extension);
            PathBuf::from(path)
        });
        exact.into_iter().chain(extended)
    });
    all.into_iter().find(|path| path.is_file())
}

/// What the console sends, taken so that this process outlives it.
#[derive(Debug)]
pub struct Signals(End);

impl Signals {
    /// Takes them.
    ///
    /// # Errors
    /// When the system does not give one.
    pub fn take(runtime: &Handle) -> io::Result<Self> {
        let _runtime = runtime.enter();
        End::watch().map(Self)
    }

    /// Runs a program to its end, and gives its exit status as the number that a shell on Unix
    /// would report: one that does not fit is 255.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn run(self, _: &Handle, command: &mut Command) -> io::Result<u8> {
        let Self(_taken) = self;
        let mut child = command.spawn()?;
        // Without a job it is a child like any other.
        let _job = job_of(&child);
        let status = child.wait()?;
        Ok(status
            .code()
            .map_or(u8::MAX, |code| u8::try_from(code).unwrap_or(u8::MAX)))
    }
}

/// Starts a program beside this one that what is typed on the console does not reach.
///
/// # Errors
/// When it can't be started.
pub fn spawn_apart(command: &mut Command) -> io::Result<Child> {
    /// `CREATE_NO_WINDOW`: a console of its own, that nobody sees.
    const NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(NO_WINDOW).spawn()
}

/// A job of this child's, which ends it when the job's last handle closes.
fn job_of(child: &Child) -> Option<Job> {
    let mut limits = ExtendedLimitInfo::new();
    limits.limit_kill_on_job_close();
    let job = Job::create_with_limit_info(&limits).ok()?;
    // An address is the number that this takes.
    job.assign_process(child.as_raw_handle().expose_provenance().cast_signed())
        .ok()?;
    Some(job)
}
