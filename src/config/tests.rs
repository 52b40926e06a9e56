//! Settings as people write them, right and wrong.

use super::*;

/// Loads a file's text, variables and flags; places name the file `tranship.toml`.
fn load(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tranship.toml");
    std::fs::write(&file, text).expect("a file");
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let overrides = Overrides {
        file: Some(file),
        values: own(flags),
    };
    let root = format!("{}/", folder.path().display());
    Config::load(&overrides, &own(environment)).map_err(|mistakes| {
        mistakes
            .iter()
            .map(|mistake| mistake.to_string().replace(&root, ""))
            .collect()
    })
}

fn refused(text: &str) -> Vec<String> {
    load(text, &[], &[]).expect_err("a mistake")
}

#[test]
fn the_embedded_file_holds_the_documented_defaults() {
    let config = load("", &[], &[]).expect("no mistake");
    let data = std::path::absolute("data").expect("a working directory");
    let data = data.display();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        (config.server.public_url, config.server.trusted_proxies.len()),
        (None, 0)
    );
    assert_eq!(
        (
            config.server.shutdown_seconds,
            config.server.token_seconds,
            config.server.link_seconds,
            config.server.session_seconds
        ),
        (30, 3599, 3600, 43_200)
    );
    assert!(config.server.workers >= 2);
    assert_eq!((config.server.max_waiters, config.server.max_listeners), (1024, 256));
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    assert_eq!(config.store.url, format!("sqlite://{data}/tranship.db"));
    assert_eq!(config.store.max_connections, 10);
    assert_eq!(config.blobs_url, format!("file://{data}/blobs"));
    assert_eq!(config.databases.keys().collect::<Vec<_>>(), ["main"]);
    assert_eq!(config.databases["main"].url, format!("sqlite://{data}/business.db"));
    assert_eq!(
        (config.jobs_dir, config.entities_dir),
        (PathBuf::from("./jobs"), PathBuf::from("./entities"))
    );
    let queue = config.queue;
    assert_eq!((queue.inline_max_bytes, queue.max_payload_bytes), (16 * 1024, 5 * GIB));
    assert_eq!((queue.lease_seconds, queue.max_deliveries), (1800, 10));
    assert_eq!(
        (queue.max_enqueues, queue.admit_wait_seconds, queue.batch_max_bytes),
        (1024, 30, 32 * 1024 * 1024)
    );
    assert_eq!(queue.max_messages, 0);
    assert_eq!(
        (queue.retention_days, queue.idempotency_days, queue.upload_stale_seconds),
        (7, 90, 900)
    );
    let worker = config.worker;
    assert_eq!(
        (worker.concurrency, worker.heartbeat_seconds, worker.poll_milliseconds),
        (2, 5, 500)
    );
    let import = config.import;
    assert_eq!(
        (import.batch_records, import.batch_bytes, import.chunk_records),
        (2000, 4 * 1024 * 1024, 5000)
    );
    let webhooks = config.webhooks;
    assert_eq!((webhooks.allow_private, webhooks.allow_http), (false, false));
    assert_eq!((webhooks.concurrency, webhooks.concurrency_per_host), (32, 4));
    assert_eq!((webhooks.timeout_seconds, webhooks.max_attempts), (15, 16));
    assert_eq!((webhooks.retry_first_seconds, webhooks.retry_cap_seconds), (10, 21_600));
    let destinations = &config.destinations;
    assert_eq!((destinations.allow_private, destinations.allow_http), (false, false));
    assert_eq!((destinations.timeout_seconds, destinations.max_attempts), (600, 12));
    assert_eq!(
        (destinations.retry_first_seconds, destinations.retry_cap_seconds),
        (10, 3600)
    );
    let file = config.file;
    assert_eq!(file.max_unpacked_bytes, 50 * 1024 * 1024 * 1024);
    assert_eq!(
        (file.max_field_bytes, file.max_record_bytes, file.max_columns),
        (1024 * 1024, 8 * 1024 * 1024, 2000)
    );
}

