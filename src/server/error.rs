//! What can go wrong with a server.

use std::{io, net::SocketAddr};

use crate::{lab::Service, store::StoreError};

/// Why a server could not do something.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address is taken by another program.
    #[error("listen for {service} on `{address}`: the port is in use")]
    InUse {
        /// The service.
        service: Service,
        /// The address.
        address: SocketAddr,
    },
    /// An address cannot be listened on.
    #[error("listen for {service} on `{address}`: {source}")]
    Listen {
        /// The service.
        service: Service,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration names a dialect that there is not.
    #[error("the dialect `{0}` is unknown")]
    Dialect(String),
    /// The system gives no random octets.
    #[error("draw a seed from the system: {0}")]
    Seed(getrandom::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
