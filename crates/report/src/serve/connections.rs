//! Connections, each with bounded patience: a client that says nothing, or reads nothing, keeps nobody waiting.

use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How often a waiting server looks whether it should stop, and how long it waits where it has no file handle left.
const LOOK: Duration = Duration::from_millis(200);
/// How long a client may take to say what it wants, and be silent before it says so again.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection may last.
const CONNECTION: Duration = Duration::from_mins(10);
/// How long answers may take that are under way when the server stops.
const LAST: Duration = Duration::from_secs(1);

/// Answers connections until `stop` is set.
pub(super) async fn answer(listener: TcpListener, router: Router, stop: Arc<AtomicBool>) {
    // Each connection holds a copy.
    let open = Arc::new(());
    while !stop.load(Ordering::Relaxed) {
        let stream = match timeout(LOOK, listener.accept()).await {
            Ok(Ok((stream, _))) => stream,
            // No file handle is left, or the client is gone already.
            Ok(Err(_)) => {
                sleep(LOOK).await;
                continue;
            }
            Err(_) => continue,
        };
        let (service, held) = (TowerToHyperService::new(router.clone()), Arc::clone(&open));
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            // What fails here is the client's affair.
            let _ = timeout(CONNECTION, connection).await;
            drop(held);
        });
    }
    drop(listener);
    let _ = timeout(LAST, async {
        while Arc::strong_count(&open) > 1 {
            sleep(LOOK / 10).await;
        }
    })
    .await;
}

/// Bytes of a file that are sent at once.
const PIECE: usize = 1 << 16;

/// A file as it is read: however large it is, a few pieces are in memory. `None` if it is no regular file. (A pipe would
/// keep its reader waiting for ever.)
pub(super) fn stream(path: &Path) -> Option<Body> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut file = file.take(length);
    let (send, receive) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let sent = match file.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    piece.truncate(length);
                    send.blocking_send(Ok(Bytes::from(piece)))
                }
                Err(error) => send.blocking_send(Err(error)),
            };
            if sent.is_err() {
                // The client is gone.
                return;
            }
        }
    });
    Some(Body::new(Pieces { receive, left: length }))
}

/// The pieces of a file as the body of an answer.
struct Pieces {
    receive: mpsc::Receiver<io::Result<Bytes>>,
    /// Bytes that are still to come.
    left: u64,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.receive.poll_recv(context).map(|piece| {
            piece.map(|piece| {
                piece.map(|bytes| {
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    Frame::data(bytes)
                })
            })
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    /// The clock of this test goes on by itself wherever nothing else is to be done.
    #[test]
    fn who_says_half_a_request_is_hung_up_on_and_others_are_answered() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
            tokio::spawn(answer(listener, router, Arc::default()));
            let begun = Instant::now();
            let mut half = TcpStream::connect(address).await.unwrap();
            half.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
            let mut whole = TcpStream::connect(address).await.unwrap();
            whole.write_all(b"GET / HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answered = String::new();
            whole.read_to_string(&mut answered).await.unwrap();
            assert!(answered.ends_with("here"), "{answered}");
            // Closed or reset, as the system has it.
            let _ = half.read_to_end(&mut Vec::new()).await;
            let patience = begun.elapsed();
            assert!((HEADERS..2 * HEADERS).contains(&patience), "{patience:?}");
        });
    }
}
