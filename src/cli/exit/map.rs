//! The one place that maps errors to exit codes.

use std::io;

use super::code::Code;
use super::error::Error;
use crate::account::response;
use crate::client::wiring;
use crate::oauth::{device, issuer, login, redeem, refresh, usage};
use crate::store;
use crate::store::helper::{self, Kind};

impl Error {
    /// How the command ends.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::ClosedPipe => Code::Done,
            Self::Own { code, .. } => *code,
            Self::Stream { .. } => Code::Io,
            Self::Select { .. } => Code::No,
            Self::Label(_) => Code::Usage,
            Self::Store(error) | Self::Wiring(wiring::Error::Store(error)) => of_store(error),
            Self::Wiring(wiring::Error::Setting { .. }) => Code::Config,
            Self::Response(response::Error::Empty) => Code::No,
            Self::Token(_) | Self::Response(_) => Code::Malformed,
            Self::Endpoint(_) => Code::Config,
            Self::Unreachable(_) => Code::Unavailable,
            Self::Issuer(error) => of_issuer(error),
            Self::Login(error) => of_login(error),
            Self::Refresh(error) => of_refresh(error),
            Self::Usage(error) => of_usage(error),
            Self::Redeem(error) => match error {
                redeem::Error::Usage(error) => of_usage(error),
                redeem::Error::Store(error) => of_store(error),
                redeem::Error::Journal { .. } => Code::Config,
                redeem::Error::NotKept { .. } => Code::Io,
                redeem::Error::Unclear { .. } => Code::Unavailable,
                redeem::Error::Refused { .. } => Code::Refused,
            },
        }
    }
}

fn of_usage(error: &usage::Error) -> Code {
    match error {
        usage::Error::Refresh(error) => of_refresh(error),
        usage::Error::NotAccepted { .. } | usage::Error::Refused { .. } => Code::Refused,
        usage::Error::Unreachable { .. } | usage::Error::Nonsense { .. } => Code::Unavailable,
    }
}

fn of_refresh(error: &refresh::Error) -> Code {
    match error {
        refresh::Error::LoginRequired { .. } => Code::Refused,
        refresh::Error::Gone { .. } => Code::No,
        refresh::Error::Issuer { .. } | refresh::Error::BackingOff { .. } => Code::Unavailable,
        refresh::Error::UsedUp { .. } => Code::Refused,
        refresh::Error::Journal(unreadable) => of_io(&unreadable.source).unwrap_or(Code::Config),
        refresh::Error::Store(source) | refresh::Error::Uncommitted { source, .. } => {
            of_store(source)
        }
        refresh::Error::Lost { .. } => Code::Io,
    }
}

fn of_issuer(error: &issuer::Error) -> Code {
    match error {
        issuer::Error::Dead { .. } | issuer::Error::Refused { .. } => Code::Refused,
        issuer::Error::Unreachable(_)
        | issuer::Error::Nonsense { .. }
        | issuer::Error::OfAnother
        | issuer::Error::Unusable => Code::Unavailable,
    }
}

fn of_login(error: &login::Error) -> Code {
    match error {
        login::Error::Denied { .. } | login::Error::NoCode => Code::Refused,
        login::Error::Cancelled | login::Error::NoAnswer => Code::No,
        login::Error::TimedOut | login::Error::Device(device::Error::Expired) => Code::TryLater,
        login::Error::Unusable(_) => Code::Malformed,
        login::Error::Callback(_) => Code::Io,
        login::Error::Device(device::Error::Off) => Code::Unavailable,
        login::Error::Issuer(error) | login::Error::Device(device::Error::Issuer(error)) => {
            of_issuer(error)
        }
        login::Error::Store(error) => of_store(error),
    }
}

fn of_store(error: &store::Error) -> Code {
    match error {
        store::Error::Missing { .. } => Code::No,
        store::Error::Format { .. } | store::Error::NoHome => Code::Config,
        store::Error::Exposed { .. } => Code::Refused,
        store::Error::Locked { .. } => Code::TryLater,
        store::Error::Helper(error) => of_helper(error.kind),
        store::Error::Io { source, .. } => of_io(source).unwrap_or(Code::Io),
        store::Error::NoLocks { .. } => Code::Io,
    }
}

/// What a store's helper said, where it keeps more than the document.
fn of_io(error: &io::Error) -> Option<Code> {
    let inner = error.get_ref()?;
    let helper: &helper::Error = inner.downcast_ref()?;
    Some(of_helper(helper.kind))
}

const fn of_helper(kind: Kind) -> Code {
    match kind {
        Kind::Unavailable | Kind::Unclear => Code::Unavailable,
        Kind::Locked | Kind::Conflict => Code::TryLater,
        Kind::Denied => Code::Refused,
        Kind::Config | Kind::Unknown => Code::Config,
        Kind::Full | Kind::Failed => Code::Io,
    }
}
