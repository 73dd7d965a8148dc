//! What a session's octets travel on: a student's TCP connection, or any stream that labctl itself brings.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::protocol::line::Framer;

/// A connection. Dropping it closes it.
pub(super) trait Wire: Send {
    /// Reads what has come, or waits; 0 when the other end has closed.
    fn read(&mut self, framer: &mut Framer) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes all of it.
    fn write(&mut self, octets: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

impl Wire for TcpStream {
    async fn read(&mut self, framer: &mut Framer) -> io::Result<usize> {
        // Room is made when something has come: a session that waits holds no buffer.
        self.readable().await?;
        self.read_buf(framer.buffer()).await
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.write_all(octets).await
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
