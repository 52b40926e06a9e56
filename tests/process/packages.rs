//! Promise 2 for packages: a service killed between, while staging and while promoting the parts of one goes on with what is
//! not done, and ends as if nobody had killed it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::on_both_databases;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows};
use crate::support::raw_zip::{self, RawMember};
use crate::wire::{Caller, Message};

const ENTITIES: [&str; 3] = ["ants", "bees", "cats"];
const JOB: &str = "Packages";
/// Records in each file, on SQLite and on PostgreSQL, which takes longer for them; one in a hundred has a number that is none.
const RECORDS: (u32, u32) = (50_000, 16_000);

/// Longest way from one moment to the next.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the service is killed, in the order it comes there: the text of a query that finds something from then on. Only the
/// package of this test has more than a thousand records.
const MOMENTS: [(&str, &str); 4] = [
    (
        "between the first and the second",
        "select message from tranship_loads l where entity_no = 0 and records > 1000 and staged and not exists \
         (select message from tranship_chunks c where c.message = l.message and c.entity_no = 0 and not c.done)",
    ),
    (
        "staging the second",
        "select message from tranship_loads where entity_no = 1 and records > 1000",
    ),
    (
        "promoting the second",
        "select message from tranship_chunks where entity_no = 1 and first_record > 1000 and done",
    ),
    (
        "staging the third",
        "select message from tranship_loads where entity_no = 2 and records > 1000",
    ),
];

on_both_databases!(a_package_killed_on_its_way_ends_like_one_that_was_not);

async fn a_package_killed_on_its_way_ends_like_one_that_was_not(store: TestDatabase) {
    let (other, records) = if store.url.starts_with("sqlite") {
        (TestDatabase::sqlite(), RECORDS.0)
    } else {
        let other = TestDatabase::postgres().await;
        (other.expect("the cluster that gave one database"), RECORDS.1)
    };
    let good = (records - records / 100) as usize;
    let (in_peace, expected) = load(other, records, &[]).await;
    let (killed, ended) = load(store, records, &MOMENTS).await;
    let attempts = MOMENTS.len() as u64 + 1;
    assert_eq!(ended.attempt(), attempts, "each kill met it: {:#}", ended.0);
    assert_eq!(counts(&ended), counts(&expected), "{:#}", ended.0);
    for entity in ENTITIES {
        let all = format!("select cast(id as text), name from {entity} order by id");
        let (here, there) = (in_peace.business_url(), killed.business_url());
        let landed = rows(there, &all).await;
        assert_eq!(
            landed.len(),
            good + 1,
            "{entity}: the first package has one record more"
        );
        assert_eq!(landed, rows(here, &all).await, "{entity}");
        let writes = format!("select cast(count(*) as text), cast(count(distinct id) as text) from {entity}_writes");
        let written = rows(there, &writes).await;
        let wanted = Some(good.to_string());
        assert_eq!(
            written,
            [[wanted.clone(), wanted]],
            "{entity}: each row is written once"
        );
    }
}

/// Loads a package, killing the service at each of these moments. Returns where it landed, and how it ended.
async fn load(store: TestDatabase, records: u32, moments: &[(&str, &str)]) -> (Site, Message) {
    let (site, tester) = site(store).await;
    let (mut service, mut caller) = start(&site, &tester).await;
    let id = push(&caller, package(1..records + 1)).await;
    for (attempt, (what, query)) in (1..).zip(moments) {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "{what}: it does not come there");
            let message = caller.message(&id).await;
            assert!(!message.is_final(), "{what}: it ended before: {:#}", message.0);
            // A service that has not taken it up again has nothing to lose.
            if message.attempt() >= attempt && !query_finds_nothing(&site, query).await {
                break;
            }
        }
        service.kill9();
        (service, caller) = start(&site, &tester).await;
    }
    let ended = caller.ended(&id).await;
    assert!(service.stop().await.success());
    (site, ended)
}

async fn query_finds_nothing(site: &Site, query: &str) -> bool {
    let count = format!("select cast(count(*) as text) from ({query}) found");
    tokio::time::sleep(Duration::from_millis(2)).await;
    rows(site.business_url(), &count).await[0][0].as_deref() == Some("0")
}

