//! Any bytes as a request to the live page, its line and headers included: the server answers the next visitor.
#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, OnceLock, mpsc};

use libfuzzer_sys::fuzz_target;

const RUNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/runs/tests/fixtures");

fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let ready = |address| send.send(address).expect("the fuzzer listens");
            tercet_report::serve::serve(Path::new(RUNS), any, &Arc::default(), ready)
        });
        receive.recv().expect("the server starts")
    })
}

fn ask(request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server()).expect("the server listens");
    // A server that has heard enough may hang up.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fuzz_target!(|bytes: &[u8]| {
    let answer = ask(bytes);
    assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    let next = ask(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(next.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&next));
});
