//! The live page: lists the runs of a folder and follows one of them while it is being written.
//!
//! It only reads, reads afresh for every request, and hands out nothing but its own pages, a run's
//! `report.html` and its figures; a run that is deleted or rewritten under it is a sentence on the page. Pages are
//! rendered here, as fragments of HTML; the script only puts the newest fragment in place.

mod connections;
mod place;
mod progress;
mod views;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::error::ReportError;
use place::Place;
use views::Cache;

/// What every request needs.
struct Server {
    place: Place,
    /// The last evaluation figures of each run: they take long to draw and change rarely.
    cache: Mutex<Cache>,
    /// Whether only names of this machine are answered to (a page elsewhere cannot read through the browser).
    local: bool,
}

/// Serves the runs in a folder until `stop` is set. `ready` is told the address, which is `address` with
/// its port 0 replaced by a free one.
///
/// # Errors
/// If the folder does not exist or the address cannot be listened on.
pub fn serve(
    runs: &Path,
    address: SocketAddr,
    stop: &Arc<AtomicBool>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ReportError> {
    let place = Place::new(runs)?;
    let net = |source| ReportError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(net)?;
    listener.set_nonblocking(true).map_err(net)?;
    let bound = listener.local_addr().map_err(net)?;
    let server = Server { place, cache: Mutex::default(), local: bound.ip().is_loopback() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(net)?;
    let stop = Arc::clone(stop);
    let served = runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(net)?;
        ready(bound);
        connections::answer(listener, router(server), stop).await;
        Ok(())
    });
    // Not waiting for reads that are under way: what is read may never end.
    runtime.shutdown_background();
    served
}

fn router(server: Server) -> Router {
    let server = Arc::new(server);
    Router::new()
        .route("/", get(|| async { views::shell("Runs", "/live") }))
        .route("/live", get(list))
        .route("/live.js", get(|| async { script(include_str!("../../templates/live.js")) }))
        .route("/report.js", get(|| async { script(include_str!("../../templates/report.js")) }))
        .route("/run/{name}", get(run))
        .route("/run/{name}/live", get(follow))
        .route("/run/{name}/report.html", get(report))
        .route("/run/{name}/figures/{file}", get(figure))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), guard))
        .with_state(server)
}

fn script(text: &'static str) -> Response<Body> {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], text).into_response()
}

async fn list(State(server): State<Arc<Server>>) -> Response<Body> {
    apart(move || views::list(&server.place, &server.cache)).await
}

async fn run(State(server): State<Arc<Server>>, UrlPath(name): UrlPath<String>) -> Response<Body> {
    if server.place.run(&name).is_none() {
        return missing();
    }
    views::shell(&name, &format!("/run/{}/live", views::encode(&name))).into_response()
}

async fn follow(State(server): State<Arc<Server>>, UrlPath(name): UrlPath<String>) -> Response<Body> {
    apart(move || {
        let Some(path) = server.place.run(&name) else { return missing() };
        views::follow(&name, &path, &server.cache)
    })
    .await
}

async fn report(State(server): State<Arc<Server>>, UrlPath(name): UrlPath<String>) -> Response<Body> {
    apart(move || file(&server.place, &name, "report.html", "text/html; charset=utf-8")).await
}

/// What a report links to beside it.
async fn figure(
    State(server): State<Arc<Server>>,
    UrlPath((name, figure)): UrlPath<(String, String)>,
) -> Response<Body> {
    let kind = match figure.rsplit_once('.') {
        Some((_, "csv")) => "text/csv; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => return missing(),
    };
    if figure.contains(['/', '\\', '\0']) {
        return missing();
    }
    apart(move || file(&server.place, &name, &format!("figures/{figure}"), kind)).await
}

/// A file of a run, if it is truly there.
fn file(place: &Place, name: &str, path: &str, kind: &'static str) -> Response<Body> {
    let found = place.run(name).and_then(|run| place.inside(&run.join(path)));
    match found.and_then(|path| connections::stream(&path)) {
        Some(body) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        None => missing(),
    }
}

/// Reading and drawing, off the thread that answers.
async fn apart<R: IntoResponse + Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Response<Body> {
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response.into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made").into_response(),
    }
}

fn missing() -> Response<Body> {
    (StatusCode::NOT_FOUND, "there is nothing here").into_response()
}

/// What a page may load and run: the scripts of this server, and none that stands in the page.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// A report is one file with its script in it, and asks for nothing.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Refuses names of other machines when only this one is served, and tells browsers to load nothing from elsewhere.
async fn guard(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
    if server.local && !host.is_some_and(is_local) {
        return (StatusCode::FORBIDDEN, "only this machine is served").into_response();
    }
    let policy = if request.uri().path().ends_with("/report.html") { REPORT_POLICY } else { PAGE_POLICY };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a `Host` header names this machine, with or without a port.
fn is_local(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) if name.contains(':') => (name, port),
        Some(_) => return false,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let digits = port.strip_prefix(':').map(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let fits = digits.unwrap_or(port.is_empty());
    fits && (name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:80", "127.0.0.2", "[::1]:8080"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1",
            "",
            "[::2]",
            "127.0.0.1.example.org",
            "[::1].example.org",
            "[::1]example.org:80",
            "[127.0.0.1]",
            "localhost:80.example.org",
            "localhost:example.org",
            "[::1",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