/// A site whose three tables are there, with one row each, and watched: each write leaves a line.
async fn site(store: TestDatabase) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_IMPORT__BATCH_RECORDS", "100");
    site.set("TRANSHIP_IMPORT__CHUNK_RECORDS", "100");
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    let mut job = format!(
        "id = \"00000000-0000-4000-8000-00000009ac4a\"\nname = \"{JOB}\"\ndirection = \"import\"\ndata_source = \"package\"\n\
         clients = [\"tester\"]\n[import]\nformat = \"csv\"\n"
    );
    for entity in ENTITIES {
        let text = format!(
            "name = \"{entity}\"\nlabel = \"{entity}\"\ntable = \"{entity}\"\ncreate_table = true\nkey = [\"id\"]\n\
             [[fields]]\nname = \"id\"\ntype = \"int\"\n[[fields]]\nname = \"name\"\nmax_length = 20\n"
        );
        site.write(&format!("entities/{entity}.toml"), &text);
        writeln!(job, "[[import.entities]]\nentity = \"{entity}\"").expect("it goes into memory");
    }
    site.write("jobs/packages.toml", &job);
    let tester = site.add_client("tester", "client");
    let (service, caller) = start(&site, &tester).await;
    let first = push(&caller, package(0..1)).await;
    assert_eq!(caller.ended(&first).await.status(), "Processed");
    assert!(service.stop().await.success());
    for entity in ENTITIES {
        for statement in watch(&site, entity) {
            rows(site.business_url(), &statement).await;
        }
    }
    (site, tester)
}

/// Statements that make a table of all writes to an entity's.
fn watch(site: &Site, entity: &str) -> Vec<String> {
    let table = format!("create table {entity}_writes (id bigint not null)");
    let note = format!("insert into {entity}_writes values (new.id);");
    if site.business_url().starts_with("sqlite") {
        let on = |what: &str| format!("create trigger {entity}_{what} after {what} on {entity} begin {note} end");
        vec![table, on("insert"), on("update")]
    } else {
        let function = format!(
            "create function note_{entity}() returns trigger language plpgsql as $$ begin {note} return null; end $$"
        );
        let trigger = format!(
            "create trigger note after insert or update on {entity} for each row execute function note_{entity}()"
        );
        vec![table, function, trigger]
    }
}

/// A package of the three, each with these records.
fn package(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let mut file = "id,name\r\n".to_owned();
    for number in numbers {
        let bad = if number % 100 == 99 { "x" } else { "" };
        write!(file, "{number}{bad},number {number}\r\n").expect("it goes into memory");
    }
    let listed = ENTITIES.iter().zip(1..).map(|(entity, unit)| {
        format!(
            "<DataManagementPackageEntityData><EntityName>{entity}</EntityName><InputFilePath>{entity}.csv</InputFilePath>\
             <ExecutionUnit>{unit}</ExecutionUnit></DataManagementPackageEntityData>"
        )
    });
    let manifest = format!(
        "<DataManagementPackageManifest><PackageEntityList>{}</PackageEntityList></DataManagementPackageManifest>",
        listed.collect::<String>()
    );
    let documents = [("Manifest.xml", manifest.as_bytes()), ("PackageHeader.xml", b"<x/>")];
    let files = ENTITIES.map(|entity| RawMember::stored(&format!("{entity}.csv"), file.as_bytes()));
    let members: Vec<RawMember> = documents
        .map(|(name, bytes)| RawMember::stored(name, bytes))
        .into_iter()
        .chain(files)
        .collect();
    raw_zip::zip(&members)
}

async fn start(site: &Site, tester: &Credentials) -> (Service, Caller) {
    let service = site.start("data").await;
    let caller = Caller::new(&service, tester).await;
    (service, caller)
}

async fn push(caller: &Caller, package: Vec<u8>) -> String {
    let answer = caller.post(&format!("/api/v1/jobs/{JOB}/messages"), package).await;
    let body = crate::wire::json(answer, reqwest::StatusCode::CREATED).await;
    body["id"].as_str().expect("an id").to_owned()
}

/// Everything that is counted, of the message and of each entity.
fn counts(message: &Message) -> Value {
    let entities = message.0["executions"][0]["entities"].as_array().expect("entities");
    let of_each: Vec<Value> = entities
        .iter()
        .map(|entity| {
            json!([
                entity["entity"],
                entity["staging"],
                entity["target"],
                entity["warnings"]
            ])
        })
        .collect();
    let executions = message.0["executions"].as_array().map(Vec::len);
    let errors = message.0["errors"].as_array().expect("errors");
    let errors: Vec<Value> = errors
        .iter()
        .map(|error| json!([error["code"], error["count"]]))
        .collect();
    json!([message.0["status"], message.0["records"], errors, executions, of_each])
}
