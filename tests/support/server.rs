//! A command that serves beside the test until the test ends or ends it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use serde_json::Value;

use super::Home;

/// See the module. Killed when dropped.
pub(crate) struct Server {
    /// The record it printed when it was ready.
    pub(crate) ready: Value,
    child: Child,
    log: PathBuf,
}

impl Home {
    /// Starts a command that prints one record once it serves, and waits for that.
    pub(crate) fn serve(&self, program: &str, args: &[&str]) -> Server {
        let log = self.path().join(format!("{program}.stderr"));
        let mut child = self
            .std_command(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A file, since nobody reads a pipe while the test does its work.
            .stderr(File::create(&log).expect("a file for stderr"))
            .spawn()
            .expect("the command starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let mut server = Server {
            ready: Value::Null,
            child,
            log,
        };
        server.ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("{program} is not ready: {line}{}", server.stderr());
        });
        server
    }
}

impl Server {
    /// Ends its stdin, which is how a command is told that nobody needs it any more.
    pub(crate) fn end(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().expect("the command's end")
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.log).expect("the file for stderr")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
