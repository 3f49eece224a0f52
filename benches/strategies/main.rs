//! Which strategy? `cargo bench --bench strategies` plays a month with each, for two, three and six
//! accounts whose weeks end together or one after the other, of one plan or of two, with three kinds
//! of work that ask for less than all quota or for more, and prints what came of it: once without a reserve, and once with one of 10 %.
//!
//! `tests/strategies.rs` keeps README, the page and the picture to the same figures.

#![allow(
    clippy::expect_used,
    reason = "what is read here is written here, beside it"
)]
#![allow(dead_code, reason = "each of the bench and the test uses a part")]

mod load;
mod month;
pub(crate) mod plot;
pub(crate) mod report;

use load::Load;

fn main() {
    println!("A month, on the average of 24 pools: without a reserve / with 10 % kept.\n");
    for (load, name) in Load::ALL {
        println!("{name}\n{}", report::plain(&report::rows(&[load])));
    }
    println!(
        "all of it\n{}",
        report::plain(&report::rows(&report::loads()))
    );
}
