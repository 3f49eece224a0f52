//! An upstream written by hand: it answers with these very bytes, and keeps what it was asked as it
//! came. For what a proper server would never do, and what a client library would hide.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// What happens when it is asked once more.
pub(crate) struct Turn {
    say: Vec<u8>,
    then: Then,
}

/// What follows what it says.
pub(crate) enum Then {
    /// The connection stays open.
    Stay,
    /// The connection is closed in good order.
    Close,
    /// The connection is reset, once the test says so: what was said before is lost with it where
    /// nobody has read it yet.
    Reset(mpsc::Receiver<()>),
    /// More, so many times; then the connection stays open.
    Repeat(Vec<u8>, usize),
    /// More, until the client is gone.
    Forever(Vec<u8>),
}

impl Turn {
    /// Says this, and then that.
    pub(crate) fn new(say: impl Into<Vec<u8>>, then: Then) -> Turn {
        let say = say.into();
        Turn { say, then }
    }
}

/// See the module.
pub(crate) struct Wire {
    /// Where it is.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    turns: VecDeque<Turn>,
    asked: Vec<Asked>,
    connections: usize,
    gone: usize,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The request line and the headers.
    pub(crate) head: String,
    /// What followed, by `Content-Length`.
    pub(crate) body: Vec<u8>,
    /// The connection it came on, counted from one.
    pub(crate) connection: usize,
}

impl Asked {
    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

impl Wire {
    /// Answers with each of these in turn.
    pub(crate) fn new(turns: impl IntoIterator<Item = Turn>) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            turns: turns.into_iter().collect(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.expect("a connection"), Arc::clone(&shared));
                // How a connection ends is the test's business.
                thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Wire {
            url: format!("http://{address}/backend-api"),
            state,
        }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("a state").asked.clone()
    }

    /// How often it saw a client go.
    pub(crate) fn gone(&self) -> usize {
        self.state.lock().expect("a state").gone
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let connection = {
        let mut state = state.lock().expect("a state");
        state.connections += 1;
        state.connections
    };
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some((head, body)) = read_request(&mut reader)? {
        let turn = {
            let mut state = state.lock().expect("a state");
            state.asked.push(Asked {
                head,
                body,
                connection,
            });
            state.turns.pop_front().expect("one turn for each request")
        };
        stream.write_all(&turn.say)?;
        match turn.then {
            Then::Stay => {}
            Then::Close => return Ok(()),
            Then::Reset(told) => {
                let _ = told.recv();
                return reset(&stream);
            }
            Then::Repeat(more, times) => {
                for _ in 0..times {
                    stream.write_all(&more)?;
                }
            }
            Then::Forever(more) => {
                while stream.write_all(&more).is_ok() {}
                break;
            }
        }
    }
    state.lock().expect("a state").gone += 1;
    Ok(())
}

/// The next request; none when the connection is at its end.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().expect("a length"))
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

/// Ends a connection as a crash would.
fn reset(stream: &TcpStream) -> io::Result<()> {
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &linger)?;
    stream.shutdown(std::net::Shutdown::Both)
}
