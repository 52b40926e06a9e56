//! Every mistake of the file is told at once, with its line and what to write.

use std::path::Path;
use std::time::Duration;

use super::{AgentConfig, Source, Target, TokenVersion};
use crate::domain::webhook::SecretSource;

fn load(text: &str) -> Result<AgentConfig, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, text).expect("written");
    AgentConfig::load(&file).map_err(|errors| {
        let line =
            |error: &crate::definitions::DefinitionError| format!("{}: {}", error.line.unwrap_or(0), error.message);
        errors.iter().map(line).collect()
    })
}

const WHOLE: &str = r#"
[server]
url = "https://erp.example.test"
product = "dynamics365"
tenant = "contoso.example"
token_version = 1
client_id = "app"
secret_env = "S"

[[upload]]
name = "orders"
job = "{6D31E09F-0249-459F-94F0-AAD9C2C47B64}"
entity = "Sales order headers"
folder = "orders"
error = "/elsewhere/error"
pattern = "*.csv"
stop_at_failure = true

[[export]]
name = "nightly"
project = "Nightly"
legal_entity = "usmf"
folder = "nightly"
file_name = "{time}-{original_name}"
entities = ["Customers", "Vendors"]
cron = "0 2 * * *"
time_zone = "Europe/Berlin"
"#;

#[test]
fn a_whole_file_is_read() {
    let config = load(WHOLE).expect("no mistakes");
    assert_eq!(
        config.server.token_url.as_str(),
        "https://login.microsoftonline.com/contoso.example/oauth2/token"
    );
    assert_eq!(config.server.token_version, TokenVersion::V1);
    assert_eq!(config.server.resource, "https://erp.example.test");
    assert_eq!(config.server.secret, SecretSource::Variable("S".to_owned()));
    let upload = &config.sends[0];
    assert!(upload.folders.incoming.ends_with("orders/in") && upload.folders.incoming.is_absolute());
    assert_eq!(upload.folders.error, Path::new("/elsewhere/error"));
    assert_eq!((upload.in_flight, upload.ready.stable), (1, Duration::from_secs(5)));
    assert!(upload.patterns[0].is_match("A b.CSV") && !upload.patterns[0].is_match("a.csv.tmp"));
    assert!(matches!(&upload.to, Target::Queue { entity: Some(entity), .. } if entity == "Sales order headers"));
    let Source::Project(export) = &config.collects[0].from else {
        panic!("an export")
    };
    assert_eq!((export.entities.len(), export.package_name.as_str()), (2, "Nightly"));
    assert!(export.schedule.is_some());
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let errors = load(
        r#"[server]
url = "erp.example.test"
secret = "hunter2"
[[upload]]
name = "a"
job = "orders"
folder = "x"
sucess = "y"
stop_at_failure = true
in_flight = 3
[[download]]
name = "A"
job = "6d31e09f-0249-459f-94f0-aad9c2c47b64"
folder = "z"
file_name = "{id}.zip"
[[export]]
name = "e"
project = "p"
folder = "z"
cron = "0 2 * *"
[[import]]
name = "i"
project = "p"
folder = "x"
"#,
    )
    .expect_err("mistakes");
    let text = errors.join("\n");
    for told in [
        "2: `url`",
        "1: [server] lacks `client_id`",
        "3: a secret does not belong",
        "6: `job` is `orders`",
        "8: unknown key `sucess`",
        "did you mean `success`",
        "10: `stop_at_failure` sends one file",
        "12: `name` is `A`",
        "15: `file_name` has `{id}`",
        "20: `cron`",
        "is a folder of `a` already",
    ] {
        assert!(text.contains(told), "{told:?} in\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_without_folders_and_one_that_is_no_toml_are_refused() {
    let nothing =
        load("[server]\nurl = \"http://h\"\nclient_id = \"a\"\nsecret_env = \"S\"\n").expect_err("nothing to do");
    assert!(nothing[0].contains("nothing to do"), "{nothing:?}");
    assert!(load("[server").is_err());
}
