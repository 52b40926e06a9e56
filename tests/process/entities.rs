//! Entities from tables that are there: written by `tranship entities add`, or left to the table and read at start and on
//! SIGHUP.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::on_both_databases;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::{TestDatabase, rows, run};
use crate::wire::Caller;

on_both_databases!(
    files_made_of_tables_pass_the_check_and_load,
    composites_rules_and_what_is_missing_are_shown,
    the_running_service_follows_its_table_and_survives_its_loss,
    a_start_whose_tables_cannot_be_read_says_where,
);

const JOB: &str = "6d31e09f-0249-459f-94f0-aad9c2c47b64";

fn job(entity: &str) -> String {
    format!(
        "id = \"{JOB}\"\nname = \"Inbound\"\ndirection = \"import\"\nclients = [\"tester\"]\n[import]\nformat = \"csv\"\n\
         [[import.entities]]\nentity = \"{entity}\"\n"
    )
}

/// A shop's tables, with what the database fills itself.
fn shop(url: &str) -> String {
    let numbered = if url.starts_with("sqlite") {
        "integer primary key autoincrement"
    } else {
        "serial primary key"
    };
    format!(
        "create table customers (id {numbered}, account varchar(10) not null unique, name varchar(40) not null, made date);
         create table order_lines (order_number varchar(20) not null, line_number int not null, customer varchar(10) \
         references customers (account), price numeric(10,2) not null, twice numeric(12,2) generated always as (price * 2) stored, \
         note text default 'none' not null, primary key (order_number, line_number));
         create table log (line text);"
    )
}

