//! Texts that are encrypted before a helper gets them, with a key that only the machines have:
//! XChaCha20-Poly1305, and what a text is for is part of what is sealed, so that none can be put in
//! the place of another. Whoever keeps them can still bring an older one back.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::wire::{Answer, Kind, Refusal, Request};
use crate::store::read::refuse_exposed;

/// What a sealed text begins with.
const MARK: &str = "codex-accounts sealed 1 ";

/// How long the number is that no two texts share, in bytes.
const NONCE: usize = 24;

/// What the document is sealed as; a scratch is by its name, which is never empty.
const DOCUMENT: &str = "";

/// A key, or none: texts pass as they are then.
pub(super) struct Seal(Option<XChaCha20Poly1305>);

impl Seal {
    /// With the key in a file: 32 bytes in base64.
    pub(super) fn of(key_file: Option<&Path>) -> Result<Self, Refusal> {
        let Some(path) = key_file else {
            return Ok(Self(None));
        };
        let bad = |why: &dyn std::fmt::Display| {
            let message = format!("the key file '{}': {why}", path.display());
            Refusal::new(Kind::Config, message)
        };
        let mut file = File::open(path).map_err(|error| bad(&error))?;
        refuse_exposed(path, &file)
            .map_err(|error| Refusal::new(Kind::Denied, error.to_string()))?;
        let mut text = Zeroizing::new(String::new());
        let read = file.read_to_string(&mut text);
        read.map_err(|error| bad(&error))?;
        let key = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
        let cipher = XChaCha20Poly1305::new_from_slice(&key);
        let cipher = cipher.map_err(|_| bad(&"it does not hold 32 bytes in base64"))?;
        Ok(Self(Some(cipher)))
    }

    /// The text of a request as it is sent, where it has one.
    pub(super) fn close(&self, request: &Request<'_>) -> Result<Option<String>, Refusal> {
        let Some(cipher) = &self.0 else {
            return Ok(None);
        };
        let (place, text) = match request {
            Request::Commit { document } => (DOCUMENT, document),
            Request::ScratchWrite { name, text } => (*name, text),
            _ => return Ok(None),
        };
        let failed = || Refusal::new(Kind::Failed, "it can't be encrypted".to_owned());
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| failed())?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| failed())?;
        let bytes = [&nonce[..], &sealed].concat();
        Ok(Some(format!("{MARK}{}", STANDARD.encode(bytes))))
    }

    /// The answer to a request with its text as it was before it was sealed.
    pub(super) fn open(
        &self,
        request: &Request<'_>,
        mut answer: Answer,
    ) -> Result<Answer, Refusal> {
        let (place, text) = match request {
            Request::ScratchRead { name } => (*name, &mut answer.text),
            _ => (DOCUMENT, &mut answer.document),
        };
        if let Some(text) = text {
            match (&self.0, text.strip_prefix(MARK)) {
                (Some(cipher), sealed) => *text = opened(cipher, place, sealed)?,
                (None, None) => {}
                (None, Some(_)) => {
                    let message = "it is encrypted, and the URL names no key file";
                    return Err(Refusal::new(Kind::Config, message.to_owned()));
                }
            }
        }
        Ok(answer)
    }
}

fn opened(
    cipher: &XChaCha20Poly1305,
    place: &str,
    sealed: Option<&str>,
) -> Result<String, Refusal> {
    let sealed = sealed.ok_or_else(|| {
        let message = "it is not encrypted, and the URL names a key file";
        Refusal::new(Kind::Config, message.to_owned())
    })?;
    let bytes = STANDARD.decode(sealed.trim_end()).unwrap_or_default();
    let text = bytes.split_first_chunk::<NONCE>().and_then(|(nonce, msg)| {
        let aad = place.as_bytes();
        let text = cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg, aad })
            .ok()?;
        String::from_utf8(text).ok()
    });
    text.ok_or_else(|| {
        let message = "it was encrypted with another key, or changed since";
        Refusal::new(Kind::Config, message.to_owned())
    })
}

/// The file that a URL names, and the URL as its helper gets it, which is without.
pub(super) fn key_file(url: &str) -> (Option<PathBuf>, String) {
    let Some((place, query)) = url.split_once('?') else {
        return (None, url.to_owned());
    };
    let mut file = None;
    let mut left = Vec::new();
    for parameter in query.split('&') {
        match parameter.strip_prefix("key-file=") {
            Some(path) => file = Some(PathBuf::from(path)),
            None => left.push(parameter),
        }
    }
    match left.is_empty() {
        true => (file, place.to_owned()),
        false => (file, format!("{place}?{}", left.join("&"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        let cipher = XChaCha20Poly1305::new_from_slice(&[7; 32]).unwrap();
        Seal(Some(cipher))
    }

    /// What comes of a text that is read as that of a scratch.
    fn read(seal: &Seal, name: &str, text: String) -> Option<String> {
        let line = serde_json::json!({"ok": "scratch-read", "text": text});
        let request = Request::ScratchRead { name };
        let answer = Answer::read(line.to_string().as_bytes(), &request)?.ok()?;
        seal.open(&request, answer).ok()?.text
    }

    #[test]
    fn a_text_is_only_what_it_was_sealed_as() {
        let seal = seal();
        let write = |name| Request::ScratchWrite { name, text: "text" };
        let sealed = |request| seal.close(&request).ok().flatten().unwrap();
        let one = sealed(write("one"));
        assert_eq!(read(&seal, "one", one.clone()).as_deref(), Some("text"));
        assert_eq!(read(&seal, "two", one.clone()), None);
        let document = sealed(Request::Commit { document: "text" });
        assert_eq!(read(&seal, "one", document), None);
        assert_ne!(one, sealed(write("one")), "no two are the same");
        assert!(seal.close(&Request::Abort).is_ok_and(|it| it.is_none()));
    }

    #[test]
    fn the_key_file_is_no_concern_of_the_helper() {
        for (url, file, left) in [
            ("x://h/p", None, "x://h/p"),
            ("x://h?key-file=/k", Some("/k"), "x://h"),
            ("x://h?a=1&key-file=/k&b=2", Some("/k"), "x://h?a=1&b=2"),
        ] {
            assert_eq!(key_file(url), (file.map(PathBuf::from), left.to_owned()));
        }
    }
}
