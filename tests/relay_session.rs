//! A session that goes on as another account, against a backend that refuses what the real one
//! refuses (PROTOCOL-SWITCH): each ends with the right answer, after three requests at the most.

use codex_accounts::rehearse::{
    Answer, Delivery, Foreign, PretendAccount, Progress, Reason, Script, Seen, Standing, Style,
};
use serde_json::{Value, json};

use super::support::Home;
use super::support::pretend::now_millis;
use super::support::relay::{HOUR, Setting};
use super::support::request::{codex, items, opencode, output, user, without_ids};
use super::support::stage::wait_until;

/// A client in the middle of a session.
struct Talk<'a> {
    setting: &'a Setting,
    /// All items so far.
    input: Vec<Value>,
    session: &'static str,
    client: fn(&[Value]) -> Value,
}

impl<'a> Talk<'a> {
    fn new(setting: &'a Setting) -> Self {
        Self {
            setting,
            input: Vec::new(),
            session: "talk",
            client: codex,
        }
    }

    /// Says something; what comes back, all of its items remembered.
    fn say(&mut self, text: &str) -> String {
        self.input.push(user(text));
        self.go_on()
    }

    /// Gives the last call its output.
    fn put_out(&mut self, text: &str) -> String {
        let call = self.input.last().expect("a call").clone();
        assert_eq!(call["type"], "function_call", "{call}");
        self.input.push(output(&call, text));
        self.go_on()
    }

