//! What a check finds beside the tables.

use std::path::PathBuf;

use super::*;
use crate::config::DEFAULTS;

/// A set-up in a folder: one entity whose table is made, and one export job with this filter.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(filter: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Self { folder };
        place.write(
            "entities/orders.toml",
            "name = \"OrderEntity\"\nlabel = \"Orders\"\ntable = \"orders\"\nkey = [\"id\"]\ncreate_table = true\n\
             [[fields]]\nname = \"id\"\ntype = \"int\"\n[[fields]]\nname = \"status\"\ntype = \"string\"\nmax_length = 10\n",
        );
        place.write(
            "jobs/nightly.toml",
            &format!(
                "id = \"6e5f0a53-7a3c-4b7e-9a35-6c2a1c0f1d11\"\nname = \"Nightly orders\"\ndirection = \"export\"\n\
                 data_source = \"file\"\nsample = true\n[schedule]\ncron = \"0 2 * * *\"\ntime_zone = \"UTC\"\n[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Orders\"\n\
                 filter = \"{filter}\"\n"
            ),
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn config(&self) -> Config {
        let mut config = Config::load(&crate::config::Overrides::default(), &[]).expect("defaults");
        config.jobs_dir = self.path("jobs");
        config.entities_dir = self.path("entities");
        let main = config.databases.get_mut("main").expect("the default database");
        main.url = format!("sqlite://{}", self.path("business.db").display());
        config
    }

    /// Whether the check would end with 2.
    async fn in_need(&self, apply: bool) -> bool {
        let config = self.config();
        let databases = open_databases(&config).expect("databases");
        let definitions = read_definitions(&config, &databases).await.expect("definitions");
        let findings = judge(&databases, &definitions, apply).await.expect("a judgement");
        databases.close().await;
        findings.needs_hand()
    }

    async fn mistakes(&self, apply: bool) -> Vec<Mistake> {
        let config = self.config();
        let databases = open_databases(&config).expect("databases");
        let definitions = read_definitions(&config, &databases).await.expect("definitions");
        let findings = judge(&databases, &definitions, apply).await.expect("a judgement");
        databases.close().await;
        findings.mistakes
    }
}

#[tokio::test]
async fn a_filter_the_database_refuses_is_a_mistake_of_its_job() {
    let broken = Place::new("stauts = 'open'");
    assert_eq!(
        broken.mistakes(false).await,
        [],
        "nothing to ask before the table is there"
    );
    let mistakes = broken.mistakes(true).await;
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    let place = broken.path("jobs/nightly.toml");
    assert_eq!(mistakes[0].place, format!("{}:13", place.display()));
    assert!(mistakes[0].message.contains("stauts"), "{mistakes:?}");

    assert_eq!(Place::new("status = 'open'").mistakes(true).await, []);
}

#[tokio::test]
async fn a_rule_the_database_does_not_understand_is_a_mistake_of_its_entity() {
    let place = Place::new("status = 'open'");
    let entity = std::fs::read_to_string(place.path("entities/orders.toml")).expect("the entity");
    let rule = |check: &str| {
        place.write(
            "entities/orders.toml",
            &format!("{entity}[[rules]]\nname = \"known\"\ncheck = \"{check}\"\nmessage = \"m\"\n"),
        );
    };
    rule("stauts = 'open'");
    assert_eq!(
        place.mistakes(false).await,
        [],
        "nobody to ask before the file is there"
    );
    // The database is there, the entity's table need not be.
    std::fs::write(place.path("business.db"), "").expect("an empty database");
    let mistakes = place.mistakes(false).await;
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!(mistakes[0].place, "entity `OrderEntity`");
    assert!(mistakes[0].message.contains("rule `known`"), "{mistakes:?}");
    assert!(mistakes[0].message.contains("stauts"), "{mistakes:?}");
    // A rule that asks a table which is yet to be made is asked again once it is there.
    rule("exists (select 1 from orders o where o.stauts = 'open')");
    assert_eq!(place.mistakes(false).await, []);
    assert_eq!(place.mistakes(true).await.len(), 1);
    rule("exists (select 1 from orders o where o.status = record.status)");
    assert_eq!(place.mistakes(false).await, []);
}

