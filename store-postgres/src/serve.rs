//! Standard input and output, a line at a time. The end of the input is the end of the process,
//! whatever it is at: so its session ends, and what that held is free.

use std::io::{self, BufRead, Read, Write};
use std::thread;

use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::wire::{Answer, GREETING, LONGEST, Request, line};

/// Answers what is asked, until nobody asks any more.
pub(crate) async fn serve(settings: Result<Settings, settings::Error>) -> io::Result<()> {
    say(format!("{GREETING}\n").as_bytes())?;
    let mut lines = lines();
    let mut store = settings.map(Store::new).map_err(Failure::from);
    while let Some(request) = lines.recv().await {
        let answer = answer(&mut store, &request).await;
        say(&line(&answer))?;
    }
    Ok(())
}

async fn answer(store: &mut Result<Store, Failure>, request: &[u8]) -> Result<Answer, Failure> {
    let asked = Request::read(request)?.asked()?;
    match store {
        Ok(store) => store.answer(asked).await,
        Err(failure) => Err(failure.clone()),
    }
}

/// The lines of the input, read beside everything else.
fn lines() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = (&mut input).take(LONGEST).read_until(b'\n', &mut line);
            if read.is_err() || !line.ends_with(b"\n") {
                // Nobody waits for an answer; or it is longer than any line.
                std::process::exit(0);
            }
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(line: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(line)?;
    output.flush()
}
