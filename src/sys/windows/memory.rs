//! The memory of this process. Windows keeps no dump of a program unless the person set it to, and
//! no switch of the program's own forbids that.

/// Hides the memory of this process: nothing can be done.
pub fn hide() {}

/// Hides it for good: nothing can be done.
pub fn hide_for_good() {}
