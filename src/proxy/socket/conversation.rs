//! A client's connection, from its first message to its close: one request at a time, each asked of
//! an account by [`ByMessage`], and what passes between. Its close is how a client is told to begin
//! anew where only it can (PROTOCOL-WEBSOCKET §3).

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Response;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::by_message::{Begun, ByMessage, failure, remember_turn};
use super::handshake::Handshake;
use super::link::{Link, Said, config};
use super::message::Create;
use crate::account::Account;
use crate::account::handle::Handle;
use crate::account::limit::{self, Verdict};
use crate::account::session::SessionKey;
use crate::account::stream::Event;
use crate::account::time::UnixMillis;
use crate::proxy::exchange::{Answered, Exchange, NoAnswer, Outcome};
use crate::proxy::pool::{Unavailable, Wanted};
use crate::proxy::relay::Relay;
use crate::proxy::replies::{self, Place};
use crate::proxy::watcher::Watcher;

/// How often the upstream of an idle connection is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How often a client that is held hears that it goes on; a ping would not do (PROTOCOL-WEBSOCKET
/// §2).
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(60);

/// A client that waits for an account is looked after this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long a close may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// So much of what a client says while it is answered is kept for the upstream.
const MEANWHILE: usize = 16;

/// A message larger than this is read where it keeps nobody waiting.
const LARGE: usize = 256 << 10;

type Client = WebSocketStream<TokioIo<Upgraded>>;

/// See the module.
pub(super) struct Conversation {
    relay: Arc<Relay>,
    handshake: Handshake,
    client: Client,
    link: Option<Link>,
    /// A request that came while another one was answered.
    queued: Option<Create>,
    /// The last answer: what comes after its end is about its account, too.
    last: Option<Passing>,
    ending: watch::Receiver<bool>,
}

/// How a conversation ends.
enum End {
    /// The client is gone.
    Gone,
    /// It is closed from here.
    Close(CloseCode, &'static str),
}

/// The client is to begin anew, with all it knows.
const BEGIN_ANEW: End = End::Close(CloseCode::Restart, "ask again on a new connection");

/// What a client said.
enum Heard {
    Create(Create),
    Other(Utf8Bytes),
}

impl Conversation {
    pub(super) async fn new(
        relay: Arc<Relay>,
        handshake: Handshake,
        client: Upgraded,
        link: Option<Link>,
    ) -> Self {
        let io = TokioIo::new(client);
        Self {
            ending: relay.ending.subscribe(),
            client: WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await,
            relay,
            handshake,
            link,
            queued: None,
            last: None,
        }
    }

