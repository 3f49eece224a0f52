//! What a view on a terminal is told, whatever the system calls it.

/// What a person on a terminal, or the system, wants of a program that shows something there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It ends.
    End,
    /// The terminal has another size.
    Resize,
    /// It stops, until it is woken.
    Stop,
}
