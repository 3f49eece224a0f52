//! What the issuer is asked: logins, device logins, refreshes, revocation. Each result goes to the
//! store before anything else happens with it, since a refresh token is single use.

pub mod device;
pub mod issuer;
pub mod login;
pub mod mirror;
pub mod redeem;
pub mod refresh;
pub mod usage;