#[test]
fn the_embedded_file_names_every_key_and_explains_it() {
    let values = layers::defaults();
    let reader = Reader::new(&values, &values);
    let _ = Config::read(&reader);
    for key in reader.known_keys() {
        let name = key.rsplit('.').next().expect("a name");
        let mut lines = DEFAULTS.lines().zip(DEFAULTS.lines().skip(1));
        let explained = |(before, line): (&str, &str)| {
            line.trim_start_matches("# ").starts_with(&format!("{name} = ")) && before.starts_with('#')
        };
        assert!(lines.any(explained), "`{key}` stands in the file, below a comment");
    }
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let file = "[queue]\nlease_seconds = 1\nmax_deliveries = 2\nretention_days = 3\n[databases.wms]\nurl = \"postgres://h/wms\"\n";
    let environment = [
        ("TRANSHIP_QUEUE__MAX_DELIVERIES", "20"),
        ("TRANSHIP_QUEUE__RETENTION_DAYS", "30"),
        ("TRANSHIP_DATABASES__WMS__MAX_CONNECTIONS", "3"),
        ("TRANSHIP_DATA_DIR", "/srv/t"),
        ("TRANSHIP_SERVER__TRUSTED_PROXIES", "10.0.0.1, ::1"),
        ("TRANSHIP_SERVER__PUBLIC_URL", ""),
        ("TRANSHIP_TEST_POSTGRES", "not ours"),
        ("TRANSHIP_CLIENT_SECRET", "not ours"),
        ("PATH", "/bin"),
    ];
    let config = load(
        file,
        &environment,
        &[("queue.retention_days", "33"), ("server.listen", "[::1]:0")],
    )
    .expect("no mistake");
    assert_eq!(
        (
            config.queue.lease_seconds,
            config.queue.max_deliveries,
            config.queue.retention_days
        ),
        (1, 20, 33)
    );
    assert_eq!(config.server.listen.to_string(), "[::1]:0");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.store.url, "sqlite:///srv/t/tranship.db");
    assert_eq!(
        (
            config.databases["wms"].url.as_str(),
            config.databases["wms"].max_connections
        ),
        ("postgres://h/wms", 3)
    );
    assert!(
        config.databases.contains_key("main"),
        "other databases do not replace it"
    );
}

#[test]
fn every_mistake_of_every_layer_is_reported_with_its_place() {
    let file = r#"data_dir = "a%b"
store = "postgres://h/db"
[server]
listen = "localhost:8080"
public_url = "ftp://x"
tls_cert = "a.pem"
trusted_proxies = ["10.0.0.0/33"]
[qeue]
lease_seconds = 5
[queue]
lease_secnds = 5
inline_max_bytes = "16 KiB"
max_deliveries = 0
[databases.Crm]
url = "mysql://u:hunter2@h/db"
[databases.wms]
max_connections = 5
[blobs]
url = "s3://key:hunter2@bucket"
[file]
max_columns = 1.5
"#;
    let errors = load(
        file,
        &[
            ("TRANSHIP_WORKER__HEARTBEAT_SECOND", "5"),
            ("TRANSHIP_WORKER__CONCURRENCY", "many"),
        ],
        &[("lease_seconds", "5"), ("import.batch_records", "0")],
    )
    .expect_err("mistakes");
    let expected = [
        "tranship.toml:1: `data_dir` may not hold % ? or #, which mean something else in URLs",
        "tranship.toml:2: `store` is a section, not a value; write its keys below [store]",
        "tranship.toml:4: `server.listen` is `localhost:8080`; write an IP address and a port such as 127.0.0.1:8080",
        "tranship.toml:5: `server.public_url` must begin with http:// or https:// and a host",
        "tranship.toml:6: TLS takes `server.tls_listen`, `server.tls_cert` and `server.tls_key` together, or `server.dev_tls` (--dev-tls) \
         without a certificate",
        "tranship.toml:7: `server.trusted_proxies` holds `10.0.0.0/33`; write IP addresses or networks such as 10.0.0.7 or 10.0.0.0/8",
        "tranship.toml:9: unknown key `qeue.lease_seconds`; did you mean `queue.lease_seconds`?",
        "tranship.toml:11: unknown key `queue.lease_secnds`; did you mean `queue.lease_seconds`?",
        "tranship.toml:12: `queue.inline_max_bytes` must be a whole number, not the text `16 KiB`",
        "tranship.toml:13: `queue.max_deliveries` is 0, allowed is 1 to 1000",
        "tranship.toml:15: `databases.Crm.url`: `mysql://u:***@h/db` is not a database URL; write sqlite://FILE or \
         postgres://USER:PASSWORD@HOST/DATABASE",
        "tranship.toml:15: database name `Crm` may hold a-z, 0-9, - and _ only",
        "tranship.toml:17: `databases.wms.url` is missing",
        "tranship.toml:19: `blobs.url`: holds credentials; they belong in the environment variables of the cloud store",
        "tranship.toml:21: `file.max_columns` must be a whole number, not a value of type float",
        "TRANSHIP_WORKER__CONCURRENCY: `worker.concurrency` must be a whole number, not `many`",
        "TRANSHIP_WORKER__HEARTBEAT_SECOND: unknown key `worker.heartbeat_second`; did you mean \
         `TRANSHIP_WORKER__HEARTBEAT_SECONDS`?",
        "--set import.batch_records: `import.batch_records` is 0, allowed is 1 to 1000000",
        "--set lease_seconds: unknown key `lease_seconds`; did you mean `queue.lease_seconds`?",
    ];
    assert_eq!(errors, expected, "{errors:#?}");
}