fn answer(site: &Site, arguments: &[&str]) -> Value {
    let output = site.run(arguments);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What a command that must end with 2 says.
fn complaint(site: &Site, arguments: &[&str]) -> String {
    ends_with(2, site, arguments)
}

/// What a command says that must end with this code.
fn ends_with(code: i32, site: &Site, arguments: &[&str]) -> String {
    let output = site.command(arguments).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

async fn files_made_of_tables_pass_the_check_and_load(store: TestDatabase) {
    let site = Site::on(store).await;
    run(site.business_url(), &shop(site.business_url())).await;
    let made = answer(&site, &["entities", "add", "--all", "--json"]);
    let entities: Vec<_> = made["entities"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| &e["entity"])
        .collect();
    assert_eq!(entities, ["Customers", "OrderLines"]);
    assert_eq!(
        made["entities"][0]["key"],
        serde_json::json!(["account"]),
        "its number is nothing files bring"
    );
    assert_eq!(made["left_out"][0]["table"], "log");
    assert!(
        made["left_out"][0]["reason"]
            .as_str()
            .expect("text")
            .contains("no primary or unique key")
    );

    site.run(&["check"]);
    let lines = answer(&site, &["entities", "show", "order lines", "--json"]);
    assert_eq!(lines["table_is_there"], true);
    let fields: Vec<_> = lines["fields"].as_array().expect("a list").iter().collect();
    let names: Vec<_> = fields
        .iter()
        .map(|field| field["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        ["order_number", "line_number", "customer", "price", "note"],
        "not the computed one"
    );
    assert_eq!(
        fields[2]["references"],
        serde_json::json!({"entity": "Customers", "field": "account"})
    );
    assert_eq!(
        (fields[2]["max_length"].as_u64(), fields[3]["required"].as_bool()),
        (Some(10), Some(true))
    );
    assert_eq!(fields[4]["required"], false, "its default fills it");

    // Nothing is written over, and another entity for the same table is refused.
    let file = std::fs::read_to_string(site.path("entities/customers.toml")).expect("it is there");
    site.write("entities/customers.toml", &format!("# mine\n{file}"));
    let said = complaint(&site, &["entities", "add", "--table", "customers"]);
    assert!(
        said.contains("customers.toml exists already") && said.contains("--force"),
        "{said}"
    );
    let said = complaint(&site, &["entities", "add", "--table", "customers", "--name", "Clients"]);
    assert!(said.contains("has an entity already, `Customers`"), "{said}");
    let printed = site.run(&["entities", "add", "--table", "customers", "--print"]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout), file);
    site.run(&["entities", "add", "--table", "customers", "--force"]);
    assert_eq!(
        std::fs::read_to_string(site.path("entities/customers.toml")).expect("it is there"),
        file
    );
    let said = ends_with(5, &site, &["entities", "add", "--table", "custmers"]);
    assert!(said.contains("did you mean `customers`"), "{said}");

    site.write("jobs/inbound.toml", &job("Customers"));
    let client = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &client).await;
    let id = caller
        .push(
            JOB,
            "Customers",
            "account,name,made\nA,Ann,2026-01-31\nB,Bob,\nC,,\n".into(),
        )
        .await;
    let ended = caller.ended(&id).await;
    assert_eq!(
        (ended.records("inserted"), ended.records("rejected")),
        (2, 1),
        "{}",
        ended.0
    );
    let landed = rows(
        site.business_url(),
        "select cast(id as text), name from customers order by 1",
    )
    .await;
    assert_eq!(landed.len(), 2, "the database numbered them");
    assert!(service.stop().await.success());
}

async fn composites_rules_and_what_is_missing_are_shown(store: TestDatabase) {
    let site = Site::on(store).await;
    run(site.business_url(), &shop(site.business_url())).await;
    site.run(&["entities", "add", "--all"]);
    let both = "name = \"Both\"\n[[composite]]\nentity = \"Customers\"\nelement = \"C\"\n\
                [[composite]]\nentity = \"OrderLines\"\nelement = \"L\"\nparent = \"Customers\"\n";
    site.write("entities/both.toml", both);
    let tags = "name = \"Tags\"\ncreate_table = true\nkey = [\"name\"]\n[[fields]]\nname = \"name\"\n\
                [[fields]]\nname = \"code\"\ncompute = \"{name}-{record_number()}\"\n\
                [[rules]]\nname = \"short\"\ncheck = \"length(name) < 5\"\nmessage = \"too long\"\n";
    site.write("entities/tags.toml", tags);
    site.run(&["check"]);
    let listed = answer(&site, &["entities", "list", "--json"]);
    assert_eq!(
        listed["composites"][0]["entities"],
        serde_json::json!(["Customers", "OrderLines"])
    );
    let shown = answer(&site, &["entities", "show", "tags", "--json"]);
    assert_eq!(
        (&shown["fields"][1]["compute"], &shown["rules"][0]["rule"]),
        (
            &serde_json::json!("{name}-{record_number()}"),
            &serde_json::json!("short")
        )
    );
    let printed = site.run(&["entities", "show", "tags"]);
    let printed = String::from_utf8_lossy(&printed.stdout);
    assert!(
        printed.contains("{name}-{record_number()}") && printed.contains("length(name) < 5"),
        "{printed}"
    );
}

/// Waits until the log says it so many times.
async fn said(service: &Service, words: &str, times: usize) {
    let began = Instant::now();
    while service.log().matches(words).count() < times {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not said: {words}\n{}",
            service.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn the_running_service_follows_its_table_and_survives_its_loss(store: TestDatabase) {
    let site = Site::on(store).await;
    run(site.business_url(), &shop(site.business_url())).await;
    site.write("entities/customers.toml", "name = \"Customers\"\n");
    site.write("jobs/inbound.toml", &job("Customers"));
    let client = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &client).await;
    let push = async |file: &'static str| {
        let id = caller.push(JOB, "Customers", file.into()).await;
        caller.ended(&id).await
    };
    let before = push("account,name,town\nA,Ann,Ulm\n").await;
    assert_eq!(before.status(), "Processed", "{}", before.0);
    assert!(
        before.0.to_string().contains("no field takes these columns"),
        "{}",
        before.0
    );

    run(site.business_url(), "alter table customers add column town varchar(20)").await;
    service.reload();
    said(&service, "definitions reloaded", 1).await;
    let after = push("account,name,town\nA,Ann,Ulm\nB,Bob,a town with a very long name\n").await;
    assert_eq!(
        (after.records("updated"), after.records("rejected")),
        (1, 1),
        "{}",
        after.0
    );

    // A table that cannot be read is a mistake like any other: the running set stays as it was.
    run(site.business_url(), "alter table customers rename to clients").await;
    service.reload();
    said(&service, "definitions not reloaded", 1).await;
    let log = service.log();
    assert!(
        log.contains("customers.toml:1: the fields are to be read from table `customers`"),
        "{log}"
    );
    run(site.business_url(), "alter table clients rename to customers").await;
    let still = push("account,name,town\nC,Cid,Bonn\n").await;
    assert_eq!(still.records("inserted"), 1, "{}", still.0);
    assert!(service.stop().await.success());
}

async fn a_start_whose_tables_cannot_be_read_says_where(store: TestDatabase) {
    let mut site = Site::on(store).await;
    site.write(
        "entities/customers.toml",
        "name = \"Customers\"\ntable = \"custmers\"\n",
    );
    run(site.business_url(), &shop(site.business_url())).await;
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"]] {
        let said = complaint(&site, command);
        assert!(
            said.contains("customers.toml:2: the fields are to be read from table `custmers`"),
            "{said}"
        );
        assert!(said.contains("did you mean `customers`"), "{said}");
    }
    // Somebody takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    site.set(
        "TRANSHIP_DATABASES__MAIN__URL",
        &format!("postgres://somebody:s3cret@{address}/tranship"),
    );
    site.write("entities/others.toml", "name = \"Others\"\n");
    let began = Instant::now();
    let said = complaint(&site, &["check"]);
    assert!(
        said.contains("2 mistakes") && said.contains("no answer within 5 s") && !said.contains("s3cret"),
        "{said}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "each database is waited for once: {:?}",
        began.elapsed()
    );
}
