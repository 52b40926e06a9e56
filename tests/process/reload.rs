//! Definitions are read again while the service runs; and what becomes of it when its terminal or the reader of its log is gone.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};

use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, http};

const FIRST: &str = "00000000-0000-4000-8000-0000000000c1";

fn relay(site: &Site, file: &str, id: &str, name: &str) {
    site.write(
        &format!("jobs/{file}.toml"),
        &format!("id = \"{id}\"\nname = \"{name}\"\ndirection = \"relay\"\nclients = [\"keeper\"]\n"),
    );
}

async fn site() -> (Site, Credentials) {
    let site = Site::on(TestDatabase::sqlite()).await;
    std::fs::create_dir_all(site.path("entities")).expect("a folder");
    relay(&site, "first", FIRST, "First");
    let keeper = site.add_client("keeper", "operator");
    (site, keeper)
}

#[tokio::test]
async fn definitions_are_reloaded_from_the_command_line() {
    let (site, keeper) = site().await;
    let sender = site.add_client("sender", "client");
    let service = site.start("one").await;
    let reload = |who: &Credentials, more: &[&str]| {
        let mut command = site.command(&[&["jobs", "reload"], more].concat());
        command.env("TRANSHIP_URL", &service.base);
        command
            .env("TRANSHIP_CLIENT_ID", &who.id)
            .env("TRANSHIP_CLIENT_SECRET", &who.secret);
        command.output().expect("the binary runs")
    };
    relay(&site, "second", "00000000-0000-4000-8000-0000000000c2", "Second");
    relay(&site, "first", FIRST, "First, renamed");
    let done = reload(&keeper, &[]);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(lines(&done), ["added Second", "changed First, renamed"]);

    std::fs::remove_file(site.path("jobs/second.toml")).expect("it was there");
    let done = reload(&keeper, &["--json"]);
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(told["removed"], serde_json::json!(["Second"]), "{told}");

    site.write("jobs/third.toml", "name = \"Third\"\ndirection = \"sideways\"\n");
    let broken = reload(&keeper, &[]);
    assert_eq!(broken.status.code(), Some(1), "{}", said(&broken));
    assert!(
        said(&broken).contains("third.toml:2: "),
        "file and line: {}",
        said(&broken)
    );
    let caller = Caller::new(&service, &keeper).await;
    let kept = caller.get("/api/v1/jobs/First,%20renamed").await;
    assert_eq!(kept.status(), StatusCode::OK, "the running ones stay");
    assert_eq!(reload(&sender, &[]).status.code(), Some(5), "it takes an operator");
    let audit = caller
        .get("/api/v1/audit?action=definitions.reload")
        .await
        .text()
        .await
        .expect("a text");
    assert_eq!(audit.matches("\"outcome\":\"failed\"").count(), 1, "{audit}");
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn probes_may_ask_with_head() {
    let (site, _) = site().await;
    let service = site.start("one").await;
    for path in ["/", "/health/live", "/health/ready", "/metrics"] {
        let url = format!("{}{path}", service.base);
        let answer = http().request(Method::HEAD, &url).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(answer.bytes().await.expect("no body").is_empty(), "{path}");
        let refused = http().put(&url).send().await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(refused.headers()["allow"], "GET, HEAD", "{path}");
    }
    assert!(service.stop().await.success());
}

/// Whoever read the log is gone: every line of it fails to be written, and work goes on.
#[tokio::test]
async fn a_log_that_nobody_reads_any_more_stops_nothing() {
    let (site, keeper) = site().await;
    let mut serve = site.serve_command("one");
    serve
        .env("RUST_LOG", "debug")
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = serve.spawn().expect("it starts");
    drop(child.stderr.take());
    let base = address(&site.data_dir("one")).await;
    let caller = Caller::at(&base, &keeper).await.expect("an access token");
    for _ in 0..5 {
        let sent = caller.post("/api/v1/jobs/First/messages", "cargo").await;
        assert_eq!(sent.status(), StatusCode::CREATED);
    }
    assert!(child.try_wait().expect("it can be asked").is_none(), "it runs on");
    child.kill().expect("it ends");
    child.wait().expect("it ended");
}

/// The window was closed: the service ends, as everything does that ran in it.
#[tokio::test]
async fn a_terminal_that_is_closed_stops_the_service() {
    let (site, _) = site().await;
    let data = site.data_dir("one");
    std::fs::create_dir_all(&data).expect("a folder");
    let serve = site.serve_command("one");
    let words: Vec<String> = std::iter::once(serve.get_program())
        .chain(serve.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-f", "-c", &format!("exec {}", words.join(" ")), "/dev/null"]);
    site.furnish(&mut terminal);
    terminal.env("TRANSHIP_DATA_DIR", &data);
    let mut terminal = terminal
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("script runs");
    let base = address(&data).await;
    assert_eq!(probe(&base).await, Some(StatusCode::OK));
    terminal.kill().expect("the terminal goes");
    terminal.wait().expect("it is gone");
    let began = Instant::now();
    while probe(&base).await.is_some() {
        assert!(began.elapsed() < Duration::from_secs(20), "the service is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn probe(base: &str) -> Option<StatusCode> {
    let answer = http().get(format!("{base}/health/live")).send().await;
    answer.ok().map(|answer| answer.status())
}

/// Where a service listens, once it does.
async fn address(data: &Path) -> String {
    let began = Instant::now();
    loop {
        if let Ok(address) = std::fs::read_to_string(data.join("listening"))
            && !address.trim().is_empty()
        {
            return format!("http://{}", address.trim());
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}
