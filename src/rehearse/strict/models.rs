//! Which models an account has (PROTOCOL-SWITCH §4).

use super::{Asker, Refusal};
use crate::rehearse::blob::sum;
use crate::rehearse::request::ModelRequest;
use crate::rehearse::seen::Refused;

/// The models of the free plan.
const FREE: &[&str] = &["gpt-5.5", "gpt-5.4-mini"];

/// The models of every plan that is paid for.
const PAID: &[&str] = &[
    "gpt-6.1-sol",
    "gpt-6.1-terra",
    "gpt-6-astra",
    "gpt-6-sol",
    "gpt-6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-5.5",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.3-codex-spark",
];

/// The models that the account is offered.
pub(in crate::rehearse) fn listed<'a>(asker: &Asker<'a>) -> Vec<&'a str> {
    match asker.models {
        Some(models) => models.iter().map(String::as_str).collect(),
        None if asker.plan == "free" => FREE.to_vec(),
        None => PAID.to_vec(),
    }
}

/// The value of `x-models-etag`: another one for another list.
pub(in crate::rehearse) fn etag(asker: &Asker<'_>) -> String {
    format!("W/\"{:016x}\"", sum(listed(asker).join(",").as_bytes()))
}

/// Whether a model is asked with `x-openai-internal-codex-responses-lite`.
fn takes_lite(model: &str) -> bool {
    model.starts_with("gpt-5.6") || model.starts_with("gpt-6")
}

pub(super) fn check(request: &ModelRequest, asker: &Asker<'_>) -> Result<(), Refusal> {
    let model = request.model();
    let refusal = if !listed(asker).contains(&model) {
        Refusal::detail(format!(
            "The '{model}' model is not supported when using Codex with a ChatGPT account."
        ))
    } else if request.lite && !(asker.lite && takes_lite(model)) {
        Refusal::error(
            "This model is not supported when using X-OpenAI-Internal-Codex-Responses-Lite.",
            Some("unsupported_value"),
            "model",
        )
    } else {
        return Ok(());
    };
    Err(Refusal {
        about: Refused::Model,
        ..refusal
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::request::tests::request;
    use serde_json::json;

    fn asker(plan: &'static str) -> Asker<'static> {
        Asker {
            org: "a",
            plan,
            models: None,
            lite: true,
        }
    }

    fn said(model: &str, lite: bool, asker: &Asker<'_>) -> Option<String> {
        let mut request = request(json!({"model": model}));
        request.lite = lite;
        let refusal = check(&request, asker).err()?;
        assert_eq!(refusal.about, Refused::Model);
        Some(
            refusal.object()["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    #[test]
    fn a_plan_has_its_models_and_an_account_its_roll_out() {
        let plan = |model: &str| {
            Some(format!(
                "The '{model}' model is not supported when using Codex with a ChatGPT account."
            ))
        };
        let lite = Some(
            "This model is not supported when using X-OpenAI-Internal-Codex-Responses-Lite."
                .to_owned(),
        );
        assert_eq!(said("gpt-5.5", false, &asker("free")), None);
        assert_eq!(said("gpt-6-sol", true, &asker("plus")), None);
        assert_eq!(said("gpt-6-sol", true, &asker("free")), plan("gpt-6-sol"));
        assert_eq!(
            said("gpt-5.3-codex", false, &asker("pro")),
            plan("gpt-5.3-codex")
        );
        assert_eq!(said("gpt-5.5", true, &asker("plus")), lite);
        let late = Asker {
            lite: false,
            ..asker("plus")
        };
        assert_eq!(said("gpt-6-sol", true, &late), lite);
        assert_eq!(said("gpt-6-sol", false, &late), None);
        assert_ne!(etag(&asker("free")), etag(&asker("plus")));
    }
}
