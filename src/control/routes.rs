//! The routes of the control API: from HTTP to [`Host`] and back, and nothing else.

use std::{convert::Infallible, io::Read as _, ops::ControlFlow, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    host::Host,
    values::{Delivered, Disconnect, Disconnected, FaultChanges, Letters, Problem, Queue, Reset, Status, Tried},
};
use crate::{
    evidence::{MessageId, Seq},
    lab::ServerConfig,
    protocol::fault::Standing,
    store::{Reader, Store, Trouble},
};

/// The largest request: the configuration of the largest group is a hundredth of it.
const MAX_REQUEST: usize = 4 << 20;

/// The largest batch of letters: of [`super::letters::BATCH`] octets, or one letter of 2 MiB and its header, each octet of
/// which takes at most six in JSON.
const MAX_LETTERS: usize = 32 << 20;

/// Octets of NDJSON that are sent at once.
const CHUNK: usize = 64 << 10;

/// Chunks that may wait for a slow reader.
const CHUNKS: usize = 4;

/// The routes.
pub fn router(host: Arc<Host>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/servers/{group}", put(put_server).delete(delete_server))
        .route("/v1/servers/{group}/events", get(events))
        .route("/v1/servers/{group}/messages/{number}", get(message))
        .route("/v1/servers/{group}/store", get(store))
        .route("/v1/servers/{group}/disconnect", post(disconnect))
        .route("/v1/servers/{group}/reset", post(reset))
        .route("/v1/servers/{group}/queue", get(queue).post(try_queue))
        .route("/v1/servers/{group}/faults", get(faults).post(change_faults))
        .route("/v1/servers/{group}/letters", post(letters).layer(DefaultBodyLimit::max(MAX_LETTERS)))
        .route("/v1/flush", post(flush))
        .route("/v1/stop", post(stop))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(host)
}

type Answer<T> = Result<T, Problem>;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = if self.in_use.is_some() { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
        (status, Json(self)).into_response()
    }
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    injected: bool,
}

async fn status(State(host): State<Arc<Host>>, Query(wanted): Query<Wanted>) -> Answer<Json<Status>> {
    host.status(wanted.injected).await.map(Json)
}

async fn put_server(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Json(config): Json<ServerConfig>,
) -> Answer<StatusCode> {
    if config.group.as_str() != group {
        let error = format!("the configuration of group `{}` was sent to group `{group}`", config.group);
        return Err(Problem::new(error));
    }
    host.put(config).await.map(|()| StatusCode::NO_CONTENT)
}

async fn delete_server(State(host): State<Arc<Host>>, Path(group): Path<String>) -> Answer<StatusCode> {
    host.delete(&group).await.map(|()| StatusCode::NO_CONTENT)
}

async fn reset(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Json(reset): Json<Reset>,
) -> Answer<StatusCode> {
    host.reset(&group, reset).await.map(|()| StatusCode::NO_CONTENT)
}

async fn disconnect(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Json(wanted): Json<Disconnect>,
) -> Answer<Json<Disconnected>> {
    host.disconnect(&group, wanted).await.map(Json)
}

async fn queue(State(host): State<Arc<Host>>, Path(group): Path<String>) -> Answer<Json<Queue>> {
    host.queue(&group).map(Json)
}

#[derive(Deserialize)]
struct For {
    domain: Option<String>,
}

async fn try_queue(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Query(only): Query<For>,
) -> Answer<Json<Tried>> {
    host.try_queue(&group, only.domain.as_deref()).map(Json)
}

async fn faults(State(host): State<Arc<Host>>, Path(group): Path<String>) -> Answer<Json<Vec<Standing>>> {
    host.faults(&group).map(Json)
}

async fn change_faults(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Json(changes): Json<FaultChanges>,
) -> Answer<StatusCode> {
    host.change_faults(&group, changes).await.map(|()| StatusCode::NO_CONTENT)
}

async fn flush(State(host): State<Arc<Host>>) -> Answer<StatusCode> {
    host.flush().await.map(|()| StatusCode::NO_CONTENT)
}

async fn stop(State(host): State<Arc<Host>>) -> StatusCode {
    host.stop();
    StatusCode::ACCEPTED
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    after: Seq,
    #[serde(default)]
    follow: bool,
}

async fn events(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Query(which): Query<Which>,
) -> Answer<Response> {
    let store = host.server(&group)?.store().clone();
    let (send, receive) = mpsc::channel(CHUNKS);
    tokio::spawn(follow(store, which, send));
    let body = Body::from_stream(ReceiverStream::new(receive));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], body).into_response())
}

type Chunks = mpsc::Sender<Result<Bytes, Infallible>>;

/// A line among the events that tells whether the store can be written.
#[derive(Serialize)]
struct Health {
    trouble: Option<Trouble>,
}

