//! Two streams joined to a control socket, as `docker system dial-stdio` does it: how an engine whose servers live elsewhere
//! reaches them.

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy},
    net::UnixStream,
    time::{Instant, sleep},
};

/// How often it is looked whether a server that is starting listens already.
const LOOK: Duration = Duration::from_millis(5);

/// Copies until the socket's side has said all it has to say. A socket where nobody listens yet is waited for.
pub async fn join(
    socket: &Path,
    wait: Duration,
    mut input: impl AsyncRead + Send + Unpin + 'static,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let deadline = Instant::now() + wait;
    let stream = loop {
        match UnixStream::connect(socket).await {
            Err(_) if Instant::now() < deadline => sleep(LOOK).await,
            connected => break connected?,
        }
    };
    let (mut from_socket, mut to_socket) = stream.into_split();
    let up = tokio::spawn(async move {
        copy(&mut input, &mut to_socket).await?;
        to_socket.shutdown().await
    });
    let down = copy(&mut from_socket, &mut output).await;
    up.abort();
    down?;
    output.flush().await
}