    /// Serves it to its end.
    pub(super) async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.serve_one().await {
                break end;
            }
        };
        // What is under way upstream ends with it, so that nobody pays for it.
        self.link = None;
        if let End::Close(code, reason) = end {
            let frame = CloseFrame {
                code,
                reason: reason.into(),
            };
            let closing = async {
                let _ = self.client.close(Some(frame)).await;
                while let Some(Ok(_)) = self.client.next().await {}
            };
            let _ = timeout(CLOSE_PATIENCE, closing).await;
        }
    }

    async fn serve_one(&mut self) -> Result<(), End> {
        let create = match self.queued.take() {
            Some(create) => create,
            None => self.idle().await?,
        };
        // Nothing more is read of this client while there is none.
        let room = self.relay.bodies.room(create.text.len()).await;
        let Ok(_room) = room else {
            return Err(End::Close(CloseCode::Again, "too much is asked at once"));
        };
        // Most connections are idle most of the time: what an answer takes is not kept for them.
        Box::pin(self.answer(create)).await
    }

    /// Answers one request.
    async fn answer(&mut self, create: Create) -> Result<(), End> {
        if create.is_too_large() {
            self.relay.sockets.send_by_http(self.thread());
            return Err(BEGIN_ANEW);
        }
        let mut entry = self
            .relay
            .entry(SessionKey::of(&self.handshake.question.headers));
        entry.note_socket(match create.is_increment {
            true => "increment",
            false => "whole",
        });
        let account = self.link.as_ref().map(|link| &link.account);
        let relay = Arc::clone(&self.relay);
        let mut exchange = Exchange::new(relay, entry, create.model.clone()).keeping(account);
        loop {
            match self.ask(&mut exchange, &create).await? {
                Outcome::Answer(answered) => return self.pass(exchange, &create, *answered).await,
                Outcome::None(NoAnswer::Unavailable(Unavailable::Limited { until, .. }))
                    if exchange.can_wait(until) =>
                {
                    self.hold(until).await?;
                }
                Outcome::None(none) => {
                    let reply = replies::none(&none, exchange.model(), self.relay.pool.now());
                    exchange.entry.note_head(reply.status().as_u16());
                    return self.say(&mut exchange, message_of(&reply)).await;
                }
                Outcome::AskAnew => {
                    exchange.entry.note_close(CloseCode::Restart.into());
                    return Err(BEGIN_ANEW);
                }
            }
        }
    }

    fn thread(&self) -> Option<&str> {
        self.handshake.thread.as_deref()
    }

    /// Waits for a request.
    async fn idle(&mut self) -> Result<Create, End> {
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.tick().await;
        if *self.ending.borrow() {
            return Err(End::Close(CloseCode::Away, "the relay ends"));
        }
        loop {
            let away = Err(End::Close(CloseCode::Away, "the backend closed"));
            tokio::select! {
                heard = hear(&mut self.client) => match heard? {
                    Heard::Create(create) => return Ok(create),
                    // It is about an answer that is over.
                    Heard::Other(_) => {}
                },
                said = next(&mut self.link) => match said {
                    Said::Text(text) => {
                        let event = Event::of_message(text.as_bytes());
                        send(&mut self.client, text).await?;
                        if let Some(last) = &self.last {
                            last.watcher.see(&event);
                            last.leave_if_spent(&self.relay).await?;
                        }
                    }
                    Said::End(_) => return away,
                },
                _ = pings.tick() => {
                    if let Some(link) = &mut self.link && !link.ping().await {
                        return away;
                    }
                }
                _ = self.ending.changed() => {
                    return Err(End::Close(CloseCode::Away, "the relay ends"));
                }
            }
        }
    }

    /// Asks the accounts, and listens to the client meanwhile.
    async fn ask(
        &mut self,
        exchange: &mut Exchange,
        create: &Create,
    ) -> Result<Outcome<Begun>, End> {
        let (meanwhile, mut receiver) = mpsc::channel(MEANWHILE);
        let mut transport = ByMessage {
            relay: Arc::clone(&self.relay),
            question: &self.handshake.question,
            link: &mut self.link,
            create,
            meanwhile: &mut receiver,
            sent: false,
            cut: None,
        };
        let asking = exchange.run(&mut transport);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                outcome = &mut asking => return Ok(outcome),
                heard = hear(&mut self.client) => match heard? {
                    Heard::Create(create) => queue(&mut self.queued, create)?,
                    // What nobody listens to may be lost: it is about an answer that never was.
                    Heard::Other(text) => drop(meanwhile.try_send(text)),
                },
            }
        }
    }

    /// Keeps the client waiting, until an account may be back.
    async fn hold(&mut self, until: UnixMillis) -> Result<(), End> {
        let wait = until.since(self.relay.pool.now()).min(LOOK_AGAIN);
        let over = Instant::now() + wait;
        let mut alive = interval(KEEP_ALIVE_EVERY);
        loop {
            tokio::select! {
                () = sleep_until(over) => return Ok(()),
                _ = alive.tick() => {
                    let alive = json!({"type": "codex.keepalive"}).to_string();
                    send(&mut self.client, alive.into()).await?;
                }
                heard = hear(&mut self.client) => {
                    if let Heard::Create(create) = heard? {
                        queue(&mut self.queued, create)?;
                    }
                }
            }
        }
    }

    /// Passes an answer on, to its end.
    async fn pass(
        &mut self,
        mut exchange: Exchange,
        create: &Create,
        answered: Answered<Begun>,
    ) -> Result<(), End> {
        let Begun {
            held,
            ended,
            too_large,
            made,
            head,
        } = answered.judged.answer;
        if too_large {
            self.relay.sockets.send_by_http(self.thread());
            return Err(BEGIN_ANEW);
        }
        exchange.entry.account = Some(answered.account.name().to_owned());
        exchange.entry.verdict = Some(answered.judged.reading.verdict.word());
        exchange
            .entry
            .note_head(answered.judged.status.unwrap_or(200));
        if ended {
            exchange.committing.done().await;
        }
        for text in held {
            self.say(&mut exchange, text).await?;
        }
        let watcher = Watcher::new(&exchange, &head, answered.asking);
        watcher.made(&made);
        let passing = Passing {
            model: create.model.clone(),
            turn: create.turn.clone(),
            account: answered.account,
            head,
            watcher,
        };
        if !ended {
            self.pass_rest(&mut exchange, &passing).await?;
        }
        exchange.entry.note_end();
        if let Some(turn) = &create.turn {
            self.relay.sockets.answered(turn);
        }
        if self.queued.is_none() {
            passing.leave_if_spent(&self.relay).await?;
        }
        self.last = Some(passing);
        Ok(())
    }

    async fn pass_rest(&mut self, exchange: &mut Exchange, passing: &Passing) -> Result<(), End> {
        loop {
            tokio::select! {
                said = next(&mut self.link) => match said {
                    Said::Text(text) => {
                        let event = Event::of_message(text.as_bytes());
                        remember_turn(&self.relay, &event, &text, &passing.account);
                        passing.watcher.see(&event);
                        // It goes on by itself when it is closed, if another account can serve it.
                        if self.handshake.is_codex
                            && passing.is_limit(&event)
                            && passing.is_another_there(&self.relay).await
                            && self.may_ask_anew(passing)
                        {
                            exchange.entry.note_close(CloseCode::Restart.into());
                            return Err(BEGIN_ANEW);
                        }
                        if event.is_terminal() {
                            exchange.committing.done().await;
                        }
                        self.say(exchange, text).await?;
                        if event.is_terminal() {
                            return Ok(());
                        }
                    }
                    Said::End(_) => return Err(self.broke_off(exchange, passing).await),
                },
                heard = hear(&mut self.client) => match heard? {
                    Heard::Create(create) => queue(&mut self.queued, create)?,
                    Heard::Other(text) => if let Some(link) = &mut self.link {
                        // If that fails, the next read says so.
                        let _ = link.send(text).await;
                    },
                },
            }
        }
    }

    /// The upstream is gone in the middle of an answer: Codex goes on by itself on a new
    /// connection, others are told.
    async fn broke_off(&mut self, exchange: &mut Exchange, passing: &Passing) -> End {
        exchange.entry.verdict = Some(Verdict::Server.word());
        if self.handshake.is_codex && self.may_ask_anew(passing) {
            exchange.entry.note_close(CloseCode::Restart.into());
            return BEGIN_ANEW;
        }
        let event = replies::failed_response(
            Place {
                number: exchange.entry.messages(),
                model: exchange.model(),
                at: self.relay.pool.now(),
            },
            &replies::broke_off_error(),
        );
        match self.say(exchange, event.to_string().into()).await {
            Ok(()) => End::Close(CloseCode::Error, "the backend's answer broke off"),
            Err(end) => end,
        }
    }

    fn may_ask_anew(&self, passing: &Passing) -> bool {
        let turn = passing.turn.as_deref().or(self.thread());
        turn.is_some_and(|turn| self.relay.sockets.may_ask_anew(turn))
    }

    /// Says something to the client, and counts it.
    async fn say(&mut self, exchange: &mut Exchange, text: Utf8Bytes) -> Result<(), End> {
        exchange.entry.note_message(text.len());
        send(&mut self.client, text).await
    }
}