#[tokio::test]
async fn a_column_that_only_apply_adds_is_not_in_order_until_then() {
    let place = Place::new("status = 'open'");
    assert!(!place.in_need(false).await, "a missing table is made on first use");
    assert!(!place.in_need(true).await, "and by --apply");
    let entity = std::fs::read_to_string(place.path("entities/orders.toml")).expect("the entity");
    place.write(
        "entities/orders.toml",
        &format!("{entity}[[fields]]\nname = \"note\"\ntype = \"string\"\n"),
    );
    assert!(place.in_need(false).await, "imports would fail");
    assert!(!place.in_need(true).await);
    assert!(!place.in_need(false).await);
}

#[tokio::test]
async fn a_folder_somebody_named_must_be_there() {
    let mut config = Place::new("1 = 1").config();
    config.jobs_dir = "no/such/folder".into();
    let databases = open_databases(&config).expect("databases");
    let mistakes = read_definitions(&config, &databases).await.expect_err("no folder");
    assert_eq!(mistakes[0].place, "jobs_dir");
    assert!(mistakes[0].message.contains("no/such/folder"), "{mistakes:?}");
}

#[test]
fn the_default_folders_are_the_settings_defaults() {
    for (key, folder) in ["jobs_dir", "entities_dir"].into_iter().zip(DEFAULT_FOLDERS) {
        assert!(DEFAULTS.contains(&format!("{key} = \"{folder}\"")), "{key}");
    }
}

/// A receiver that the settings refuse is said with its file and line, and keeps nothing from working.
#[tokio::test]
async fn a_receiver_the_settings_refuse_is_a_warning_where_it_stands() {
    let place = Place::new("status = 'open'");
    let destination = |name: &str, url: &str, more: &str| {
        format!("[[export.destinations]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{url}\"\n{more}")
    };
    let auth = "[export.destinations.auth]\nkind = \"oauth2\"\ntoken_url = \"https://10.0.0.7/token\"\nclient_id = \"c\"\nsecret_env = \"S\"\n";
    let nightly = std::fs::read_to_string(place.path("jobs/nightly.toml")).expect("read");
    let webhook = "[webhook]\nurl = \"https://192.168.3.4/hook\"\nsecret_env = \"S\"\n";
    let destinations = [
        destination("named", "https://localhost:8443/in", ""),
        destination("plain", "http://93.184.216.34/in", ""),
        destination("public", "https://93.184.216.34/in", auth),
    ];
    place.write(
        "jobs/nightly.toml",
        &format!("{nightly}{}{webhook}", destinations.concat()),
    );
    let mut config = place.config();
    let databases = open_databases(&config).expect("databases");
    let definitions = read_definitions(&config, &databases).await.expect("definitions");
    let line_of = |text: &str| {
        let file = std::fs::read_to_string(place.path("jobs/nightly.toml")).expect("read");
        let line = file.lines().position(|line| line.contains(text)).expect("it is there") + 1;
        format!("{}:{line}", place.path("jobs/nightly.toml").display())
    };
    let found = receivers::refused(&config, &definitions).await;
    let told: Vec<(&str, &str)> = found
        .iter()
        .map(|found| (found.place.as_str(), found.message.as_str()))
        .collect();
    for (at, setting) in [
        ("192.168.3.4", "webhooks.allow_private"),
        ("localhost", "destinations.allow_private"),
        ("http://93", "destinations.allow_http"),
        ("10.0.0.7", "destinations.allow_private"),
    ] {
        let wanted = line_of(at);
        assert!(
            told.iter()
                .any(|(place, message)| *place == wanted && message.contains(setting)),
            "{at}: {told:?}"
        );
    }
    assert_eq!(told.len(), 4, "{told:?}");
    for settings in [&mut config.webhooks, &mut config.destinations] {
        (settings.allow_private, settings.allow_http) = (true, true);
    }
    assert_eq!(receivers::refused(&config, &definitions).await, []);
    databases.close().await;
}
