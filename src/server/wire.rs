//! What octets travel on: a TCP connection in the clear or over TLS, a student's or one of our own to another server, or any stream
//! that labctl itself brings.

use std::{future::poll_fn, io, pin::pin, sync::Arc, task::Poll, time::Duration};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::coop::consume_budget,
    time::timeout,
};
use tokio_rustls::TlsStream;

use super::tls::{self, Secured};
use crate::protocol::line::Framer;

/// How long a client that reads nothing may keep a connection from being ended in the way of TLS.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection. Dropping it closes it.
pub(super) trait Wire: Send {
    /// Reads what has come, or waits; 0 when the other end has closed.
    fn read(&mut self, framer: &mut Framer) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes all of it.
    fn write(&mut self, octets: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Lets the other end know at once that what it sent has come, although nothing is answered to it yet.
    fn acknowledge(&self) {}
}

/// A connection on which we are the server.
pub(super) trait Accepted: Wire {
    /// Holds a TLS handshake; from then on everything goes over TLS. After a failure nothing goes at all.
    fn secure(&mut self, config: &Arc<ServerConfig>) -> impl Future<Output = io::Result<Secured>> + Send;

    /// Says in the way of TLS that nothing more will come (RFC 8446 6.1), where the connection is over TLS.
    fn finish(&mut self) -> impl Future<Output = ()> + Send;
}

/// A TCP connection.
#[derive(Debug)]
pub(super) enum Connection {
    /// In the clear.
    Clear(TcpStream),
    /// Over TLS.
    Secure(Box<TlsStream<TcpStream>>),
    /// In the middle of a handshake, or after one that failed.
    Gone,
}

impl Connection {
    /// Returns when the other end has something to say, or has gone, although it was not asked.
    pub(super) async fn disturbed(&self) {
        let stream = match self {
            Self::Clear(stream) => stream,
            Self::Secure(stream) => stream.get_ref().0,
            Self::Gone => return,
        };
        let _ = stream.readable().await;
    }
}

impl Wire for Connection {
    async fn read(&mut self, framer: &mut Framer) -> io::Result<usize> {
        match self {
            // Room is made when something has come: a session that waits holds no buffer.
            Self::Clear(stream) => {
                stream.readable().await?;
                stream.read_buf(framer.buffer()).await
            }
            Self::Secure(stream) => {
                if stream.get_ref().1.wants_read() {
                    stream.get_ref().0.readable().await?;
                }
                loop {
                    let read = {
                        let mut reading = pin!(stream.read_buf(framer.buffer()));
                        poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await
                    };
                    if let Poll::Ready(read) = read {
                        return read;
                    }
                    // What came was no data. A client that wants to negotiate anew waits for a no (RFC 5246 7.2.2), which otherwise
                    // would go with the next reply.
                    stream.flush().await?;
                    // A task that has had its turn sees nothing either, whatever there is: it gives way, then looks again.
                    consume_budget().await;
                    // Or it was the beginning of a record.
                    acknowledge(stream.get_ref().0);
                    stream.get_ref().0.readable().await?;
                }
            }
            Self::Gone => Ok(0),
        }
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(octets).await,
            Self::Secure(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn acknowledge(&self) {
        match self {
            Self::Clear(stream) => acknowledge(stream),
            Self::Secure(stream) => acknowledge(stream.get_ref().0),
            Self::Gone => {}
        }
    }
}

/// Sends the acknowledgement of TCP that otherwise waits up to 40 ms for an answer to go with: a client whose line comes in two
/// writes holds the second one back until the first is acknowledged (RFC 896, RFC 9293 3.8.6.3). The system forgets it with the next
/// segment, so it is said each time.
pub(super) fn acknowledge(stream: &TcpStream) {
    // A connection that is gone fails when it is read.
    #[cfg(target_os = "linux")]
    let _ = stream.set_quickack(true);
}

impl Accepted for Connection {
    async fn secure(&mut self, config: &Arc<ServerConfig>) -> io::Result<Secured> {
        match std::mem::replace(self, Self::Gone) {
            Self::Clear(stream) => {
                let (stream, secured) = tls::handshake(config, stream).await?;
                *self = Self::Secure(Box::new(stream.into()));
                Ok(secured)
            }
            Self::Secure(_) | Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    async fn finish(&mut self) {
        if let Self::Secure(stream) = self {
            // Whoever is gone already need not be told.
            let _ = timeout(FAREWELL, stream.shutdown()).await;
        }
    }
}

/// A connection that is lent.
impl<W: Wire> Wire for &mut W {
    fn read(&mut self, framer: &mut Framer) -> impl Future<Output = io::Result<usize>> + Send {
        (**self).read(framer)
    }

    fn write(&mut self, octets: &[u8]) -> impl Future<Output = io::Result<()>> + Send {
        (**self).write(octets)
    }

    fn acknowledge(&self) {
        (**self).acknowledge();
    }
}

/// A stream that is no TCP connection.
#[derive(Debug)]
pub(super) struct Stream<S>(pub(super) S);

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for Stream<S> {
    async fn read(&mut self, framer: &mut Framer) -> io::Result<usize> {
        self.0.read_buf(framer.buffer()).await
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.write_all(octets).await?;
        self.0.flush().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Accepted for Stream<S> {
    /// No session offers TLS to labctl itself.
    async fn secure(&mut self, _: &Arc<ServerConfig>) -> io::Result<Secured> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn finish(&mut self) {}
}
