//! The control API: how `labctl` speaks to the process that serves a lab. HTTP/1.1 over a Unix socket that only its owner
//! can open; nothing of it listens on a network, so no student can reach it.
//!
//! | route | |
//! |---|---|
//! | `GET /v1/status?injected=true` | [`Status`]: the process and every server in it, and what was injected if asked |
//! | `PUT /v1/servers/GROUP` | a `ServerConfig`: starts the server, or gives it its new configuration |
//! | `DELETE /v1/servers/GROUP` | stops the server; its store stays |
//! | `GET /v1/servers/GROUP/events?after=N&follow=true` | events as NDJSON, with `follow` for as long as both live, and `{"trouble":…}` while the store cannot be written, `null` when it can again |
//! | `GET /v1/servers/GROUP/messages/N` | one message as it is stored |
//! | `GET /v1/servers/GROUP/store` | a copy of the whole store as of now, an SQLite file |
//! | `POST /v1/servers/GROUP/disconnect` | a [`Disconnect`]: ends a student's sessions: [`Disconnected`] |
//! | `POST /v1/servers/GROUP/reset` | a [`Reset`]: students start their next run |
//! | `GET /v1/servers/GROUP/queue` | [`Queue`]: the mail that waits for other servers |
//! | `POST /v1/servers/GROUP/queue?domain=DOMAIN` | tries it now, all of it or that for a domain: [`Tried`] |
//! | `GET /v1/servers/GROUP/faults` | which faults each student meets, and how often they struck |
//! | `POST /v1/servers/GROUP/faults` | [`FaultChanges`]: sets faults and clears them |
//! | `GET /v1/servers/GROUP/smtp?mail=ID&student=LOGIN` | with `Upgrade: smtp`: an SMTP session for injected mail |
//! | `POST /v1/stop` | ends sessions, commits, and ends the process |
//!
//! What goes wrong comes back as a [`Problem`] with a status of 4xx or 5xx.

pub mod client;
pub mod dial;
pub mod host;
pub mod letters;
pub mod reach;
pub mod routes;
pub mod values;

pub use client::{Client, ClientError, Events, Followed};
pub use reach::{Dial, Dialing, Wire};
pub use values::{
    Disconnect, Disconnected, FaultChanges, Letters, Listening, Problem, Queue, Reset, ServerStatus, Status, Tried,
};
