//! Generated meter readings: a file whose every record is known, and a target table that remembers each write to it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{Connection as _, Row as _};

use crate::site::Site;
use crate::wire::Message;

/// The import job's activity id.
pub const JOB: &str = "1f6f1d0c-6f0e-4f0b-9d53-0b5f4c1c7a11";
/// The entity on the wire.
pub const ENTITY: &str = "Meter readings";
/// One record in so many has a number that is none.
const BAD_EVERY: u64 = 500;

const ENTITY_FILE: &str = r#"
name = "MeterReadings"
label = "Meter readings"
collection = "MeterReadings"
public = true
data_management = true
database = "main"
table = "meter_readings"
create_table = true
key = ["reading"]

[[fields]]
name = "reading"
type = "int"

[[fields]]
name = "meter"
type = "string"
max_length = 20

[[fields]]
name = "consumption"
type = "int"

[[fields]]
name = "note"
type = "string"
max_length = 60
"#;

const JOB_FILE: &str = r#"
id = "1f6f1d0c-6f0e-4f0b-9d53-0b5f4c1c7a11"
name = "Inbound meter readings"
direction = "import"
data_source = "file"
clients = ["tester"]

[import]
format = "csv"

[[import.entities]]
entity = "Meter readings"
"#;

/// Writes the entity and the job into the site's folder.
pub fn define(site: &Site) {
    site.write("entities/meter-readings.toml", ENTITY_FILE);
    site.write("jobs/inbound-meter-readings.toml", JOB_FILE);
}

/// The texts of the entity and of the job.
pub fn definitions() -> (&'static str, &'static str) {
    (ENTITY_FILE, JOB_FILE)
}

/// The same job, now one whose every file replaces what is there as a whole.
pub fn define_replacing(site: &Site) {
    let import = "format = \"csv\"\natomicity = \"file\"\nmax_errors = \"1%\"";
    let job = JOB_FILE.replace("format = \"csv\"", import) + "truncate = true\n";
    site.write("jobs/inbound-meter-readings.toml", &job);
}

/// Readings `first .. first + count`.
#[derive(Debug, Clone, Copy)]
pub struct Readings {
    pub first: u64,
    pub count: u64,
}

/// A reading as the file writes it and as the table must hold it.
type Reading = (i64, String, i64, Option<String>);

impl Readings {
    /// The CSV file.
    pub fn file(self) -> Vec<u8> {
        let mut text = String::from("reading,meter,consumption,note\n");
        for number in self.numbers() {
            let (_, meter, consumption, note) = reading(number);
            let note = note
                .map(|n| format!("\"{}\"", n.replace('"', "\"\"")))
                .unwrap_or_default();
            if is_bad(number) {
                writeln!(text, "{number},{meter},{consumption}kWh,{note}").expect("a String takes all");
            } else {
                writeln!(text, "{number},{meter},{consumption},{note}").expect("a String takes all");
            }
        }
        text.into_bytes()
    }

    /// Records that must be rejected.
    pub fn bad(self) -> u64 {
        self.numbers().filter(|n| is_bad(*n)).count() as u64
    }

    /// Records that must land.
    pub fn good(self) -> u64 {
        self.count - self.bad()
    }

    /// What the table must hold of this file.
    pub fn landed(self) -> impl Iterator<Item = Reading> {
        self.numbers().filter(|n| !is_bad(*n)).map(reading)
    }

    /// The counts are true: each record has the one outcome it must have, the first time it was tried.
    #[track_caller]
    pub fn assert_counted(self, message: &Message) {
        let expected = if self.bad() > 0 {
            "ProcessedWithErrors"
        } else {
            "Processed"
        };
        assert_eq!(message.status(), expected, "{}", message.0);
        let counts = [
            ("read", self.count),
            ("applied", self.good()),
            ("inserted", self.good()),
            ("updated", 0),
            ("unchanged", 0),
            ("deleted", 0),
            ("rejected", self.bad()),
            ("skipped", 0),
        ];
        for (outcome, expected) in counts {
            assert_eq!(message.records(outcome), expected, "{outcome} in {}", message.0);
        }
    }

