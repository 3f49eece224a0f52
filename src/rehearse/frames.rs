//! A WebSocket once it is open: frames in, frames out (PROTOCOL-WEBSOCKET §2).
//!
//! The responses it made are known to this connection and to no other. What a request comes to is `responses`' to say,
//! as for HTTP.

use super::outcome::{Outcome, Stream};
use super::reply::{End, Reply};
use super::request::ModelRequest;
use super::responses;
use super::seen::Seen;
use super::shared::Shared;
use super::strict::Refusal;
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

/// The longest message that is read at all.
const LONGEST: usize = 64 << 20;

/// A WebSocket that was accepted.
pub(super) struct Opened {
    /// The account it was opened as.
    pub(super) account: usize,
    /// The request that opened it.
    pub(super) request: Seen,
    /// Its number.
    pub(super) number: u64,
}

/// The connection is at its end.
struct Gone;

struct Connection {
    socket: WebSocketStream<TcpStream>,
    shared: Arc<Shared>,
    opened: Opened,
    since: Instant,
    /// What each response was made from and came to: all that the next one goes on from.
    made: HashMap<String, Vec<Value>>,
    /// Requests that came while another one was answered.
    waiting: VecDeque<Map<String, Value>>,
}

/// Serves it to its end. `read` is what came behind the head.
pub(super) async fn serve(stream: TcpStream, read: Vec<u8>, opened: Opened, shared: Arc<Shared>) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let socket =
        WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await;
    let mut connection = Connection {
        socket,
        shared,
        opened,
        since: Instant::now(),
        made: HashMap::new(),
        waiting: VecDeque::new(),
    };
    while connection.step().await.is_ok() {}
    // It may be gone already.
    let _ = connection.socket.get_mut().shutdown().await;
}

impl Connection {
    /// Answers the next request.
    async fn step(&mut self) -> Result<(), Gone> {
        let body = match self.waiting.pop_front() {
            Some(body) => body,
            None => match self.next().await? {
                Some(body) => body,
                None => return Ok(()),
            },
        };
        match body.get("type").and_then(Value::as_str) {
            Some("response.create") => self.create(body).await,
            Some("response.interrupt") => {
                let id = body.get("response_id").cloned();
                self.send(&json!({"type": "response.interrupt.failed", "response_id": id}))
                    .await
            }
            // Later kinds; the real one ignores what it does not know.
            _ => Ok(()),
        }
    }

