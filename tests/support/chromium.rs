//! A real browser at the end of a login: which page it ends on, how that looks, and what was asked
//! for.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use serde_json::Value;

use super::Home;

/// What the person prefers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    Dark,
    Light,
}

/// A page as the browser has it.
pub(crate) struct Page {
    /// The document, written out again by the browser.
    pub(crate) document: String,
    /// How it looks.
    pub(crate) brightness: Brightness,
    /// The addresses that were asked for on the way there and by the page, without their queries.
    pub(crate) asked: Vec<String>,
}

/// How bright the points of a picture are, 0 to 255.
#[derive(Debug)]
pub(crate) struct Brightness {
    /// In the corner.
    pub(crate) ground: u8,
    pub(crate) darkest: u8,
    pub(crate) brightest: u8,
}

impl Home {
    /// Runs a command that opens a browser, once, and waits for the browser to end.
    pub(crate) fn browse(&mut self, command: &str, scheme: Scheme) -> Page {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/chromium");
        self.set("BROWSER", script);
        let scheme = match scheme {
            Scheme::Dark => "0",
            Scheme::Light => "1",
        };
        self.set("SCHEME", scheme);
        let shown = self.sh(&format!("mkfifo page; {command} >&2; cat page"));
        Page {
            document: shown.stdout,
            brightness: brightness(&self.path().join("page.png")),
            asked: asked(&self.path().join("requests.json")),
        }
    }
}

fn brightness(picture: &Path) -> Brightness {
    let file = BufReader::new(File::open(picture).expect("a picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("not too large")];
    let info = reader.next_frame(&mut bytes).expect("a whole PNG");
    assert_eq!(info.bit_depth, png::BitDepth::Eight);
    // Red, green, blue and sometimes alpha; green says enough.
    let samples = info.color_type.samples();
    let green: Vec<u8> = bytes.chunks(samples).map(|pixel| pixel[1]).collect();
    Brightness {
        ground: green[0],
        darkest: *green.iter().min().expect("a pixel"),
        brightest: *green.iter().max().expect("a pixel"),
    }
}

fn asked(log: &Path) -> Vec<String> {
    let log = fs::read(log).expect("a log");
    let log: Value = serde_json::from_slice(&log).expect("a log of JSON");
    let events = log["events"].as_array().expect("events");
    events
        .iter()
        .map(|event| &event["params"])
        // Where a request begins there is its initiator; what the browser asks for itself, at home
        // to look for news, belongs to no page.
        .filter(|it| !it["initiator"].is_null() && it["network_isolation_key"] != "null null")
        .filter_map(|request| request["url"].as_str()?.split('?').next())
        .map(str::to_owned)
        .collect()
}
