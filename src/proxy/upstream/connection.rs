//! One connection to the upstream, driven by whoever asks on it: no task of its own has to be woken
//! for each piece that comes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Parts, SendRequest};
use hyper_util::rt::TokioIo;

use super::error::Error;
use crate::net::dial::Stream;

/// A server closes a connection that was idle for long; whoever asks at that moment hears of it
/// within a round trip. What is closed later was closed because of what was asked.
const STALE: Duration = Duration::from_secs(1);

/// So much is read at once at most, and a head may have so much: a connection that carried a long
/// answer keeps its buffer while it is idle.
const LARGEST_BUFFER: usize = 64 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Stream>, Full<Bytes>>,
    /// There is nothing more to drive.
    over: bool,
    /// It was asked before.
    used: bool,
}

impl Connection {
    /// HTTP on new bytes.
    pub(super) async fn open(stream: Stream) -> Result<Self, Error> {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(LARGEST_BUFFER)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self {
            sender,
            driver,
            over: false,
            used: false,
        })
    }

    /// Reads and writes what can be read and written now.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        if !self.over {
            // What went wrong, whoever waits for an answer is told.
            self.over = self.driver.poll_without_shutdown(context).is_ready();
        }
    }

    /// Whether it can be asked now.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.over && self.sender.is_ready()
    }

    /// Asks on it. The answer comes by driving it on.
    pub(super) async fn ask(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Self), Error> {
        let sent = Instant::now();
        let mut answer = pin!(self.sender.send_request(request));
        let answer = poll_fn(|context| {
            self.drive(context);
            // The answer comes by driving, and by nothing else: nobody has to be woken for it.
            answer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        });
        match answer.await {
            Ok(answer) => {
                self.used = true;
                Ok((answer, self))
            }
            Err(_) if self.used && sent.elapsed() < STALE && self.said_nothing() => {
                Err(Error::Stale)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether nothing came of an answer.
    fn said_nothing(self) -> bool {
        self.driver.into_parts().read_buf.is_empty()
    }

    /// What is left when HTTP has ended: the connection, and what came beyond.
    pub(super) async fn into_stream(mut self) -> (Stream, Bytes) {
        poll_fn(|context| {
            self.drive(context);
            if self.over {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        let Parts { io, read_buf, .. } = self.driver.into_parts();
        (io.into_inner(), read_buf)
    }
}