#[test]
fn links_of_the_bucket_need_a_bucket() {
    let said = refused("[blobs]\npresigned = true\n");
    assert!(
        said.len() == 1 && said[0].starts_with("tranship.toml:2: `blobs.presigned` needs a bucket"),
        "{said:?}"
    );
    assert_eq!(
        refused("[blobs]\npresigned = \"maybe\"\nretention_days = 0\nurl = \"s3://bucket\"\n").len(),
        2
    );
}

#[test]
fn settings_must_agree_with_each_other() {
    assert_eq!(
        refused("[queue]\ninline_max_bytes = 100\nmax_payload_bytes = 99\n"),
        ["tranship.toml:2: `queue.inline_max_bytes` (100) may not be more than `queue.max_payload_bytes` (99)"]
    );
    assert_eq!(
        refused("[queue]\nidempotency_days = 6\n"),
        ["tranship.toml:2: `queue.retention_days` (7) may not be more than `queue.idempotency_days` (6)"]
    );
    assert_eq!(
        refused("[queue]\nidempotency_days = 0\n"),
        ["tranship.toml:2: `queue.idempotency_days` is 0, allowed is 1 to 3650"]
    );
    assert_eq!(
        refused("[databases.main]\nurl = \"sqlite:data/../data/tranship.db?mode=rwc\"\n"),
        ["tranship.toml:2: `databases.main.url` is the same SQLite file as `store.url`; give it a file of its own"]
    );
    assert_eq!(
        refused("[store]\nurl = \"sqlite::memory:\"\n"),
        ["tranship.toml:2: `store.url`: an in-memory database loses everything on exit; write sqlite://FILE"]
    );
}

#[test]
fn a_file_that_is_no_toml_or_is_not_there_is_a_mistake() {
    let errors = refused("[queue\nlease_seconds = 5");
    assert!(errors[0].starts_with("tranship.toml:1: "), "{errors:#?}");
    let overrides = Overrides {
        file: Some("no/such/file.toml".into()),
        values: Vec::new(),
    };
    let mistakes = Config::load(&overrides, &[]).expect_err("no file");
    assert!(
        mistakes[0]
            .to_string()
            .starts_with("no/such/file.toml: cannot be read: "),
        "{mistakes:#?}"
    );
}

#[test]
fn debug_shows_no_password() {
    let secret = "postgres://user:hunter2@host/db?password=hunter2";
    let config = load(
        "",
        &[("TRANSHIP_STORE__URL", secret)],
        &[("databases.main.url", secret)],
    )
    .expect("no mistake");
    let overrides = Overrides {
        file: None,
        values: vec![("store.url".to_owned(), secret.to_owned())],
    };
    for shown in [format!("{config:?}"), format!("{config:#?}"), format!("{overrides:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(format!("{config:?}").contains("user:***@host"));
}

#[test]
fn truth_is_read_from_files_and_variables_and_nothing_else_counts_as_it() {
    let allowed = |config: Config| (config.webhooks.allow_private, config.webhooks.allow_http);
    let config = load(
        "[webhooks]\nallow_private = true\n",
        &[("TRANSHIP_WEBHOOKS__ALLOW_HTTP", "true")],
        &[],
    );
    assert_eq!(allowed(config.expect("no mistake")), (true, true));
    assert_eq!(
        refused("[webhooks]\nallow_private = 1\nallow_http = \"yes\"\n"),
        [
            "tranship.toml:2: `webhooks.allow_private` must be true or false, not the number 1",
            "tranship.toml:3: `webhooks.allow_http` must be true or false, not the text `yes`",
        ]
    );
}
