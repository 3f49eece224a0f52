//! The body of an answer, as it comes. Read to its end, it leaves its connection to the next
//! request; going before, it takes the connection with it, and the server hears of that.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::connection::Connection;
use super::error::Error;
use super::idle::Idle;
use crate::net::dial::Stream;

/// See the module.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    /// None when all has come.
    connection: Option<Connection>,
    idle: Arc<Idle>,
}

impl Answer {
    pub(super) fn of(
        (answer, connection): (Response<Incoming>, Connection),
        idle: &Arc<Idle>,
    ) -> Response<Self> {
        // What comes after another protocol was turned to is that one's.
        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        answer.map(|body| {
            let mut answer = Self {
                body,
                connection: Some(connection),
                idle: Arc::clone(idle),
            };
            if answer.body.is_end_stream() && !switched {
                answer.end();
            }
            answer
        })
    }

    /// What is left of the connection, where the server turned to another protocol.
    pub async fn into_stream(self) -> Option<(Stream, Bytes)> {
        Some(self.connection?.into_stream().await)
    }

    /// All has come: the connection is free.
    fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.put(connection);
        }
    }

    /// What has come, without waiting.
    fn next(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // It comes by driving the connection, and by nothing else: nobody has to be woken for it.
        Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop()))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let mut next = this.next();
        if next.is_pending()
            && let Some(connection) = &mut this.connection
        {
            connection.drive(context);
            next = this.next();
        }
        match &next {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(_))) if !this.body.is_end_stream() => {}
            Poll::Ready(Some(Ok(_)) | None) => this.end(),
            Poll::Ready(Some(Err(_))) => this.connection = None,
        }
        next.map_err(Error::from)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
