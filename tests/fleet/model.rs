//! Mixed operations from three machines, some killed on the way, against a model of what must come
//! of them: each process has an account of its own, and what it did to that is what is there.

use std::collections::BTreeSet;
use std::thread::sleep;

use super::super::support::numbers::Numbers;
use super::*;

/// So many processes on each machine, and so many operations by each.
fn size() -> (usize, usize) {
    if is_soak() { (4, 834) } else { (2, 40) }
}

/// What there is of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    label: String,
    is_enabled: bool,
    scopes: BTreeSet<String>,
}

impl Known {
    /// What the document has of it; `None` where it is there twice, or not at all.
    fn find(document: &Value, id: &str) -> Option<Known> {
        let accounts = document["accounts"].as_array()?.iter();
        let mut of_id = accounts.filter(|account| account["chatgptAccountId"] == id);
        let account = of_id.next()?;
        if of_id.next().is_some() {
            return None;
        }
        let limits = account["limits"].as_object().into_iter().flatten();
        Some(Known {
            label: account["label"].as_str().unwrap_or_default().to_owned(),
            is_enabled: account["enabled"] != false,
            scopes: limits.map(|(scope, _)| scope.clone()).collect(),
        })
    }
}

/// What came of all.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    killed: usize,
    wrong: Vec<String>,
}

/// A process on a machine: one operation after the other on its own account.
fn play(fleet: &Fleet, host: &Host, number: usize, operations: usize) -> Tally {
    let id = fleet
        .pretend
        .change(|script| script.accounts[number].account_id.clone());
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1));
    let mut tally = Tally::default();
    let mut reader = Helper::new(&host.home, &fleet.url);
    let mut document = move || -> Value {
        let read = reader.read();
        serde_json::from_str(read["document"].as_str().expect("a document")).expect("JSON")
    };
    let mut known = Known::find(&document(), &id).expect("its account");
    for operation in 0..operations {
        let mut after = known.clone();
        let command = match numbers.below(6) {
            0 | 1 => {
                let scope = format!("scope-{operation}");
                after.scopes.insert(scope.clone());
                format!("codex-ratelimit-mark --retry-after 1h --scope {scope} {id}")
            }
            2 => {
                after.label = format!("label-{number:03}-{operation}");
                format!("codex-accounts label {id} {}", after.label)
            }
            3 => {
                after.is_enabled = !after.is_enabled;
                let word = if after.is_enabled {
                    "enable"
                } else {
                    "disable"
                };
                format!("codex-accounts {word} {id}")
            }
            4 => "codex-account-pick --strategy round-robin --lease 1m".to_owned(),
            _ => format!("codex-token-refresh --force {id}"),
        };
        // An exchange that nobody waits for is one whose answer is lost: that is another test.
        let is_killed = !command.contains("refresh") && numbers.below(4) == 0;
        let mut words = command.split(' ');
        let mut child = host.home.std_command(words.next().expect("a command"));
        child
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = child.spawn().expect("it starts");
        if is_killed {
            sleep(Duration::from_micros(numbers.below(120_000)));
            let _ = child.kill();
        }
        let output = child.wait_with_output().expect("an end");
        let found = Known::find(&document(), &id);
        let is_it = match output.status.code() {
            // Nobody is left to be picked.
            Some(0) => found.as_ref() == Some(&after),
            Some(1 | 75) if command.contains("pick") => found.as_ref() == Some(&after),
            None => found.as_ref() == Some(&after) || found.as_ref() == Some(&known),
            Some(_) => false,
        };
        if !is_it {
            tally.wrong.push(format!(
                "{command}: {} {found:?} after {known:?}\n{}",
                output.status,
                said(&output)
            ));
        }
        match output.status.code() {
            Some(_) => tally.done += 1,
            None => tally.killed += 1,
        }
        known = found.unwrap_or(known);
    }
    tally
}

#[test]
fn what_each_of_many_processes_on_three_hosts_did_is_there_at_the_end() {
    alone(|| {
        let (processes, operations) = size();
        let count = 3 * processes;
        let script = Script::with_accounts(count);
        let fleet = Fleet::new(script, &["fsync=off"]);
        let begun = Instant::now();
        let tallies = std::thread::scope(|scope| {
            let (fleet, hosts) = (&fleet, &fleet.hosts);
            let plays: Vec<_> = (0..count)
                .map(|number| {
                    let host = &hosts[number % 3];
                    scope
                        .spawn(move || host.network.enter(|| play(fleet, host, number, operations)))
                })
                .collect();
            plays
                .into_iter()
                .map(|play| play.join().expect("an end"))
                .collect::<Vec<_>>()
        });
        let wrong: Vec<String> = tallies
            .iter()
            .flat_map(|tally| tally.wrong.clone())
            .collect();
        assert!(
            wrong.is_empty(),
            "{} wrong\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        let done: usize = tallies.iter().map(|tally| tally.done).sum();
        let killed: usize = tallies.iter().map(|tally| tally.killed).sum();
        assert_eq!(done + killed, count * operations);
        assert!(killed > 0, "nobody was killed");
        // Nobody was logged out by a token that was presented twice.
        let document = fleet.document();
        for number in 0..count {
            let token = fleet
                .pretend
                .current(number)
                .expect("a login that is alive")
                .refresh_token;
            assert_eq!(
                document["accounts"][number]["refreshToken"], token,
                "{number}"
            );
        }
        println!(
            "{done} done and {killed} killed of {} operations from 3 hosts in {:?}: nothing lost, nothing twice",
            done + killed,
            begun.elapsed()
        );
    });
}
