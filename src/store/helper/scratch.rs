//! Room beside the document of a helper's store. There are only texts: the white space at the end
//! of one, which keeps a place in a file, is not sent.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::link::Link;
use super::wire::{Answer, Request};
use crate::store::locator::Locator;
use crate::store::scratch::{Reserved, Scratch};

/// See the module.
#[derive(Clone)]
pub(super) struct HelperScratch {
    link: Arc<Link>,
    name: String,
}

impl HelperScratch {
    pub(super) fn new(link: Arc<Link>, name: &str) -> Self {
        Self {
            link,
            name: name.to_owned(),
        }
    }

    fn ask(&self, request: &Request<'_>) -> io::Result<Answer> {
        self.link.ask(request).map_err(io::Error::other)
    }
}

impl Scratch for HelperScratch {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let name = &self.name;
        let answer = self.ask(&Request::ScratchRead { name })?;
        Ok(answer.text.map(String::into_bytes))
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let request = Request::ScratchWrite {
            name: &self.name,
            text: text.trim_end(),
        };
        self.ask(&request).map(drop)
    }

    fn reserve(&self, bytes: &[u8]) -> io::Result<Box<dyn Reserved>> {
        self.put(bytes)?;
        Ok(Box::new(self.clone()))
    }

    fn clear(&self) -> io::Result<()> {
        let name = &self.name;
        self.ask(&Request::ScratchClear { name }).map(drop)
    }

    fn locator(&self) -> Locator {
        self.link.at().clone()
    }
}

impl Reserved for HelperScratch {
    fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes)
    }
}

impl fmt::Debug for HelperScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperScratch")
            .field("at", self.link.at())
            .field("name", &self.name)
            .finish()
    }
}
