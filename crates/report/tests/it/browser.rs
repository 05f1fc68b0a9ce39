//! The pages in a real browser, where one is installed (Debian's `chromium`); elsewhere the tests say so and pass.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::Synthetic;
use crate::live::Live;

/// Appended to the report: uses it as a reader would and leaves what it found in the document.
const VISITOR: &str = include_str!("visitor.js");
/// Looks at widths and colours of any page.
const LOOKS: &str = include_str!("looks.js");
/// The same as the visitor, for the live page.
const LIVE_VISITOR: &str = include_str!("visitor_live.js");

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    let found = named.into_iter().chain(usual).find(|p| p.is_file());
    if found.is_none() {
        println!("skipped: no chromium (set CHROMIUM to its path)");
    }
    found
}

/// What the visitor found, and all that the console said. A browser that does not start in time is started
/// again once.
fn visit(chromium: &Path, page: &str, profile: &Path, width: u32, dark: bool) -> (String, String) {
    let once = || {
        let output = Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0", "--timeout=60000"])
            // Time runs as fast as it can and stands still while something is fetched.
            .args(["--virtual-time-budget=15000", "--dump-dom"])
            .arg(format!("--window-size={width},1200"))
            .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(page)
            .output()
            .unwrap();
        let dom = String::from_utf8_lossy(&output.stdout);
        let found = dom.split("data-found=\"").nth(1).and_then(|d| d.split('"').next());
        let log = String::from_utf8_lossy(&output.stderr);
        let console = log.lines().filter(|l| l.contains("CONSOLE")).collect::<Vec<_>>().join("\n");
        (found.map(str::to_owned), console)
    };
    let (found, console) = once();
    let (found, console) = if found.is_none() { once() } else { (found, console) };
    (found.unwrap_or_else(|| "no answer".to_owned()), console)
}

fn nothing_is_wrong(chromium: &Path, page: &str, profile: &Path) {
    for (width, dark) in [(1400, false), (1400, true), (900, false), (400, false)] {
        let (found, console) = visit(chromium, page, profile, width, dark);
        let how = format!("{page} at {width}, {}", if dark { "dark" } else { "light" });
        assert_eq!(found, "nothing wrong", "{how}");
        assert_eq!(console, "", "{how}");
    }
}

#[test]
fn a_reader_of_the_report_finds_nothing_wrong() {
    let Some(chromium) = chromium() else { return };
    let dir = tempfile::tempdir().unwrap();
    Synthetic { problems_per_op: 8, ..Synthetic::default() }.write(dir.path());
    let report = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
    let page = dir.path().join("visited.html");
    std::fs::write(&page, report.replace("</body>", &format!("<script>{LOOKS}{VISITOR}</script></body>")))
        .unwrap();
    nothing_is_wrong(&chromium, &format!("file://{}", page.display()), &dir.path().join("profile"));
}

#[test]
fn a_reader_of_the_live_page_finds_nothing_wrong() {
    let Some(chromium) = chromium() else { return };
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("runs/r");
    std::fs::create_dir_all(&run).unwrap();
    Synthetic { problems_per_op: 8, ..Synthetic::default() }.write(&run);
    std::fs::remove_file(run.join("stages/rl-main-0001/done.json")).unwrap();
    let live = Live::of(&dir.path().join("runs"));
    let door = with_visitor(live.address);
    for page in ["", "run/r"] {
        nothing_is_wrong(&chromium, &format!("http://{door}/{page}"), &dir.path().join("profile"));
    }
}

/// A door to the server that appends the visitor to its pages; open until the test's process ends.
fn with_visitor(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser opens connections that it does not use.
            std::thread::spawn(move || pass_on(stream, server));
        }
    });
    address
}

fn pass_on(mut stream: TcpStream, server: SocketAddr) -> Option<()> {
    let mut request = vec![0; 16_384];
    let length = stream.read(&mut request).ok()?;
    let target = String::from_utf8_lossy(&request[..length]).split(' ').nth(1)?.to_owned();
    let mut onward = TcpStream::connect(server).ok()?;
    write!(onward, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    onward.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let body = body.replace("</body>", &format!("<script>{LOOKS}{LIVE_VISITOR}</script></body>"));
    // The visitor is a script that stands in the page, which the page's own rules forbid.
    let head = head.replace("script-src 'self';", "script-src 'self' 'unsafe-inline';");
    let head: Vec<&str> = head.lines().filter(|l| !l.to_lowercase().starts_with("content-length")).collect();
    write!(stream, "{}\r\nContent-Length: {}\r\n\r\n{body}", head.join("\r\n"), body.len()).ok()
}
