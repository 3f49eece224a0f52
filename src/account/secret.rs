//! Values that must not be seen: tokens. They have no `Display`, their `Debug` hides them, and
//! memory is wiped when they go. The one way to the text is [`Secret::expose`], so that a search
//! for that word finds every place where a secret leaves.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Hands the text out. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One kind of token, so that one kind can't be handed over for another.
macro_rules! token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Secret);

        impl $name {
            /// Takes a token into custody.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(Secret::new(text))
            }

            /// Hands the token out, as [`Secret::expose`] does.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose()
            }
        }
    };
}

token! {
    /// A refresh token: single use (PROTOCOL §1).
    RefreshToken
}
token! {
    /// An access token: the bearer of requests, a JWT.
    AccessToken
}
token! {
    /// An id token: a JWT that says who logged in.
    IdToken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        let shown = format!(
            "{:?} {:?}",
            Secret::new("canary"),
            RefreshToken::new("canary")
        );
        assert!(!shown.contains("canary"), "{shown}");
    }
}
