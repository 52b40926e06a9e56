//! `docker-compose.yml` and `Dockerfile` without an engine: each service's command, environment and health check runs as
//! plain processes, with the network's names mapped to this run's servers.

mod image;
mod yaml;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;
use image::Image;

/// The job that takes `samples/northwind/customers.csv`.
const CUSTOMERS_JOB: &str = "40c81c4c-9d2b-4a63-9d5e-0f0e2c2f7a11";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_composed_services_run_as_plain_processes() {
    let (Some(azure), Some(store), Some(business)) = (
        Azure::of_this_run(),
        TestDatabase::postgres().await,
        TestDatabase::postgres().await,
    ) else {
        return;
    };
    let service = composed("tranship");
    let image = Image::read(&repository_file("Dockerfile"));
    let mut site = Site::empty();
    site.copy_definitions("shopkeeper");
    let databases = "postgres://tranship:development-only@postgres:5432";
    let mapping = [
        (format!("{databases}/tranship"), store.url.clone()),
        (format!("{databases}/erp"), business.url.clone()),
        ("az://tranship".to_owned(), azure.folder),
        ("http://azurite:10000".to_owned(), azure.address),
        ("0.0.0.0:8080".to_owned(), "127.0.0.1:0".to_owned()),
        ("/etc/tranship".to_owned(), site.path("").display().to_string()),
    ];
    for (name, value) in image.environment.iter().cloned().chain(environment(&service)) {
        // What nobody mapped stays as it is, and fails where it is used.
        site.set(
            &name,
            &mapping.iter().fold(value, |value, (from, to)| value.replace(from, to)),
        );
    }
    // So that the sample goes through the blob store.
    site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "1024");
    let keeper = site.add_client("shopkeeper", "client");

    let replicas = start_replicas(&site, &image, &service).await;
    assert_eq!(replicas.len(), 2);
    let file = std::fs::read(repository("samples/northwind/customers.csv")).expect("the sample");
    let first = Caller::new(&replicas[0], &keeper).await;
    let id = first.push(CUSTOMERS_JOB, "Customers", file).await;
    let ended = Caller::new(&replicas[1], &keeper).await.ended(&id).await;
    assert_eq!(
        (ended.status(), ended.records("inserted")),
        ("Processed", 93),
        "{}",
        ended.0
    );

    let checks = [image.health_check, health_check(&service)];
    for replica in replicas {
        let base = replica.base.clone();
        for check in &checks {
            assert!(
                tranship(&site, check, &base),
                "{check:?} fails though the service is up"
            );
        }
        assert!(replica.stop().await.success());
        for check in &checks {
            assert!(
                !tranship(&site, check, &base),
                "{check:?} passes though the service is gone"
            );
        }
    }
}

/// The image's entry point with the service's command, once for each replica.
async fn start_replicas(site: &Site, image: &Image, service: &Value) -> Vec<Service> {
    assert_eq!(image.entry_point, ["tranship"]);
    let arguments = words(&service["command"]);
    assert_eq!(
        arguments, image.command,
        "the image does by itself what the service does"
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut replicas = Vec::new();
    for index in 0..service["deploy"]["replicas"].as_u64().expect("a number") {
        let data_dir = site.data_dir(&format!("replica-{index}"));
        std::fs::create_dir(&data_dir).expect("it is made");
        let mut command = site.command(&arguments);
        command.env("TRANSHIP_DATA_DIR", &data_dir);
        replicas.push(Service::start(command, &data_dir).await);
    }
    replicas
}

/// Whether a check passes against the service at `base`. In its container, that is where the command looks by default.
fn tranship(site: &Site, check: &[String], base: &str) -> bool {
    assert_eq!(check[0], "tranship");
    let arguments: Vec<&str> = check[1..].iter().map(String::as_str).collect();
    let output = site.command(&arguments).env("TRANSHIP_URL", base).output();
    output.expect("the binary runs").status.success()
}

#[test]
fn the_health_check_of_azurite_tells_up_from_down() {
    let Some(azure) = Azure::of_this_run() else { return };
    let check = health_check(&composed("azurite"));
    let (_, port) = azure.address.rsplit_once(':').expect("a port");
    for (port, up) in [(port, true), ("1", false)] {
        let arguments = check[1..].iter().map(|word| word.replace("10000", port));
        let status = Command::new(&check[0]).args(arguments).status().expect("node runs");
        assert_eq!(status.success(), up, "{check:?} on port {port}");
    }
}

#[tokio::test]
async fn the_health_check_of_postgres_passes() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let url = url::Url::parse(&database.url).expect("a URL");
    let check = health_check(&composed("postgres"));
    let status = Command::new(&check[0])
        .args(&check[1..])
        .env("PGHOST", url.host_str().expect("a host"))
        .env("PGPORT", url.port().expect("a port").to_string())
        .status();
    assert!(status.expect("pg_isready runs").success(), "{check:?}");
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let toolchain: toml::Table = repository_file("rust-toolchain.toml").parse().expect("TOML");
    let channel = toolchain["toolchain"]["channel"].as_str().expect("a version");
    let (minor, _) = channel.rsplit_once('.').expect("a patch version");
    let from = format!("FROM rust:{minor}-");
    assert!(
        repository_file("Dockerfile").contains(&from),
        "Dockerfile should say {from}…"
    );
}

/// This run's Azurite.
struct Azure {
    address: String,
    /// A folder of this test's own in a container that exists.
    folder: String,
}

impl Azure {
    fn of_this_run() -> Option<Self> {
        let (Ok(container), Ok(address)) = (
            std::env::var("TRANSHIP_TEST_AZURE"),
            std::env::var("AZURITE_BLOB_STORAGE_URL"),
        ) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "TRANSHIP_TEST_AZURE is not set: scripts/test sets it"
            );
            eprintln!("skipped: TRANSHIP_TEST_AZURE is not set (scripts/blob-stores sets it)");
            return None;
        };
        let folder = format!("{container}/{}", uuid::Uuid::new_v4().simple());
        Some(Self { address, folder })
    }
}

/// A service of `docker-compose.yml`.
fn composed(name: &str) -> Value {
    let compose = yaml::read(&repository_file("docker-compose.yml"));
    let service = compose["services"][name].clone();
    assert!(service.is_object(), "no service {name}");
    service
}

/// A service's environment, on a machine where nothing is set.
fn environment(service: &Value) -> Vec<(String, String)> {
    let members = service["environment"].as_object().expect("an environment");
    let text = |value: &Value| with_defaults(value.as_str().expect("a text"));
    members
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// `${NAME:-default}` replaced by the default.
fn with_defaults(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').expect("a closing brace");
        let (_, default) = name.split_once(":-").unwrap_or_else(|| panic!("{name} has no default"));
        out.push_str(before);
        out.push_str(default);
        rest = after;
    }
    out + rest
}

/// The words of a service's health check.
fn health_check(service: &Value) -> Vec<String> {
    let mut words = words(&service["healthcheck"]["test"]);
    assert_eq!(words.remove(0), "CMD", "without a shell");
    words
}

fn words(list: &Value) -> Vec<String> {
    let items = list.as_array().unwrap_or_else(|| panic!("a list, not {list}"));
    items
        .iter()
        .map(|item| item.as_str().expect("a text").to_owned())
        .collect()
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn repository_file(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
