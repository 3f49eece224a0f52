//! The spending of a banked reset as the subject: however often it is cut off or fails and is done
//! again, one is spent.

use codex_accounts::rehearse::BankedReset;
use serde_json::json;

use super::super::redeem::{spent, stage};
use super::super::support::CLOCK;
use super::super::support::faults::{Point, points, sample};
use super::super::support::stage::Stage;
use super::{failures, temporary};

const REDEEM: &str = "codex-reset-redeem --yes one";

/// One account, whose token is good and whose five hours are used up, with two resets.
struct Subject {
    stage: Stage,
    banked: Vec<BankedReset>,
}

impl Subject {
    fn new() -> Self {
        let stage = stage(100.0, &[20, 3]);
        let mut banked = Vec::new();
        stage
            .pretend
            .change(|script| banked.clone_from(&script.accounts[0].banked));
        let subject = Self { stage, banked };
        subject.reset();
        subject
    }

    fn reset(&self) {
        let state = self.stage.home.path().join(".local/state/codex-accounts");
        let _ = std::fs::remove_dir_all(state);
        self.stage.pretend.change(|script| {
            let account = &mut script.accounts[0];
            account.banked.clone_from(&self.banked);
            if let Some(window) = &mut account.windows.primary {
                window.used_percent = 100.0;
            }
        });
        self.stage.log_in_again();
        let mut store = self.stage.home.store();
        store["accounts"][0]["expiresAt"] = json!((CLOCK + 7200) * 1000);
        self.stage.home.write_store(&store);
    }

    /// Done again, as a person would who saw it fail.
    fn spends_one(&self, told: &str) {
        let again = self.stage.home.sh(REDEEM);
        assert!([0, 1].contains(&again.code), "after {told}: {again}");
        assert_eq!(spent(&self.stage).len(), 1, "after {told}: {again}");
        assert_eq!(temporary(self.stage.home.path()), [""; 0], "after {told}");
    }
}

fn all_points(subject: &Subject) -> Vec<Point> {
    let points = points(&subject.stage.home, REDEEM);
    assert_eq!(spent(&subject.stage).len(), 1);
    points
}

#[test]
fn a_redemption_is_killed_at_each_call() {
    let subject = Subject::new();
    for point in sample(all_points(&subject), 25) {
        subject.reset();
        point.kill(&subject.stage.home, REDEEM);
        subject.spends_one(&format!("a kill at {point:?}"));
    }
}

#[test]
fn each_call_of_a_redemption_fails() {
    let subject = Subject::new();
    for (point, error) in sample(failures(all_points(&subject)), 40) {
        subject.reset();
        let shown = point.fail(&subject.stage.home, REDEEM, error);
        let told = format!("{error} at {point:?}: {shown}");
        assert!([0, 69, 74, 75, 77, 78].contains(&shown.code), "{told}");
        subject.spends_one(&told);
    }
}
