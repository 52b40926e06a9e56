//! `tranship webhooks`: list, show, replay and test say and do what the API does.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::TestDatabase;

const JOB: &str = "2c4f7c52-3b7e-4b0e-a6ae-0e8f6c1d2b90";

/// Answers every request with the status it is told to.
fn receiver(status: Arc<AtomicU16>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request);
            let status = status.load(Ordering::Relaxed);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_listed_shown_tested_and_replayed() {
    let status = Arc::new(AtomicU16::new(500));
    let url = receiver(Arc::clone(&status));
    let mut site = Site::on(TestDatabase::sqlite()).await;
    site.set("TRANSHIP_WEBHOOKS__ALLOW_PRIVATE", "true");
    site.set("TRANSHIP_WEBHOOKS__ALLOW_HTTP", "true");
    site.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let secret = site.path("secret").display().to_string();
    site.write(
        "jobs/told.toml",
        &format!(
            "id = \"{JOB}\"\nname = \"Told\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"ops\"]\n\
             [webhook]\nurl = \"{url}\"\nsecret_file = \"{secret}\"\n"
        ),
    );
    let ops = site.add_client("ops", "operator");
    let service = site.start("one").await;
    let run = |line: &[&str]| command(&site, &service, &ops, line);

    let queued = run(&["webhooks", "test", "told", "--json"]);
    let id = queued["id"].as_str().expect("an id").to_owned();
    assert_eq!(queued["type"], "ping");
    let shown = until(&run, &id, "dead").await;
    assert_eq!(
        (&shown["last_answer"]["status"], &shown["body"]["type"]),
        (&500.into(), &"ping".into()),
        "{shown}"
    );
    let listed = run(&["webhooks", "list", "--job", JOB, "--state", "dead", "--json"]);
    assert_eq!(listed["deliveries"][0]["id"], id.as_str());
    assert_eq!(
        run(&["webhooks", "list", "--state", "delivered", "--json"])["deliveries"],
        serde_json::json!([])
    );

    status.store(204, Ordering::Relaxed);
    let replayed = run(&["webhooks", "replay", &id, "--json"]);
    assert_eq!(replayed[0]["id"], id.as_str(), "{replayed}");
    let shown = until(&run, &id, "delivered").await;
    assert_eq!(shown["last_answer"]["status"], 204);
    // For people, too.
    let text = text(&site, &service, &ops, &["webhooks", "show", &id]);
    assert!(
        text.contains("delivered") && text.contains(&url) && text.contains("\"type\": \"ping\""),
        "{text}"
    );
    assert!(service.stop().await.success());
}

fn text(site: &Site, service: &Service, ops: &Credentials, line: &[&str]) -> String {
    let mut command = site.command(line);
    command.env("TRANSHIP_URL", &service.base);
    command
        .env("TRANSHIP_CLIENT_ID", &ops.id)
        .env("TRANSHIP_CLIENT_SECRET", &ops.secret);
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{line:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn command(site: &Site, service: &Service, ops: &Credentials, line: &[&str]) -> Value {
    let text = text(site, service, ops, line);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line:?}: {error}: {text}"))
}

async fn until(run: &impl Fn(&[&str]) -> Value, id: &str, state: &str) -> Value {
    let began = Instant::now();
    loop {
        let shown = run(&["webhooks", "show", id, "--json"]);
        if shown["state"] == state {
            return shown;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "still {shown}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