    fn numbers(self) -> std::ops::Range<u64> {
        self.first..self.first + self.count
    }
}

fn is_bad(number: u64) -> bool {
    number % BAD_EVERY == BAD_EVERY - 1
}

fn reading(number: u64) -> Reading {
    let meter = format!("M-{:05}", number * 7_919 % 100_000);
    let consumption = i64::try_from(number * 31 % 10_007).expect("small");
    let note = (number.is_multiple_of(3)).then(|| format!("Zähler \"{number}\", Keller\nlinks"));
    (i64::try_from(number).expect("small"), meter, consumption, note)
}

/// From now on, every write to the target table leaves a line in `landings`.
pub async fn watch_target(site: &Site) {
    let statements: &[&'static str] = if site.business_url().starts_with("postgres") {
        &[
            "create table landings (reading bigint not null)",
            "create function note_landing() returns trigger language plpgsql as \
             $$ begin insert into landings values (new.reading); return null; end $$",
            "create trigger note_landing after insert or update on meter_readings \
             for each row execute function note_landing()",
        ]
    } else {
        &[
            "create table landings (reading integer not null)",
            "create trigger note_insert after insert on meter_readings \
             begin insert into landings values (new.reading); end",
            "create trigger note_update after update on meter_readings \
             begin insert into landings values (new.reading); end",
        ]
    };
    let mut business = sqlx_any(site).await;
    for statement in statements {
        business.execute(statement).await;
    }
}

/// How often the target table was written to since it is watched.
pub async fn landings(site: &Site) -> u64 {
    let mut business = sqlx_any(site).await;
    let count = business.numbers("select count(*) from landings").await[0];
    u64::try_from(count).expect("a count")
}

/// How many rows the target table has at each look, from now until `is_over`.
pub async fn watch_rows(site_url: String, is_over: Arc<AtomicBool>) -> BTreeSet<i64> {
    let mut business = open(&site_url).await;
    let mut seen = BTreeSet::new();
    while !is_over.load(Ordering::Relaxed) {
        seen.extend(business.numbers("select count(*) from meter_readings").await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

/// The target table holds exactly these files, and no record of the watched ones was written twice.
pub async fn assert_landed(site: &Site, files: &[Readings]) {
    let mut business = sqlx_any(site).await;
    let mut found = business.readings().await;
    found.sort_unstable();
    let mut expected: Vec<Reading> = files.iter().flat_map(|file| file.landed()).collect();
    expected.sort_unstable();
    assert_eq!(found.len(), expected.len(), "rows in the target table");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let twice = business
        .numbers("select reading from landings group by reading having count(*) > 1")
        .await;
    assert!(twice.is_empty(), "written more than once: {twice:?}");
}

/// A connection to the business database, of either kind.
enum Business {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

async fn sqlx_any(site: &Site) -> Business {
    open(site.business_url()).await
}

async fn open(url: &str) -> Business {
    if url.starts_with("postgres") {
        Business::Postgres(
            sqlx::PgConnection::connect(url)
                .await
                .expect("the business database opens"),
        )
    } else {
        Business::Sqlite(
            sqlx::SqliteConnection::connect(url)
                .await
                .expect("the business database opens"),
        )
    }
}

/// One body for both kinds of connection.
macro_rules! on {
    ($business:expr, $connection:ident => $body:expr) => {
        match $business {
            Business::Sqlite($connection) => $body,
            Business::Postgres($connection) => $body,
        }
    };
}

impl Business {
    async fn execute(&mut self, statement: &'static str) {
        on!(self, connection => { sqlx::query(statement).execute(connection).await.expect(statement); });
    }

    async fn numbers(&mut self, query: &'static str) -> Vec<i64> {
        on!(self, connection => sqlx::query_scalar(query).fetch_all(connection).await.expect(query))
    }

    async fn readings(&mut self) -> Vec<Reading> {
        const ALL: &str =
            "select cast(reading as bigint), meter, cast(consumption as bigint), note from meter_readings";
        on!(self, connection => sqlx::query(ALL).fetch_all(connection).await.expect(ALL).iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect())
    }
}