    fn go_on(&mut self) -> String {
        let body = (self.client)(&self.input).to_string();
        let got = self
            .setting
            .send("/responses", &[("session-id", self.session)], &body);
        assert_eq!(got.status, 200, "{}", got.body);
        let answer = items(&got.body);
        let last = answer
            .last()
            .unwrap_or_else(|| panic!("{}", got.body))
            .clone();
        self.input.extend(answer);
        last["content"][0]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Lets the session so far be summarised: the summary is all that is left of it.
    fn compact(&mut self) {
        self.input.push(json!({"type": "compaction_trigger"}));
        self.go_on();
        let summary = self.input.pop().expect("a summary");
        assert_eq!(summary["type"], "compaction");
        self.input = vec![summary];
    }
}

fn with_accounts(count: usize, args: &[&str]) -> Setting {
    Setting::new(Script::with_accounts(count), args)
}

fn limit(setting: &Setting, account: usize) {
    setting
        .pretend
        .change(|script| script.accounts[account].limit(HOUR, Style::UsageLimit));
}

/// The limit of an account is over.
fn lift(setting: &Setting, account: usize) {
    let good = |it: &mut PretendAccount| it.standing = Standing::Good;
    setting
        .pretend
        .change(|script| good(&mut script.accounts[account]));
    let cleared = setting.home.sh(&format!("codex-accounts clear {account}"));
    assert_eq!(cleared.code, 0, "{cleared}");
}

/// The questions since the first so many.
fn questions(setting: &Setting, after: usize) -> Vec<Seen> {
    let seen = setting.pretend.seen().into_iter();
    seen.filter(Seen::asks_the_model).skip(after).collect()
}

fn asked(setting: &Setting, after: usize) -> Vec<Option<usize>> {
    questions(setting, after)
        .iter()
        .map(|seen| seen.account)
        .collect()
}

/// The types of the items that a question brought.
fn types(seen: &Seen) -> Vec<String> {
    let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
    let items = body["input"].as_array().expect("items").iter();
    items
        .map(|item| item["type"].as_str().unwrap_or("message").to_owned())
        .collect()
}

fn blobs(seen: &Seen) -> usize {
    String::from_utf8_lossy(&seen.body).matches("gAAAA").count()
}

const ONE: Option<usize> = Some(0);
const TWO: Option<usize> = Some(1);
const THREE: Option<usize> = Some(2);

#[test]
fn a_session_survives_a_limit_at_the_output_of_a_tool() {
    for client in [
        codex,
        (|items| opencode(&without_ids(items))) as fn(&[Value]) -> Value,
    ] {
        let setting = with_accounts(2, &[]);
        let mut talk = Talk {
            client,
            ..Talk::new(&setting)
        };
        talk.say("Say hi. [invent]");
        talk.say("[run echo hi] [recall]");
        limit(&setting, 0);
        let said = talk.put_out("hi");
        assert!(said.starts_with("answered by two@example.com"), "{said}");
        // One is limited, two can't read what one thought, and can do without.
        assert_eq!(asked(&setting, 2), [ONE, TWO, TWO]);
        // From now on it is not sent what it refused, and keeps what it made.
        talk.say("[run echo ho]");
        talk.put_out("ho");
        assert_eq!(asked(&setting, 5), [TWO, TWO]);
        let last = questions(&setting, 6);
        assert_eq!(blobs(&last[0]), 2, "its own, of the last two answers");
        assert_eq!(setting.pretend.most_for_one_refusal(), 3);
    }
}

#[test]
fn what_was_cut_out_is_said_in_the_log() {
    let setting = with_accounts(2, &["--log", "log"]);
    let mut talk = Talk::new(&setting);
    talk.say("[invent]");
    limit(&setting, 0);
    talk.say("more");
    let log = setting.home.sh("cat log").stdout;
    let stripped: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .filter(|line: &Value| line["event"] == "stripped")
        .collect();
    assert_eq!(stripped.len(), 1, "{log}");
    assert_eq!(stripped[0]["session"], "talk");
    assert_eq!(stripped[0]["reasoning"], 1);
    assert_eq!(stripped[0].get("compaction"), None);
    assert!(!log.contains("gAAAA"));
}

#[test]
fn a_summary_is_replaced_only_when_nothing_else_helps() {
    for reason in [Reason::Key, Reason::Organization, Reason::Unsaid] {
        let setting = with_accounts(2, &[]);
        setting.pretend.change(|script| {
            script.foreign = Foreign {
                reason,
                codeless: true,
                ..Foreign::default()
            };
        });
        let mut talk = Talk::new(&setting);
        talk.say("[invent]");
        talk.compact();
        assert_eq!(asked(&setting, 0), [ONE, ONE]);
        limit(&setting, 0);
        let said = talk.say("What was it? [recall]");
        assert_eq!(said, "answered by two@example.com, who remembers nothing");
        assert_eq!(asked(&setting, 2), [ONE, TWO, TWO]);
        // The developer's own message, the note in the place of the summary, and the question.
        let last = questions(&setting, 4);
        assert_eq!(types(&last[0]), ["message", "message", "message"]);
        let note = String::from_utf8_lossy(&last[0].body).into_owned();
        assert!(
            note.contains("summarised in a form that is not readable here"),
            "{note}"
        );
    }
}

#[test]
fn a_summary_that_can_be_read_is_kept_while_reasoning_goes() {
    // Its own summary, and reasoning of another behind it.
    let setting = with_accounts(2, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[invent]");
    talk.compact();
    limit(&setting, 0);
    let foreign = {
        let mut other = Talk {
            session: "other",
            ..Talk::new(&setting)
        };
        other.say("[run echo hi]");
        other.put_out("hi");
        other.input
    };
    assert!(foreign.iter().any(|item| item["type"] == "reasoning"));
    lift(&setting, 0);
    limit(&setting, 1);
    talk.input.extend(foreign);
    let said = talk.say("What was it? [recall]");
    assert!(
        said.starts_with("answered by one@example.com, who remembers heron"),
        "{said}"
    );
}

#[test]
fn a_session_goes_through_three_accounts_and_back() {
    let setting = with_accounts(3, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[run echo 1]");
    limit(&setting, 0);
    talk.put_out("1");
    talk.say("[run echo 2]");
    limit(&setting, 1);
    talk.put_out("2");
    assert_eq!(asked(&setting, 0)[..1], [ONE]);
    assert_eq!(asked(&setting, 1), [ONE, TWO, TWO, TWO, TWO, THREE, THREE]);
    // Back to the first, which made some of it and reads that again, if not at once.
    lift(&setting, 0);
    limit(&setting, 2);
    let said = talk.say("and now?");
    assert_eq!(said, "answered by one@example.com");
    assert_eq!(asked(&setting, 8), [THREE, ONE, ONE]);
    talk.say("and then?");
    let last = questions(&setting, 11);
    assert_eq!(last[0].account, ONE);
    assert_eq!(blobs(&last[0]), 2, "what it made before and after");
    assert_eq!(setting.pretend.most_for_one_refusal(), 3);
}

#[test]
fn what_one_account_made_goes_back_to_it_where_it_can_serve() {
    let setting = with_accounts(2, &["--strategy", "round-robin"]);
    let mut talk = Talk::new(&setting);
    talk.say("[invent]");
    assert_eq!(asked(&setting, 0), [TWO]);
    // The same session under another name, as after a fork: it is the other one's turn.
    talk.session = "fork";
    let said = talk.say("What was it? [recall]");
    assert!(
        said.starts_with("answered by two@example.com, who remembers heron"),
        "{said}"
    );
    assert_eq!(asked(&setting, 1), [ONE, TWO]);
    talk.say("more");
    assert_eq!(asked(&setting, 3), [TWO], "it stays there");
    let forms: Vec<_> = questions(&setting, 0).iter().map(blobs).collect();
    assert_eq!(forms, [0, 1, 1, 2], "nothing was cut");
}

#[test]
fn however_it_is_refused_it_is_recovered_from() {
    for delivery in [Delivery::Status, Delivery::Failed, Delivery::Event] {
        for codeless in [false, true] {
            let setting = with_accounts(2, &[]);
            setting.pretend.change(|script| {
                script.foreign = Foreign {
                    delivery,
                    codeless,
                    ..Foreign::default()
                };
            });
            let mut talk = Talk::new(&setting);
            talk.say("[run echo hi]");
            limit(&setting, 0);
            let said = talk.put_out("hi");
            assert_eq!(
                said, "answered by two@example.com",
                "{delivery:?} {codeless}"
            );
            assert_eq!(
                asked(&setting, 1),
                [ONE, TWO, TWO],
                "{delivery:?} {codeless}"
            );
        }
    }
}

#[test]
fn an_answer_cut_behind_its_reasoning_ended_the_session() {
    let setting = with_accounts(2, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[run echo hi]");
    let cut = Answer::Close {
        code: None,
        after: Progress::Reasoning,
    };
    setting
        .pretend
        .change(|script| script.accounts[0].next.push_back(cut));
    let call = talk.input.last().expect("a call").clone();
    talk.input.push(output(&call, "hi"));
    let got = setting.send(
        "/responses",
        &[("session-id", "talk")],
        &codex(&talk.input).to_string(),
    );
    let led_to_nothing = items(&got.body);
    assert_eq!(led_to_nothing.len(), 1, "{}", got.body);
    assert_eq!(led_to_nothing[0]["type"], "reasoning");
    talk.input.extend(led_to_nothing);
    // Sent again with that, as Codex does: the same account, without it.
    assert_eq!(talk.go_on(), "answered by one@example.com");
    assert_eq!(asked(&setting, 2), [ONE, ONE]);
    let last = questions(&setting, 3);
    assert_eq!(blobs(&last[0]), 1, "the other thoughts stay");
    // From now on it is left out beforehand; and another account, which can read none, gets on too.
    assert_eq!(talk.say("and now"), "answered by one@example.com");
    assert_eq!(asked(&setting, 4), [ONE]);
    limit(&setting, 0);
    assert_eq!(talk.say("and then"), "answered by two@example.com");
    assert_eq!(asked(&setting, 5), [ONE, TWO, TWO]);
    let limits = setting.home.store()["accounts"][1]["limits"].clone();
    assert_eq!(limits, Value::Null, "nobody is marked for it");
}

#[test]
fn what_is_encrypted_in_outputs_and_messages_becomes_a_note() {
    let setting = with_accounts(2, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[run echo hi]");
    let blob = talk
        .input
        .iter()
        .find_map(|item| item.get("encrypted_content"))
        .cloned();
    let part = json!({"type": "encrypted_content", "encrypted_content": blob});
    talk.input.retain(|item| item["type"] != "reasoning");
    let call = talk.input.pop().expect("a call");
    let mut bare = call.clone();
    bare.as_object_mut().expect("an item").remove("id");
    let mut put_out = output(&call, "");
    put_out["output"] = json!([part]);
    talk.input.extend([bare, put_out]);
    talk.input
        .push(json!({"type": "agent_message", "author": "a", "recipient": "b", "content": [part]}));
    limit(&setting, 0);
    let said = talk.go_on();
    assert_eq!(said, "answered by two@example.com");
    assert_eq!(asked(&setting, 1), [ONE, TWO, TWO]);
    let last = questions(&setting, 3);
    assert_eq!(blobs(&last[0]), 0);
    assert_eq!(
        String::from_utf8_lossy(&last[0].body)
            .matches("can't be read here")
            .count(),
        2
    );
}

#[test]
fn what_can_be_accepted_arrives_to_the_byte() {
    let setting = with_accounts(1, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[run echo hi]");
    let call = talk.input.last().expect("a call").clone();
    talk.input.push(output(&call, "hi"));
    let body = serde_json::to_string_pretty(&codex(&talk.input)).expect("JSON");
    let body = format!(" {}\r\n", body.replace("\"low\"", "\"\\u006cow\""));
    let got = setting.send("/responses", &[], &body);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(questions(&setting, 1)[0].body, body);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_once_and_unchanged() {
    let setting = with_accounts(2, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[invent]");
    talk.input.push(user("more"));
    let good = codex(&talk.input).to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    limit(&setting, 0);
    setting.send(
        "/responses",
        &[("session-id", "none")],
        &codex(&[user("hi")]).to_string(),
    );
    for (hostile, what) in [
        (good.replacen('{', "{\"x\":1,\"x\":2,", 1), "a key twice"),
        (
            good.replacen("\"store\"", "\"st\\u006fre\"", 1),
            "a key with escapes",
        ),
        (
            good.replacen('{', &format!("{{\"x\":{deep},"), 1),
            "too deep",
        ),
    ] {
        let before = setting.pretend.seen().len();
        let got = setting.send("/responses", &[("session-id", what)], &hostile);
        let seen = setting.pretend.seen().split_off(before);
        assert!(got.status.is_client_error(), "{what}: {}", got.status);
        assert!(seen.len() == 1 && seen[0].body == hostile, "{what}");
    }
}

#[test]
fn a_body_that_came_packed_is_cut_and_sent_unpacked() {
    let setting = with_accounts(2, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[run echo hi]");
    let call = talk.input.last().expect("a call").clone();
    talk.input.push(output(&call, "hi"));
    limit(&setting, 0);
    let packed = zstd::encode_all(codex(&talk.input).to_string().as_bytes(), 3).expect("zstd");
    let request = setting.request("/responses", &[("content-encoding", "zstd")]);
    let mut answer = request.send(&packed).expect("an answer");
    let body = answer.body_mut().read_to_string().expect("a body");
    assert!(body.contains("answered by two@example.com"), "{body}");
    let seen = questions(&setting, 1);
    let encoding = |seen: &Seen| seen.header("content-encoding").map(str::to_owned);
    assert_eq!(
        seen.iter().map(encoding).collect::<Vec<_>>(),
        [Some("zstd".into()), Some("zstd".into()), None]
    );
    assert_eq!(
        (&seen[0].body[..], &seen[1].body[..]),
        (&packed[..], &packed[..])
    );
}

#[test]
fn ten_megabytes_go_on_as_another_account() {
    let setting = with_accounts(2, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[run cat it]");
    limit(&setting, 0);
    let said = talk.put_out(&"a line of it \u{e9}\n".repeat(700_000));
    assert_eq!(said, "answered by two@example.com");
    assert_eq!(asked(&setting, 1), [ONE, TWO, TWO]);
    let lengths: Vec<_> = questions(&setting, 1)
        .iter()
        .map(|seen| seen.body_length)
        .collect();
    assert!(
        lengths[0] > 10 << 20 && lengths[0] == lengths[1],
        "{lengths:?}"
    );
    assert!(
        lengths[2] < lengths[1] && lengths[2] + 2000 > lengths[1],
        "{lengths:?}"
    );
}

#[test]
fn where_there_is_nothing_to_be_done_the_refusal_is_the_clients() {
    let setting = with_accounts(2, &[]);
    let mut talk = Talk::new(&setting);
    talk.say("[invent]");
    // Altered: nobody can read it, and it is no item that could be left out.
    let body = codex(&[user("hi")]).to_string();
    let refusal = json!({"error": {"code": "invalid_encrypted_content", "message": "no"}});
    let refused = codex_accounts::rehearse::Answer::raw(
        400,
        &[("content-type", "application/json")],
        refusal.to_string(),
    );
    setting
        .pretend
        .change(|script| script.accounts[0].next.push_back(refused));
    let got = setting.send("/responses", &[], &body);
    assert_eq!((got.status.as_u16(), got.body), (400, refusal.to_string()));
    assert_eq!(asked(&setting, 1), [ONE]);
    let store = setting.store();
    assert_eq!(store["accounts"][0].get("limits"), None, "{store}");
}

#[test]
fn a_session_stays_where_it_is_whatever_the_strategy() {
    let setting = with_accounts(3, &["--strategy", "round-robin"]);
    let mut talks = ["a", "b", "c"].map(|session| Talk {
        session,
        ..Talk::new(&setting)
    });
    for talk in &mut talks {
        talk.say("hi");
    }
    let begun = asked(&setting, 0);
    assert_eq!(begun, [TWO, THREE, ONE], "each begins with the next");
    for talk in &mut talks {
        talk.say("go on");
    }
    assert_eq!(asked(&setting, 3), begun);
}

#[test]
fn only_step_moves_a_session_by_itself() {
    let mut home = Home::new();
    let pretend = home.with_servers(Script::with_accounts(2));
    let mut store = home.store();
    store["accounts"][0]["activation"] = json!({"at": now_millis(), "weeklyUsedPercent": 30.0});
    home.write_store(&store);
    let setting = Setting::of(home, pretend, &["--strategy", "step=5"]);
    let mut talk = Talk::new(&setting);
    talk.say("hi");
    setting.pretend.change(|script| {
        let weekly = script.accounts[0]
            .windows
            .secondary
            .as_mut()
            .expect("a week");
        weekly.used_percent += 10.0;
    });
    talk.say("go on");
    wait_until("what was used is known", || {
        let usage = &setting.home.store()["accounts"][0]["usage"];
        usage["windows"].to_string().contains("41.0")
    });
    talk.say("and on");
    assert_eq!(
        asked(&setting, 0),
        [ONE, ONE, TWO, TWO],
        "refused once, and not sent back to whom it left"
    );
}
