//! Clients that lie, leave, or mean harm: nothing is left, and nobody else is harmed.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::blocks::block;
use super::{files, get, new_link, nothing_is_left_over, put, refused};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_put_that_breaks_off_leaves_nothing,
    a_length_that_is_a_lie_is_no_blob,
    what_is_too_large_is_refused_before_it_is_read,
    paths_lead_nowhere_else,
    a_put_waits_to_be_let_in_and_is_never_told_429,
);

fn address(app: &TestApp) -> String {
    app.url.strip_prefix("http://").unwrap().to_owned()
}

fn target(app: &TestApp, link: &str) -> String {
    link.strip_prefix(&app.url).unwrap().to_owned()
}

/// Sends these bytes, and what comes back until the server hangs up or says no more.
async fn say(app: &TestApp, bytes: &[u8], then_leave: bool) -> String {
    let mut socket = TcpStream::connect(address(app)).await.unwrap();
    let _ = socket.write_all(bytes).await;
    if then_leave {
        tokio::time::sleep(Duration::from_millis(20)).await;
        return String::new();
    }
    let mut heard = Vec::new();
    let listening = socket.read_to_end(&mut heard);
    let _ = tokio::time::timeout(Duration::from_secs(2), listening).await;
    String::from_utf8_lossy(&heard).into_owned()
}

fn head(app: &TestApp, target: &str, length: &str) -> Vec<u8> {
    let host = address(app);
    format!("PUT {target} HTTP/1.1\r\nHost: {host}\r\nx-ms-blob-type: BlockBlob\r\n{length}\r\n\r\n").into_bytes()
}

async fn a_put_that_breaks_off_leaves_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    put(&app, &link, "what was there").await;
    block(&app, &link, "a", "staged").await;
    for (suffix, bytes) in [
        ("", 10),
        ("", 7_000_000),
        ("&comp=block&blockid=YQ==", 10),
        ("&comp=block&blockid=Yg==", 7_000_000),
    ] {
        let target = target(&app, &link) + suffix;
        for length in ["Content-Length: 9000000", "Transfer-Encoding: chunked"] {
            let mut request = head(&app, &target, length);
            if length.starts_with('T') {
                request.extend(format!("{bytes:x}\r\n").into_bytes());
            }
            request.extend(vec![b'x'; bytes]);
            say(&app, &request, true).await;
        }
    }
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "what was there");
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 2, "the blob, and the block that was whole");
}

async fn a_length_that_is_a_lie_is_no_blob(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    let target = target(&app, &link);
    // More than it says: the rest is another request, and no good one.
    let mut request = head(&app, &target, "Content-Length: 3");
    request.extend(b"abcdef\r\n\r\n");
    let heard = say(&app, &request, false).await;
    assert!(heard.starts_with("HTTP/1.1 201 "), "{heard}");
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "abc");
    for length in [
        "Content-Length: -1",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 0x3",
    ] {
        let mut request = head(&app, &target, length);
        request.extend(b"xyz");
        let heard = say(&app, &request, false).await;
        assert!(!heard.starts_with("HTTP/1.1 2"), "{length}: {heard}");
    }
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "abc");
    nothing_is_left_over(&app).await;
}

async fn what_is_too_large_is_refused_before_it_is_read(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.set("queue.max_payload_bytes", "1000000")).await;
    let link = new_link(&app).await;
    let target = target(&app, &link);
    let heard = say(&app, &head(&app, &target, "Content-Length: 1000001"), false).await;
    assert!(
        heard.starts_with("HTTP/1.1 413 ") && heard.contains("RequestBodyTooLarge"),
        "{heard}"
    );
    // Without a length it is noticed on the way.
    let mut request = head(&app, &target, "Transfer-Encoding: chunked");
    request.extend(format!("{:x}\r\n", 1_000_001).into_bytes());
    request.extend(vec![b'x'; 1_000_001]);
    request.extend(b"\r\n0\r\n\r\n");
    let heard = say(&app, &request, false).await;
    assert!(heard.contains(" 413 "), "{heard}");
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 0);
}

async fn paths_lead_nowhere_else(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    put(&app, &link, "x").await;
    let signed = link.split_once('?').unwrap().1;
    for path in [
        "/dmf/../../../etc/passwd",
        "/dmf/packages/..%2f..%2f..%2fetc%2fpasswd",
        "/dmf/packages/%00",
        "/dmf/packages/%ff%fe",
        "/dmf/",
        "/dmf",
        "/dmf//",
        "/dmf/packages",
        "/dmf/errors/x/y/error-keys",
        "/dmf/%u0041/b",
    ] {
        for method in ["GET", "PUT", "DELETE", "HEAD"] {
            let host = address(&app);
            let request = format!(
                "{method} {path}?{signed} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let heard = say(&app, request.as_bytes(), false).await;
            let status: u16 = heard.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
            assert!([400, 403, 404, 405].contains(&status), "{method} {path}: {heard}");
        }
    }
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "x");
}

async fn a_put_waits_to_be_let_in_and_is_never_told_429(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.set("queue.max_enqueues", "1");
        setup.set("queue.admit_wait_seconds", "1");
    })
    .await;
    let (link, other) = (new_link(&app).await, new_link(&app).await);
    // One that has the only place, and takes its time.
    let mut slow = TcpStream::connect(address(&app)).await.unwrap();
    slow.write_all(&head(&app, &target(&app, &link), "Content-Length: 4"))
        .await
        .unwrap();
    slow.write_all(b"ab").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for suffix in ["", "&comp=block&blockid=YQ==", "&comp=blocklist"] {
        let request = app.request(Method::PUT, &format!("{other}{suffix}"));
        let answer = request
            .header("x-ms-blob-type", "BlockBlob")
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(super::header(&answer, "retry-after"), "5");
        refused(answer, StatusCode::SERVICE_UNAVAILABLE, "ServerBusy").await;
    }
    slow.write_all(b"cd").await.unwrap();
    let mut heard = [0; 12];
    slow.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"HTTP/1.1 201");
    put(&app, &other, "now").await;
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "abcd");
    nothing_is_left_over(&app).await;
}
