//! Reading a file that has secrets in it: a regular one, that nobody else can read.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use super::error::Error;
use super::format::Document;
use crate::sys::file;

/// The document in a file; `None` if there is no file.
///
/// # Errors
/// When it can't be read, others could read it too, or it is no document.
pub(super) fn read_file(path: &Path) -> Result<Option<Document>, Error> {
    let mut file = match file::open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path)(error)),
    };
    refuse_exposed(path, &file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Error::io(path))?;
    Document::parse(&bytes)
        .map(Some)
        .map_err(|source| Error::Format {
            at: path.to_owned().into(),
            source,
        })
}

/// The bytes of a regular file; `None` if there is no file. A pipe in its place is not waited for.
///
/// # Errors
/// When it can't be read, or is no regular file.
pub fn regular(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = match file::open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Refuses a file with a secret in it that others could read or write.
///
/// # Errors
/// When it is such a file, or the system doesn't say.
pub fn refuse_exposed(path: &Path, file: &fs::File) -> Result<(), Error> {
    let metadata = file.metadata().map_err(Error::io(path))?;
    match file::rights(&metadata).filter(|rights| rights.let_others_in()) {
        Some(rights) => Err(Error::Exposed {
            path: path.to_owned(),
            rights,
        }),
        None => Ok(()),
    }
}
