//! A place kept ready for tokens while the issuer is asked for them. If the store then can't take
//! them, because its disk is full or somebody broke it meanwhile, they are kept here, and the next
//! refresh takes them over: the token they were got for is used up, so nothing else would help.
//!
//! It is a file of the account's own (0600), beside the account's refresh lock, and is touched
//! with that lock only. It is written to its full size before anything is asked for, so that
//! filling it later needs no space.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::account::secret::RefreshToken;
use crate::store::lock::Lock;

/// More than an account ever takes, in bytes; its tokens are a few KiB.
const ROOM: usize = 64 << 10;

/// Where the tokens of one account are kept if need be.
#[derive(Debug)]
pub struct Rescue {
    path: PathBuf,
}

/// A place that is ready to be filled.
#[derive(Debug)]
pub struct Ready {
    path: PathBuf,
    file: File,
}

/// Tokens that no store has, and the token that they were got for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rescued {
    /// The refresh token that is used up.
    pub consumed: RefreshToken,
    /// The account with its new tokens.
    pub account: Account,
}

impl Rescue {
    /// That of the account whose refresh lock this is.
    #[must_use]
    pub fn beside(lock: &Lock) -> Self {
        Self {
            path: lock.path().with_extension("rescued"),
        }
    }

    /// What a refresh before this one had to leave here. What it was killed over is nothing.
    #[must_use]
    pub fn left_behind(&self) -> Option<Rescued> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Empties it, once what was here has found its place.
    pub fn clear(&self) {
        // What stays is overwritten by the next refresh.
        let _ = fs::remove_file(&self.path);
    }

    /// Makes it ready.
    ///
    /// # Errors
    /// When there is no room for it: then nothing should be asked for either.
    pub fn prepare(self) -> io::Result<Ready> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path)?;
        // White space, so that what is written over it is JSON with some of it at its end.
        let ready = file.write_all(&[b' '; ROOM]).and_then(|()| file.sync_all());
        if let Err(error) = ready {
            self.clear();
            return Err(error);
        }
        Ok(Ready {
            path: self.path,
            file,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Ready {
    /// Keeps tokens, and says where.
    ///
    /// # Errors
    /// When even that fails.
    pub fn keep(mut self, rescued: &Rescued) -> io::Result<PathBuf> {
        let text = serde_json::to_vec(rescued)?;
        self.file.rewind()?;
        self.file.write_all(&text)?;
        self.file.sync_all()?;
        Ok(self.path)
    }

    /// Takes it away: it was not needed.
    pub fn dismiss(self) {
        // What stays is white space, and is overwritten by the next refresh.
        let _ = fs::remove_file(&self.path);
    }
}
