//! What a rehearsal ends with: what was asked of whom, on stderr, so that the command's own output stays its own.

use crate::rehearse::{Refused, Seen};

/// A line for each account that the model was asked as, and what it answered, in order.
pub(super) fn lines(names: &[String], seen: &[Seen]) -> Vec<String> {
    let named = names.iter().enumerate();
    named
        .filter_map(|(index, name)| {
            let asked = seen
                .iter()
                .filter(|seen| seen.asks_the_model() && seen.account == Some(index));
            let answers: Vec<String> = asked.map(answer).collect();
            let requests = match answers.len() {
                0 => return None,
                1 => "1 request".to_owned(),
                many => format!("{many} requests"),
            };
            Some(format!("{name}: {requests}: {}", in_runs(&answers)))
        })
        .collect()
}

fn answer(seen: &Seen) -> String {
    let why = match seen.refused {
        None => "",
        Some(Refused::Request) => " (the request)",
        Some(Refused::Model) => " (no such model)",
        Some(Refused::Unfollowed) => " (reasoning that led to nothing)",
        Some(Refused::Foreign | Refused::ForeignOutput) => " (another account's content)",
    };
    match seen.status {
        Some(status) => format!("{status}{why}"),
        None => "no answer".to_owned(),
    }
}

/// The same answer several times over is written once.
fn in_runs(answers: &[String]) -> String {
    let runs = answers.chunk_by(|one, next| one == next);
    let written = runs.map(|run| match run.len() {
        1 => run[0].clone(),
        many => format!("{many} × {}", run[0]),
    });
    written.collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::in_runs;

    #[test]
    fn answers_are_written_in_runs() {
        let answers = ["200", "200", "429", "200"].map(str::to_owned);
        assert_eq!(in_runs(&answers), "2 × 200, 429, 200");
    }
}
