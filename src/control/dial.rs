//! Standard input and output joined to a control socket, as `docker system dial-stdio` does it: how an engine whose servers
//! live elsewhere reaches them.

use std::{io, path::Path};

use tokio::{io::copy, net::UnixStream};

/// Copies until the socket's side has said all it has to say.
pub async fn stdio(socket: &Path) -> io::Result<()> {
    let (mut from_socket, mut to_socket) = UnixStream::connect(socket).await?.into_split();
    let up = tokio::spawn(async move {
        copy(&mut tokio::io::stdin(), &mut to_socket).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut to_socket).await
    });
    let down = copy(&mut from_socket, &mut tokio::io::stdout()).await;
    up.abort();
    down.map(drop)
}
