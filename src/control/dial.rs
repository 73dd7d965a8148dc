//! Two streams joined to a control socket, as `docker system dial-stdio` does it: how an engine whose servers live elsewhere
//! reaches them.

use std::{io, path::Path};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy},
    net::UnixStream,
};

/// Copies until the socket's side has said all it has to say.
pub async fn join(
    socket: &Path,
    mut input: impl AsyncRead + Send + Unpin + 'static,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (mut from_socket, mut to_socket) = UnixStream::connect(socket).await?.into_split();
    let up = tokio::spawn(async move {
        copy(&mut input, &mut to_socket).await?;
        to_socket.shutdown().await
    });
    let down = copy(&mut from_socket, &mut output).await;
    up.abort();
    down?;
    output.flush().await
}
