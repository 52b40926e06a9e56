//! Requests on the wire that two servers could read in two ways, that never end, or that are none: one answer at most, and no second
//! request is ever found in the body of a first.

use reqwest::{Method, StatusCode};

use super::raw::exchange;
use crate::app::{Backend, TestApp};
use crate::client::relay;

crate::on_both_backends!(
    what_two_servers_could_read_in_two_ways_is_refused,
    what_is_no_http_is_refused,
    a_host_is_one_name_and_leads_nowhere_else,
    pages_of_other_sites_and_proxies_are_told_nothing,
);

/// A request hidden in the body of another, which answers 200 without a token if it is ever seen.
const HIDDEN: &str = "GET /health/live HTTP/1.1\r\nHost: hidden\r\n\r\n";

/// `POST` with these header lines and this body, then one more request on the same connection.
fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /common/oauth2/token HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n{body}").into_bytes()
}

/// What is sent, and what must be answered.
type Case = (&'static str, Vec<u8>, &'static [u16]);

async fn check(app: &TestApp, cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for (what, bytes, wanted) in cases {
        let heard = exchange(&app.url, &bytes).await;
        let statuses = heard.statuses();
        if statuses != wanted {
            wrong.push(format!("{what}: {statuses:?}, not {wanted:?}"));
        } else if statuses.iter().any(|status| *status >= 400) && !heard.closed && !what.starts_with("control") {
            wrong.push(format!("{what}: the connection stays open"));
        }
        assert!(heard.bytes.len() < 64 * 1024, "{what}: {} bytes", heard.bytes.len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let alive = app.request(Method::GET, "/health/live").send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
}

async fn what_two_servers_could_read_in_two_ways_is_refused(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    check(&app, lengths_and_chunks()).await;
    check(&app, lengths()).await;
    check(&app, codings()).await;
}

const CHUNKED: &str = "Transfer-Encoding: chunked";

fn lengths_and_chunks() -> Vec<Case> {
    let te = CHUNKED;
    let length = format!("Content-Length: {}", HIDDEN.len());
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let both = |lines: [&str; 2]| lines.join("\r\n");
    vec![
        // The test itself: what is a second request is answered as one.
        (
            "control: two requests",
            [post("Content-Length: 1", "x"), HIDDEN.into()].concat(),
            &[400, 200],
        ),
        ("control: one in a body", post(&length, HIDDEN), &[400]),
        ("control: one in a chunk", post(te, &chunked(HIDDEN)), &[400]),
        (
            "a length and chunks",
            post(&both([&length, te]), &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "chunks and a length",
            post(&both([te, "Content-Length: 3"]), &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "two lengths",
            post(&both(["Content-Length: 0", &length]), HIDDEN),
            &[400],
        ),
        ("two equal lengths", post(&both([&length, &length]), HIDDEN), &[400]),
    ]
}

fn lengths() -> Vec<Case> {
    vec![
        ("a list of lengths", post("Content-Length: 0, 45", HIDDEN), &[400]),
        (
            "a signed length",
            post(&format!("Content-Length: +{}", HIDDEN.len()), HIDDEN),
            &[400],
        ),
        ("a length below nothing", post("Content-Length: -1", HIDDEN), &[400]),
        (
            "a length that is no number",
            post("Content-Length: 0x2d", HIDDEN),
            &[400],
        ),
        ("a length of nothing", post("Content-Length:", HIDDEN), &[400]),
        (
            "a length beyond numbers",
            post("Content-Length: 18446744073709551616", HIDDEN),
            &[400],
        ),
    ]
}

fn codings() -> Vec<Case> {
    let te = CHUNKED;
    let both = |lines: [&str; 2]| lines.join("\r\n");
    vec![
        (
            "chunked, identity",
            post("Transfer-Encoding: chunked, identity", &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        ("identity", post("Transfer-Encoding: identity", HIDDEN), &[400]),
        (
            "gzip, chunked",
            post("Transfer-Encoding: gzip, chunked", &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "a word like chunked",
            post("Transfer-Encoding: xchunked", &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "chunked with a control",
            post("Transfer-Encoding: \x0bchunked", &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "chunked twice",
            post(&both([te, te]), &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "chunked and identity apart",
            post(
                &both([te, "Transfer-Encoding: identity"]),
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
            &[400],
        ),
        (
            "a space before the colon",
            post("Transfer-Encoding : chunked", &format!("0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "a space in a length's name",
            post(&format!("Content-Length : {}", HIDDEN.len()), HIDDEN),
            &[400],
        ),
        (
            "a folded header",
            post("X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 0", ""),
            &[400],
        ),
        (
            "a chunk of a negative size",
            post(te, &format!("-1\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "a chunk of a size with a prefix",
            post(te, &format!("0x0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "a chunk beyond numbers",
            post(te, &format!("fffffffffffffffff\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "a chunk longer than its size",
            post(te, &format!("1\r\nxyz\r\n0\r\n\r\n{HIDDEN}")),
            &[400],
        ),
        (
            "a chunk without an end of line",
            post(te, &format!("1\nx\n0\n\n{HIDDEN}")),
            &[400],
        ),
        (
            "chunks before HTTP/1.1",
            format!("POST /common/oauth2/token HTTP/1.0\r\n{te}\r\n\r\n0\r\n\r\n{HIDDEN}").into_bytes(),
            &[400],
        ),
    ]
}

async fn what_is_no_http_is_refused(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let get = |line: &str, headers: &str| format!("{line}\r\nHost: localhost\r\n{headers}\r\n").into_bytes();
    let many: Vec<String> = (0..1000).map(|number| format!("X-{number}: x\r\n")).collect();
    let many = many.concat();
    let long = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    let path = format!("GET /{} HTTP/1.1", "x".repeat(1 << 20));
    check(
        &app,
        vec![
            (
                "a NUL in a header",
                get("GET /health/live HTTP/1.1", "X-A: a\0b\r\n"),
                &[400],
            ),
            (
                "a bare CR in a header",
                get("GET /health/live HTTP/1.1", "X-A: a\rb\r\n"),
                &[400],
            ),
            (
                "a header without a name",
                get("GET /health/live HTTP/1.1", ": x\r\n"),
                &[400],
            ),
            (
                "a header without a colon",
                get("GET /health/live HTTP/1.1", "x\r\n"),
                &[400],
            ),
            ("a thousand headers", get("GET /health/live HTTP/1.1", &many), &[431]),
            (
                "a megabyte of a header",
                get("GET /health/live HTTP/1.1", &long),
                &[431],
            ),
            ("a megabyte of an address", get(&path, ""), &[431]),
            (
                "an address with a space",
                get("GET /health/live x HTTP/1.1", ""),
                &[400],
            ),
            (
                "an address with a control",
                get("GET /health/\x01live HTTP/1.1", ""),
                &[400],
            ),
            ("no version", b"GET /health/live\r\n\r\n".to_vec(), &[400]),
            ("another version", get("GET /health/live HTTP/3.7", ""), &[400]),
            (
                "the preface of HTTP/2",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
                &[400],
            ),
            ("a method that is no word", get("G(T /health/live HTTP/1.1", ""), &[400]),
            (
                "a greeting in TLS",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and more\r\n\r\n".to_vec(),
                &[400],
            ),
            ("HTTP/1.0", b"GET /health/live HTTP/1.0\r\n\r\n".to_vec(), &[200]),
        ],
    )
    .await;
}

async fn a_host_is_one_name_and_leads_nowhere_else(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Quay", "");
        setup.set("server.public_url", "https://tranship.test");
    })
    .await;
    let line = "GET /health/live HTTP/1.1\r\n";
    check(
        &app,
        vec![
            ("no host", format!("{line}\r\n").into_bytes(), &[400]),
            (
                "two hosts",
                format!("{line}Host: a.test\r\nHost: b.test\r\n\r\n").into_bytes(),
                &[400],
            ),
            (
                "a host with a path",
                format!("{line}Host: a.test/x\r\n\r\n").into_bytes(),
                &[400],
            ),
            (
                "a host with a user",
                format!("{line}Host: a@b.test\r\n\r\n").into_bytes(),
                &[400],
            ),
            (
                "a host with markup",
                format!("{line}Host: a.test\"><script>\r\n\r\n").into_bytes(),
                &[400],
            ),
            (
                "a host of two words",
                format!("{line}Host: a.test b.test\r\n\r\n").into_bytes(),
                &[400],
            ),
            (
                "an address and a host that differ",
                b"GET http://a.test/health/live HTTP/1.1\r\nHost: b.test\r\n\r\n".to_vec(),
                &[400],
            ),
            (
                "an absolute address",
                b"GET http://a.test/health/live HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
                &[200],
            ),
        ],
    )
    .await;
    // Links begin with the public address, whatever a client says that it called.
    app.put("Quay", "", "bytes").await;
    let path = format!("/api/connector/dequeue/{}", app.job("Quay"));
    let answer = app
        .request(Method::GET, &path)
        .header("x-forwarded-host", "evil.test")
        .header("forwarded", "host=evil.test;proto=https")
        .header("x-original-url", "/api/v1/clients")
        .bearer_auth(&app.token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("https://tranship.test/api/connector/download/") && !text.contains("evil"),
        "{text}"
    );
}

async fn pages_of_other_sites_and_proxies_are_told_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let asked = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = app.request(method.parse().unwrap(), path).bearer_auth(&app.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    for path in [
        "/api/v1/jobs",
        "/common/oauth2/token",
        "/console",
        "/dmf/packages/x",
        "/data",
        "/health/live",
    ] {
        let preflight = [
            ("origin", "https://evil.test"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        for method in ["GET", "OPTIONS"] {
            let answer = asked(method, path, &preflight).await;
            let allowing = answer
                .headers()
                .keys()
                .find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(allowing, None, "{method} {path}");
        }
        for method in ["TRACE", "TRACK", "CONNECT", "DEBUG"] {
            let answer = exchange(
                &app.url,
                format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Secret: mirror\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .await;
            assert!(!answer.text().contains("mirror"), "{method} {path}: {}", answer.text());
            assert!(answer.statuses()[0] >= 400, "{method} {path}: {}", answer.text());
        }
    }
    // A method is what stands in the request line.
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let path = format!("/api/v1/jobs/{}/pause", app.job("Inbound customers"));
        let answer = asked("GET", &path, &[(header, "POST")]).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{header}");
        let answer = asked("GET", "/api/v1/jobs?_method=DELETE", &[(header, "DELETE")]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{header}");
    }
}
