//! What the relay costs a request over HTTP, beside nginx and HAProxy, in front of one backend.

use std::time::{Duration, Instant};

use super::backend::{Backend, Kind};
use super::client::{self, Client};
use super::ways::{Way, memory};
use super::{Result, ms};

/// The ways take turns, so that what else the machine does is shared out.
const ROUNDS: usize = 5;
/// One of them, of each way.
const ROUND: Duration = Duration::from_millis(700);
const STREAMS: usize = 1000;
/// Of the long answer.
const AT_ONCE: usize = 4;
const STARTS: usize = 9;

pub(super) async fn measure(backend: &Backend, ways: &[Way]) -> Result<()> {
    println!("a short answer: median of {ROUNDS} rounds, p50 and p99 of all requests");
    for at_once in [1, 10, 100] {
        short(ways, Kind::Short, at_once).await?;
    }
    if backend.certificate.is_some() {
        println!("the same, each over a connection of its own to the backend");
        short(ways, Kind::Closing, 10).await?;
    }
    long(ways).await?;
    memories(ways).await
}

/// What one way needed.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Of a request in microseconds, and the part of it that is not the system's.
    processor: Option<(f64, f64)>,
}

async fn short(ways: &[Way], kind: Kind, at_once: usize) -> Result<()> {
    println!("  {at_once} at once    requests/s    p50 ms    p99 ms   processor us (user)");
    let mut all = vec![Vec::new(); ways.len()];
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for ((way, rounds), times) in ways.iter().zip(&mut all).zip(&mut times) {
            let before = way.processor()?;
            let round = client::round(way, kind, at_once, ROUND).await?;
            let spent = way.processor()?.since(before);
            let count = round.times.len() as f64;
            rounds.push((count / round.took.as_secs_f64(), spent.each(count)));
            times.extend(round.times);
        }
    }
    let mut figures = Vec::new();
    for ((way, rounds), mut times) in ways.iter().zip(all).zip(times) {
        times.sort_unstable();
        let of = |part: fn(&(f64, (f64, f64))) -> f64| median(rounds.iter().map(part).collect());
        let has_process = way.process.is_some();
        figures.push(Figures {
            rate: of(|round| round.0),
            p50: ms(times[times.len() / 2]),
            p99: ms(times[times.len() * 99 / 100]),
            processor: has_process.then(|| (of(|round| round.1.0), of(|round| round.1.1))),
        });
    }
    for (way, figures) in ways.iter().zip(&figures) {
        let processor = figures
            .processor
            .map(|(all, user)| format!("{all:8.1} ({user:.1})"));
        println!(
            "    {:10} {:12.0} {:9.3} {:9.3}   {}",
            way.name,
            figures.rate,
            figures.p50,
            figures.p99,
            processor.unwrap_or_default()
        );
    }
    compare(ways, &figures, at_once);
    Ok(())
}

fn compare(ways: &[Way], figures: &[Figures], at_once: usize) {
    let of = |name| {
        let index = ways.iter().position(|way| way.name == name)?;
        figures.get(index)
    };
    if let (Some(relay), Some(nginx)) = (of("relay"), of("nginx")) {
        let target = if at_once == 1 { 0.8 } else { 0.7 };
        println!(
            "    relay beside nginx: {:.2} of its rate (target {target}), {:.2} of its p99 (target 1.2)",
            relay.rate / nginx.rate,
            relay.p99 / nginx.p99,
        );
    }
}

async fn long(ways: &[Way]) -> Result<()> {
    println!(
        "long answers, {AT_ONCE} at once: MB/s, processor ms/MB (target of the relay: 800 MB/s)"
    );
    let mut all = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (way, rounds) in ways.iter().zip(&mut all) {
            let before = way.processor()?;
            let round = client::round(way, Kind::Long, AT_ONCE, ROUND).await?;
            let megabytes = round.bytes as f64 / 1e6;
            let spent = way.processor()?.since(before).each(megabytes).0;
            rounds.push((megabytes / round.took.as_secs_f64(), spent / 1e3));
        }
    }
    for (way, rounds) in ways.iter().zip(all) {
        let rate = median(rounds.iter().map(|round| round.0).collect());
        let spent = median(rounds.iter().map(|round| round.1).collect());
        println!("    {:10} {rate:12.0} {spent:9.3}", way.name);
    }
    Ok(())
}

/// Before anything was asked would be another figure: this is of what has worked for a while.
async fn memories(ways: &[Way]) -> Result<()> {
    println!("memory, idle and with {STREAMS} open streams: MiB (target of the relay: 40)");
    for way in ways {
        let Some(process) = &way.process else {
            continue;
        };
        let question = client::question(way, Kind::Stalled);
        let idle = memory(process.id())?;
        let mut open = Vec::with_capacity(STREAMS);
        for _ in 0..STREAMS {
            let mut client = Client::connect(way).await?;
            client.open(&question).await?;
            open.push(client);
        }
        println!(
            "    {:10} {idle:12.1} {:9.1}",
            way.name,
            memory(process.id())?
        );
    }
    Ok(())
}

/// From the start of a program to the end of its first answer.
pub(super) async fn starts(ways: &[&dyn Fn() -> Result<Way>]) -> Result<()> {
    println!("from the start to the first answer, p50 of {STARTS}: ms");
    let mut all = vec![Vec::new(); ways.len()];
    let mut names = Vec::new();
    for _ in 0..STARTS {
        for (start, times) in ways.iter().zip(&mut all) {
            let started = Instant::now();
            let way = start()?;
            let question = client::question(&way, Kind::Short);
            Client::connect(&way).await?.ask(&question).await?;
            times.push(ms(started.elapsed()));
            names.push(way.name);
        }
    }
    for (name, times) in names.iter().zip(all) {
        println!("    {name:10} {:12.1}", median(times));
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
