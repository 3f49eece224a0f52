//! What goes on the wire in the end: a reply whose body can stop half-way.
//!
//! Knows HTTP and nothing of accounts or limits.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// A header field.
pub(super) type Field = (HeaderName, HeaderValue);

/// A response that is to be sent.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<Field>,
    chunks: Vec<Bytes>,
    /// What `Content-Length` says; `None`: the body is a stream.
    length: Option<u64>,
    end: End,
    /// What comes again and again behind the chunks.
    endless: Option<Bytes>,
    /// How long the body waits for its first chunk.
    pub(super) silence: Duration,
}

impl Reply {
    pub(super) fn new(status: StatusCode, chunks: Vec<Bytes>) -> Self {
        let length = match chunks.as_slice() {
            [] => Some(0),
            [only] => Some(only.len() as u64),
            _ => None,
        };
        Self {
            status,
            headers: Vec::new(),
            chunks,
            length,
            end: End::Clean,
            endless: None,
            silence: Duration::ZERO,
        }
    }

    /// A body whose length nobody is told.
    pub(super) fn stream(status: StatusCode, chunks: Vec<Bytes>, end: End) -> Self {
        Self {
            status,
            headers: Vec::new(),
            chunks,
            length: None,
            end,
            endless: None,
            silence: Duration::ZERO,
        }
    }

    /// A body without end.
    pub(super) fn endless(status: StatusCode, chunk: Bytes) -> Self {
        Self {
            endless: Some(chunk),
            ..Self::stream(status, Vec::new(), End::Never)
        }
    }

    /// The head behind which the connection is a WebSocket.
    pub(super) fn upgrade(headers: Vec<Field>) -> Self {
        Self {
            headers,
            ..Self::new(StatusCode::SWITCHING_PROTOCOLS, Vec::new())
        }
    }

    /// Stops the body in the middle: at half its chunks, or half its bytes where it is one chunk.
    pub(super) fn cut(&mut self, end: End) {
        match self.chunks.as_mut_slice() {
            [only] => only.truncate(only.len() / 2),
            chunks => {
                let half = chunks.len() / 2;
                self.chunks.truncate(half);
            }
        }
        self.end = end;
    }

    /// The whole body, as far as it is to be sent.
    pub(super) fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The response for hyper, whose body waits `pace` before each chunk but the first.
    pub(super) fn into_response(self, pace: Duration) -> Response<Chunks> {
        let mut response = Response::new(Chunks {
            rest: self.chunks.into_iter(),
            length: self.length,
            pace,
            timer: (!self.silence.is_zero()).then(|| Box::pin(sleep(self.silence))),
            end: self.end,
            endless: self.endless,
            flushed: false,
        });
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// What comes after the last chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The end of the body.
    Clean,
    /// The end of the connection.
    Broken,
    /// Nothing, ever.
    Never,
}

/// A body whose chunks are ready in memory. Sending one takes no lock and copies nothing.
pub(super) struct Chunks {
    rest: std::vec::IntoIter<Bytes>,
    length: Option<u64>,
    pace: Duration,
    /// What the next chunk waits for; set anew for each one after the first.
    timer: Option<Pin<Box<Sleep>>>,
    end: End,
    endless: Option<Bytes>,
    flushed: bool,
}

impl Chunks {
    fn finish(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.end {
            End::Clean => Poll::Ready(None),
            End::Never => Poll::Pending,
            // hyper flushes when a body has nothing ready, and drops what it has not flushed on an error.
            End::Broken if !self.flushed => {
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Broken => Poll::Ready(Some(Err(Cut))),
        }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.rest.as_slice().is_empty() {
            if let Some(chunk) = &self.endless {
                return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
            }
            return self.finish(context);
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
        }
        let chunk = self.rest.next();
        if !self.pace.is_zero() {
            let pace = self.pace;
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(Instant::now() + pace),
                None => self.timer = Some(Box::pin(sleep(pace))),
            }
        }
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.end == End::Clean && self.rest.as_slice().is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The body ends here although it is not complete.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script cuts the body here")
    }
}

impl Error for Cut {}
