//! The roles turned round (ATRN, RFC 2645 5.3): whoever logged in has asked for the mail of its domain, and gets it over the
//! connection that it opened, on which we are the client from then on.

use std::sync::Arc;

use super::{
    super::{Shared, wire::Wire},
    courier::{Courier, Sending},
    line,
};
use crate::protocol::outgoing::Tried;

/// Sends what waits for `domain` over `wire`, whose other end has said `early` already, and says goodbye. How many recipients
/// wait still. Meanwhile nobody else tries this domain.
pub(in crate::server) async fn turned<W: Wire>(
    server: &Arc<Shared>,
    wire: &mut W,
    early: Vec<u8>,
    domain: String,
) -> usize {
    server.relay.lanes.taken(&domain);
    let config = Arc::clone(&server.settings().config);
    if let Ok(mut line) = line::on(wire, early, &config).await {
        let tried = Tried { name: domain.clone(), ..Tried::default() };
        let mut courier = Courier::new(Arc::clone(server), domain.clone());
        // What came back is not sent twice in one conversation.
        server.relay.lanes.hurry(Some(&domain), server.clock.now().steady());
        let ended = loop {
            match courier.next(&mut line, &tried).await {
                Sending::Sent => {}
                Sending::Nothing => break false,
                Sending::Over => break true,
            }
        };
        if !ended {
            line.quit().await;
        }
    }
    server.relay.lanes.given_back(&domain);
    server.relay.arrivals.ring();
    server.relay.lanes.waiting(&domain)
}