/// An answer that passes.
struct Passing {
    model: Option<String>,
    turn: Option<String>,
    account: Account,
    head: http::HeaderMap,
    watcher: Watcher,
}

impl Passing {
    /// Whether another account can serve what this one can't.
    async fn is_another_there(&self, relay: &Arc<Relay>) -> bool {
        let wanted = Wanted {
            model: self.model.clone(),
            excluded: vec![Handle::from(&self.account)],
            ..Wanted::default()
        };
        relay.pool.choose(&wanted).await.is_ok()
    }

    /// Between two requests a close costs nothing: the next one goes to another account, if this
    /// one has nothing left.
    async fn leave_if_spent(&self, relay: &Arc<Relay>) -> Result<(), End> {
        let who = Handle::from(&self.account);
        let leaves = relay.pool.is_spent(&who, self.model.as_deref()).await
            && self.is_another_there(relay).await;
        if leaves { Err(BEGIN_ANEW) } else { Ok(()) }
    }

    /// Whether an event says that the account is limited.
    fn is_limit(&self, event: &Event) -> bool {
        let Event::Notice(notice) = event else {
            return false;
        };
        let said = limit::read_event(notice, &self.head, self.watcher.now());
        said.is_some_and(|said| matches!(said.verdict, Verdict::Limited(_)))
    }
}

/// The next thing a client says that matters here.
async fn hear(client: &mut Client) -> Result<Heard, End> {
    loop {
        match client.next().await {
            Some(Ok(Message::Text(text))) => {
                let create = match text.len() > LARGE {
                    true => tokio::task::block_in_place(|| Create::read(&text)),
                    false => Create::read(&text),
                };
                return Ok(create.map_or(Heard::Other(text), Heard::Create));
            }
            // The socket answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Binary(_))) => {
                return Err(End::Close(
                    CloseCode::Unsupported,
                    "only text is spoken here",
                ));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        }
    }
}

/// What the upstream says next; nothing, where there is none.
async fn next(link: &mut Option<Link>) -> Said {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

async fn send(client: &mut Client, text: Utf8Bytes) -> Result<(), End> {
    let sent = client.send(Message::Text(text)).await;
    sent.map_err(|_| End::Gone)
}

/// Keeps a request for when the one before is answered; there is room for one.
fn queue(queued: &mut Option<Create>, create: Create) -> Result<(), End> {
    if queued.replace(create).is_some() {
        return Err(End::Close(CloseCode::Policy, "one request at a time"));
    }
    Ok(())
}

/// An answer of the relay's own, as a message.
fn message_of(reply: &Response<String>) -> Utf8Bytes {
    let body = serde_json::from_str(reply.body()).unwrap_or_default();
    failure(reply.status().as_u16(), body)
}
