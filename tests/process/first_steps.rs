//! A stranger's first steps: `demo`, and `init` with a file of their own.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::service::Service;
use crate::site::{Site, is_empty};
use crate::wire::Caller;

const SAMPLE: &str = "sensor,measured_on,celsius,comment\n\
    A-1,2026-03-01,21.5,\"by the window, left\"\n\
    A-2,2026-03-01,19.25,\n\
    B-1,2026-03-02,-4,Größe: klein\n";

/// What the test needs of the job that `init` wrote.
#[derive(Deserialize)]
struct WrittenJob {
    id: String,
    clients: Vec<String>,
    sample: bool,
    import: WrittenImport,
}

#[derive(Deserialize)]
struct WrittenImport {
    entities: Vec<WrittenEntity>,
}

#[derive(Deserialize)]
struct WrittenEntity {
    entity: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_makes_a_working_set_from_a_sample_file() {
    let site = Site::empty();
    site.write("climate.csv", SAMPLE);
    site.run(&["init", "climate.csv"]);
    site.run(&["check"]);

    let job = the_job(&site);
    // The job is for the `dev` client of a first start on a terminal, or for whoever may use every job.
    assert!(job.sample && job.clients.is_empty());
    let client = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &client).await;
    let id = caller
        .push(&job.id, &job.import.entities[0].entity, SAMPLE.into())
        .await;
    let ended = caller.ended(&id).await;
    assert_eq!(ended.status(), "Processed", "{}", ended.0);
    assert_eq!(
        (ended.records("read"), ended.records("inserted")),
        (3, 3),
        "{}",
        ended.0
    );
    assert!(service.stop().await.success());
}

fn the_job(site: &Site) -> WrittenJob {
    let mut files: Vec<_> = std::fs::read_dir(site.path("jobs"))
        .expect("init makes jobs/")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    assert_eq!(files.len(), 1, "one sample makes one job: {files:?}");
    let text = std::fs::read_to_string(files.remove(0)).expect("the job reads");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_runs_to_its_end_and_leaves_nothing_behind() {
    let site = Site::empty();
    let began = Instant::now();
    let output = site.run(&["demo", "--exit"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "seconds, not minutes: {:?}",
        began.elapsed()
    );
    assert!(said.contains("reject"), "it shows why records were rejected:\n{said}");
    assert!(
        is_empty(&site.path("")),
        "it works in a folder of its own, not in the reader's"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_waits_for_a_service_that_is_being_started() {
    let site = Site::empty();
    site.write("climate.csv", SAMPLE);
    site.run(&["init", "climate.csv"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let url = format!("http://{address}");

    let nobody = site.command(&["health", "--url", &url, "--wait", "1"]).output();
    let began = Instant::now();
    let mut waiting = site
        .command(&["health", "--url", &url, "--wait", "60"])
        .spawn()
        .expect("it starts");
    assert_eq!(nobody.expect("it ends").status.code(), Some(6));
    assert!(
        waiting.try_wait().expect("it can be asked").is_none(),
        "nobody answers yet"
    );
    let data_dir = site.data_dir("data");
    std::fs::create_dir_all(&data_dir).expect("the data folder is made");
    let mut serve = site.command(&["serve", "--listen", &address.to_string()]);
    serve.env("TRANSHIP_DATA_DIR", &data_dir);
    let service = Service::start(serve, &data_dir).await;
    assert!(waiting.wait().expect("it ends").success());
    assert!(began.elapsed() < Duration::from_mins(1));
    assert!(service.stop().await.success());
}
