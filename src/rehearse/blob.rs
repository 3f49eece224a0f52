//! What the backend seals and clients carry: `encrypted_content`, readable for whoever made it.
//!
//! Sealed is a word for it: the text is encoded and summed, so that a changed character is noticed. Who may read it is
//! for `strict::blobs` to say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize};

/// How every blob of the real backend begins.
const PREFIX: &str = "gAAAA";

/// What is in a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blob {
    /// Whose key it is sealed with.
    pub(super) org: String,
    /// The item it belongs to.
    pub(super) item: String,
    /// The type of that item.
    pub(super) kind: String,
    /// The words that are to be remembered.
    pub(super) words: Vec<String>,
}

impl Blob {
    /// The text that stands in `encrypted_content`.
    pub(super) fn seal(&self) -> String {
        // Nothing in it can fail to be written.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = sum(&text).to_be_bytes().to_vec();
        bytes.extend(text);
        format!("{PREFIX}{}", URL_SAFE.encode(bytes))
    }

    /// What a text holds; `None` if it is no blob, or not as it was sealed.
    pub(super) fn open(text: &str) -> Option<Self> {
        let bytes = URL_SAFE.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (head, text) = bytes.split_at_checked(8)?;
        if head != sum(text).to_be_bytes() {
            return None;
        }
        serde_json::from_slice(text).ok()
    }
}

/// FNV-1a, 64 bits: good against accidents, and the same in every run.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::Blob;

    #[test]
    fn a_blob_opens_as_it_was_sealed_and_not_with_one_character_changed() {
        let blob = Blob {
            org: "account-one".into(),
            item: "rs_1".into(),
            kind: "reasoning".into(),
            words: vec!["heron".into()],
        };
        let sealed = blob.seal();
        assert!(sealed.starts_with("gAAAA"));
        assert_eq!(Blob::open(&sealed), Some(blob));
        for at in 5..sealed.len() - 2 {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Blob::open(&String::from_utf8_lossy(&changed)), None, "{at}");
        }
        for nonsense in ["", "gAAAA", "gAAAA====", "gAAAAQUJD"] {
            assert_eq!(Blob::open(nonsense), None, "{nonsense}");
        }
    }
}