/// Sends what is recorded and, if asked, what is recorded later, until the reader or the store is gone.
async fn follow(store: Store, which: Which, send: Chunks) {
    let (mut committed, mut trouble) = (store.subscribe(), store.trouble());
    if which.follow && trouble.borrow().is_some() {
        trouble.mark_changed();
    }
    let Ok(mut reader) = Reader::open(store.path()) else { return };
    // The stream must not keep the store alive: its end is how the reader learns that the server has ended.
    drop(store);
    let mut after = which.after;
    loop {
        committed.borrow_and_update();
        let chunks = send.clone();
        let read = tokio::task::spawn_blocking(move || {
            let last = read_events(&reader, after, &chunks);
            (reader, last)
        });
        match read.await {
            Ok((same, Some(last))) => (reader, after) = (same, last),
            Ok((_, None)) | Err(_) => return,
        }
        if !which.follow {
            return;
        }
        let lives = tokio::select! {
            lives = committed.changed() => lives.is_ok(),
            lives = trouble.changed() => {
                let line = Health { trouble: trouble.borrow_and_update().clone() };
                let line = serde_json::to_string(&line).expect("a time, a text and a number");
                lives.is_ok() && send.send(Ok(Bytes::from(line + "\n"))).await.is_ok()
            }
        };
        if !lives {
            return;
        }
    }
}

/// Sends the events after a number; the last one's number, or nothing where the reader is gone or the store cannot be read.
fn read_events(reader: &Reader, after: Seq, send: &Chunks) -> Option<Seq> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut gone = false;
    let last = reader.events(after, &mut |event| {
        serde_json::to_writer(&mut chunk, &event).expect("an event has only names, texts and numbers");
        chunk.push(b'\n');
        if chunk.len() < CHUNK {
            return ControlFlow::Continue(());
        }
        gone = send.blocking_send(Ok(Bytes::from(std::mem::take(&mut chunk)))).is_err();
        if gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if !gone && !chunk.is_empty() {
        gone = send.blocking_send(Ok(Bytes::from(chunk))).is_err();
    }
    last.ok().filter(|_| !gone)
}

/// One message as it is stored; no content where there is none of this number.
async fn message(State(host): State<Arc<Host>>, Path((group, number)): Path<(String, u64)>) -> Answer<Response> {
    let store = host.server(&group)?.store().clone();
    let read = tokio::task::spawn_blocking(move || Reader::open(store.path())?.message(MessageId(number)));
    let read = read.await.map_err(|problem| Problem::new(problem.to_string()))?;
    let message = read.map_err(|problem| Problem::new(problem.to_string()))?;
    Ok(message.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |message| message.octets.into_response()))
}

/// The whole store as of one moment. The copy is made beside it, because a server's volume is all that it can write to.
async fn store(State(host): State<Arc<Host>>, Path(group): Path<String>) -> Answer<Response> {
    let store = host.server(&group)?.store().clone();
    let told = |problem: &dyn std::fmt::Display| Problem::new(problem.to_string());
    store.flush().await.map_err(|problem| told(&problem))?;
    let path = store.path().to_owned();
    drop(store);
    let copied = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir_in(path.parent().unwrap_or(&path)).map_err(|problem| told(&problem))?;
        let copy = folder.path().join("copy.sqlite");
        Reader::open(&path).and_then(|reader| reader.copy_to(&copy)).map_err(|problem| told(&problem))?;
        // The file lives on without its name until it is read.
        std::fs::File::open(&copy).map_err(|problem| told(&problem))
    });
    let file = copied.await.unwrap_or_else(|problem| Err(told(&problem)))?;
    let (send, receive) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || send_file(file, &send));
    let body = Body::from_stream(ReceiverStream::new(receive));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.sqlite3"))], body).into_response())
}

/// Sends a file until its end or until the reader is gone. What cannot be read breaks the answer off.
fn send_file(mut file: std::fs::File, send: &mpsc::Sender<std::io::Result<Bytes>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                if send.blocking_send(Ok(Bytes::from(chunk))).is_err() {
                    return;
                }
            }
            Err(problem) => {
                let _ = send.blocking_send(Err(problem));
                return;
            }
        }
    }
}

async fn letters(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Json(letters): Json<Letters>,
) -> Answer<Json<Delivered>> {
    host.deliver(&group, letters).await.map(Json)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use tower_service::Service as _;

    use super::*;

    /// What a request whose body is this JSON and blanks, so many octets together, is answered.
    async fn answered(path: &str, json: &str, octets: usize) -> StatusCode {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path().to_owned(), false);
        let body = format!("{json}{}", " ".repeat(octets - json.len()));
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json").body(Body::from(body));
        router(host).call(request.unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn requests_have_a_limit_and_letters_one_of_their_own() {
        for (what, json, limit) in [
            ("letters", r#"{"again":false,"letters":[]}"#, MAX_LETTERS),
            ("reset", r#"{"students":[],"whole_group":false}"#, MAX_REQUEST),
        ] {
            let path = format!("/v1/servers/g01/{what}");
            // What is read is refused only because no such server runs.
            assert_eq!(answered(&path, json, limit).await, StatusCode::BAD_REQUEST, "{what}");
            assert_eq!(answered(&path, json, limit + 1).await, StatusCode::PAYLOAD_TOO_LARGE, "{what}");
        }
    }
}
