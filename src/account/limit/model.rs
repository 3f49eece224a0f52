//! Refusals of a model that other accounts may well have (PROTOCOL-SWITCH §4).

use std::time::Duration;

use super::body::Body;

/// That an account is not served with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelNotIncluded {
    /// How the model was not to be had.
    pub offer: Offer,
    /// The model, where the refusal names it.
    pub model: Option<String>,
}

/// How a model was not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// With the account's plan; the same is said of models that are retired or misspelt.
    Plan,
    /// With Responses-Lite, which comes to one account after another.
    Lite,
}

impl Offer {
    /// How long the refusal is believed.
    #[must_use]
    pub const fn believed_for(self) -> Duration {
        match self {
            Self::Plan => Duration::from_secs(24 * 60 * 60),
            Self::Lite => Duration::from_secs(30 * 60),
        }
    }
}

const OF_PLAN: &str = "model is not supported when using Codex with a ChatGPT account";
const OF_LITE: &str = "not supported when using X-OpenAI-Internal-Codex-Responses-Lite";

impl ModelNotIncluded {
    /// What a body says of it.
    pub(super) fn of(body: &Body) -> Option<Self> {
        let offer = if body.message.contains(OF_PLAN) {
            Offer::Plan
        } else if body.message.contains(OF_LITE) {
            Offer::Lite
        } else {
            return None;
        };
        Some(Self {
            offer,
            model: quoted(&body.message),
        })
    }
}

/// The name in "The 'gpt-5.3-codex' model is not supported …".
fn quoted(message: &str) -> Option<String> {
    let (_, rest) = message.split_once('\'')?;
    let (name, _) = rest.split_once('\'')?;
    (!name.is_empty()).then(|| name.to_owned())
}