    /// The next frame of the client that is a JSON object; `None` for one that is not, and has been dealt with.
    async fn next(&mut self) -> Result<Option<Map<String, Value>>, Gone> {
        let text = match self.socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return self.close(CloseCode::Unsupported).await,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                self.socket.flush().await.map_err(|_| Gone)?;
                return Ok(None);
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => {
                // Answers the close, where there was one.
                let _ = self.socket.flush().await;
                return Err(Gone);
            }
        };
        let longest = self.shared.world().script.socket.max_message;
        if text.len() >= longest {
            return self.close(CloseCode::Size).await;
        }
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Some(body)),
            Err(_) => {
                let error = json!({"type": "invalid_request_error", "message": "The frame is no JSON object"});
                self.send(&json!({"type": "error", "status": 400, "error": error}))
                    .await?;
                Ok(None)
            }
        }
    }

    async fn send(&mut self, event: &Value) -> Result<(), Gone> {
        let text = Message::text(event.to_string());
        self.socket.send(text).await.map_err(|_| Gone)
    }

    async fn close<T>(&mut self, code: CloseCode) -> Result<T, Gone> {
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        let _ = self.socket.close(Some(frame)).await;
        Err(Gone)
    }

    async fn create(&mut self, body: Map<String, Value>) -> Result<(), Gone> {
        let (outcome, delay, pace, input) = match self.carry_out(body) {
            Ok(done) => done,
            Err(refusal) => return self.send(&refusal).await,
        };
        sleep(delay).await;
        match outcome {
            Outcome::Events(stream) => self.stream(stream, input, pace).await,
            Outcome::Reply(reply) => {
                self.made.clear();
                self.send(&error_frame(&reply)).await
            }
            Outcome::Hangup(bytes) => {
                let _ = self.socket.get_mut().write_all(&bytes).await;
                Err(Gone)
            }
            // A WebSocket has its head behind it.
            Outcome::Silence | Outcome::EndlessHead(_) | Outcome::Upgrade(_) => {
                self.wait_for_the_end().await
            }
        }
    }

    /// What the request comes to, with its delay and its pace, and all items that it was about; or the frame that refuses
    /// it at once.
    fn carry_out(
        &mut self,
        body: Map<String, Value>,
    ) -> Result<(Outcome, Duration, Duration, Vec<Value>), Value> {
        let shared = Arc::clone(&self.shared);
        let mut world = shared.world();
        if self.since.elapsed() >= world.script.socket.max_age {
            let error = json!({
                "type": "invalid_request_error",
                "code": "websocket_connection_limit_reached",
                "message": "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue.",
            });
            return Err(json!({"type": "error", "status": 400, "error": error}));
        }
        let now = world.script.now();
        world.count_request();
        let mut seen = Seen {
            method: Seen::frame_method(),
            body: Value::Object(body.clone()).to_string().into(),
            refused: None,
            socket: Some(self.opened.number),
            ..self.opened.request.clone()
        };
        seen.body_length = seen.body.len();
        let head: &HeaderMap = &self.opened.request.headers;
        let mut request = ModelRequest::of_frame(body, head);
        seen.session = request.session().or(seen.session);
        let previous = request
            .body
            .get("previous_response_id")
            .and_then(Value::as_str);
        let unknown = previous
            .filter(|id| !self.made.contains_key(*id))
            .map(Refusal::no_previous);
        if let Some(before) = previous.and_then(|id| self.made.get(id)) {
            request.input.splice(0..0, before.iter().cloned());
        }
        seen.asks_for = Some(request.asks_for());
        let outcome = match unknown {
            Some(refusal) => {
                seen.refused = Some(refusal.about);
                refusal.outcome()
            }
            None => {
                let created = responses::create(&mut world, self.opened.account, &request, now);
                seen.refused = created.refused;
                created.outcome
            }
        };
        seen.status = Some(match &outcome {
            Outcome::Reply(reply) => reply.status.as_u16(),
            _ => 200,
        });
        let delay = world
            .script
            .delays
            .get(&seen.path)
            .copied()
            .unwrap_or_default();
        if world.script.remember {
            shared.log.push(seen);
        }
        Ok((outcome, delay, world.script.pace, request.input))
    }

    async fn stream(
        &mut self,
        stream: Stream,
        mut items: Vec<Value>,
        pace: Duration,
    ) -> Result<(), Gone> {
        let mut wait = stream.silence;
        let mut id = None;
        let mut ended = false;
        for event in stream.events {
            let kind = event["type"].as_str().unwrap_or_default().to_owned();
            id = event["response"]["id"].as_str().map(str::to_owned).or(id);
            if self.interrupted(wait).await? {
                return self.interrupt(id, items).await;
            }
            wait = pace;
            self.send(&event).await?;
            match kind.as_str() {
                "response.output_item.done" => items.push(as_sent_back(&event["item"])),
                "response.completed" => {
                    if let Some(id) = &id {
                        self.made.insert(id.clone(), items.clone());
                    }
                    ended = true;
                }
                "response.failed" | "response.incomplete" | "error" => {
                    // What failed can't be gone on from, and takes with it what was before.
                    self.made.clear();
                    ended = true;
                }
                _ => {}
            }
        }
        match (stream.end, stream.close) {
            (End::Never, _) => self.wait_for_the_end().await,
            (_, Some(code)) => self.close(code.into()).await,
            (End::Broken, None) => Err(Gone),
            (End::Clean, None) if !ended => self.close(CloseCode::Error).await,
            (End::Clean, None) => Ok(()),
        }
    }

    /// Waits so long, and says whether the client has had enough before that. Other requests wait for their turn.
    async fn interrupted(&mut self, wait: Duration) -> Result<bool, Gone> {
        if wait.is_zero() {
            return Ok(false);
        }
        let end = Instant::now() + wait;
        loop {
            let body = tokio::select! {
                () = tokio::time::sleep_until(end) => return Ok(false),
                body = self.next() => body?,
            };
            match body {
                Some(body) if body["type"] == "response.interrupt" => return Ok(true),
                Some(body) => self.waiting.push_back(body),
                None => {}
            }
        }
    }

    async fn interrupt(&mut self, id: Option<String>, items: Vec<Value>) -> Result<(), Gone> {
        let accepted = json!({"type": "response.interrupt.accepted", "response_id": id});
        let item = json!({"type": "response.output_item.interrupted", "response_id": id, "output_index": 0});
        let incomplete = json!({"type": "response.incomplete", "response": {
            "id": id, "object": "response", "status": "incomplete", "output": [], "error": null,
            "incomplete_details": {"reason": "interrupted"}, "usage": null,
        }});
        if let Some(id) = id {
            self.made.insert(id, items);
        }
        for event in [accepted, item, incomplete] {
            self.send(&event).await?;
        }
        Ok(())
    }

    /// Says nothing more until the client goes.
    async fn wait_for_the_end(&mut self) -> Result<(), Gone> {
        loop {
            // Whatever it is, it is not answered.
            self.next().await?;
        }
    }
}

/// An item as a client would send it back.
fn as_sent_back(item: &Value) -> Value {
    let mut item = item.clone();
    if item["type"] == "reasoning" {
        item["content"] = Value::Null;
    }
    item
}

/// A refusal of HTTP as the frame that tells it.
fn error_frame(reply: &Reply) -> Value {
    let body = reply.body();
    let error = match serde_json::from_slice::<Value>(&body) {
        Ok(body) if body["error"].is_object() => body["error"].clone(),
        Ok(body) if body["detail"].is_object() => body["detail"].clone(),
        Ok(body) => json!({"type": "invalid_request_error", "message": body["detail"]}),
        Err(_) => json!({"message": String::from_utf8_lossy(&body)}),
    };
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    json!({"type": "error", "status": reply.status.as_u16(), "error": error, "headers": headers})
}
