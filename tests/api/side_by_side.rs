//! Loads side by side: nobody waits for ever, no record is lost or lands twice, and small files do not wait for large ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::app::{Backend, Setup, TestApp};
use crate::support::raw_zip::{self, RawMember};

crate::on_both_backends!(
    two_imports_of_one_entity_end_both_and_add_up,
    keys_in_opposite_order_do_not_lock_each_other_out,
    packages_with_their_entities_in_opposite_order_end_both,
    a_small_file_does_not_wait_for_large_ones,
);

/// How often each pair is loaded.
const ROUNDS: usize = 10;
/// Records in each file: several batches and chunks.
const RECORDS: usize = 300;
/// Three entities of the same shape for each round, so that each round makes its tables, too.
const NAMES: [&str; 3] = ["Ants", "Bees", "Cats"];

fn entity(name: &str, round: usize) -> String {
    format!(
        "name = \"{name}{round}\"\nlabel = \"{name} {round}\"\ntable = \"{name}_{round}\"\ncreate_table = true\nkey = [\"id\"]\n\
         [[fields]]\nname = \"id\"\ntype = \"int\"\n[[fields]]\nname = \"name\"\nmax_length = 20\n"
    )
}

fn job(id: u32, name: &str, source: &str) -> String {
    let mut text = format!(
        "id = \"00000000-0000-4000-8000-0000000051d{id}\"\nname = \"{name}\"\ndirection = \"import\"\n\
         data_source = \"{source}\"\nclients = [\"tester\"]\n[import]\nformat = \"csv\"\n"
    );
    for round in 0..ROUNDS {
        for name in NAMES {
            writeln!(text, "[[import.entities]]\nentity = \"{name} {round}\"").unwrap();
        }
    }
    text
}

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        for (round, name) in (0..ROUNDS).flat_map(|round| NAMES.map(|name| (round, name))) {
            setup.file(
                &format!("entities/{name}-{round}.toml").to_lowercase(),
                &entity(name, round),
            );
        }
        setup.file("jobs/side.toml", &job(1, "Side by side", "file"));
        setup.file("jobs/packed.toml", &job(2, "Packed", "package"));
        setup.set("import.batch_records", "50");
        setup.set("import.chunk_records", "50");
        setup.set("queue.large_bytes", "20000");
    })
    .await
}

/// Records with these keys, all called the same.
fn csv(keys: impl Iterator<Item = usize>, name: &str) -> String {
    let mut file = "id,name\n".to_owned();
    for key in keys {
        writeln!(file, "{key},{name}").unwrap();
    }
    file
}

/// Both messages ended at their first attempt, all of their records applied; with what all of them inserted.
async fn inserted(app: &TestApp, ids: &[String], read: usize) -> u64 {
    let mut inserted = 0;
    for id in ids {
        let message = app.message(id).await;
        assert_eq!(message["status"], "Processed", "{message:#}");
        assert_eq!(message["attempt"], 1, "somebody had to try again: {message:#}");
        for member in ["read", "applied"] {
            assert_eq!(message["records"][member], read, "{message:#}");
        }
        inserted += message["records"]["inserted"].as_u64().unwrap();
    }
    inserted
}

/// How many rows of a table have each name.
async fn names(app: &TestApp, name: &str, round: usize) -> BTreeMap<String, usize> {
    let sql = format!("select name, cast(count(*) as text) from \"{name}_{round}\" group by name");
    let rows = app.rows(&sql).await.into_iter();
    rows.map(|row| (row[0].clone().unwrap(), row[1].as_deref().unwrap().parse().unwrap()))
        .collect()
}

async fn enqueued(app: &TestApp, entity: &str, files: [String; 2]) -> Vec<String> {
    let mut ids = Vec::new();
    for file in files {
        ids.push(app.enqueue("Side by side", entity, file).await);
    }
    ids
}

async fn two_imports_of_one_entity_end_both_and_add_up(backend: Backend) {
    let app = app(backend).await;
    for round in 0..ROUNDS {
        // Half of the keys are in both.
        let (one, two) = (0..RECORDS, RECORDS / 2..RECORDS / 2 + RECORDS);
        let ids = enqueued(&app, &format!("Ants {round}"), [csv(one, "one"), csv(two, "two")]).await;
        app.run_until_idle().await;
        assert_eq!(inserted(&app, &ids, RECORDS).await, (RECORDS + RECORDS / 2) as u64);
        let names = names(&app, "Ants", round).await;
        assert_eq!(names.values().sum::<usize>(), RECORDS + RECORDS / 2, "{names:?}");
        assert!(names["one"] >= RECORDS / 2 && names["two"] >= RECORDS / 2, "{names:?}");
    }
}

async fn keys_in_opposite_order_do_not_lock_each_other_out(backend: Backend) {
    let app = app(backend).await;
    for round in 0..ROUNDS {
        let files = [csv(0..RECORDS, "up"), csv((0..RECORDS).rev(), "down")];
        let ids = enqueued(&app, &format!("Ants {round}"), files).await;
        app.run_until_idle().await;
        assert_eq!(inserted(&app, &ids, RECORDS).await, RECORDS as u64);
        // And again, where all there is to do is to change rows.
        let files = [csv(0..RECORDS, "up again"), csv((0..RECORDS).rev(), "down again")];
        let ids = enqueued(&app, &format!("Ants {round}"), files).await;
        app.run_until_idle().await;
        assert_eq!(inserted(&app, &ids, RECORDS).await, 0);
        let names = names(&app, "Ants", round).await;
        assert_eq!(names.values().sum::<usize>(), RECORDS, "{names:?}");
        assert!(names.keys().all(|name| name.ends_with("again")), "{names:?}");
    }
}

/// A package with the round's entities in this order, each with the same keys.
fn package(round: usize, order: [&str; 3], name: &str) -> Vec<u8> {
    let file = csv(0..RECORDS, name);
    let mut members = vec![RawMember::stored("PackageHeader.xml", b"<x/>")];
    let mut listed = String::new();
    for (unit, entity) in order.iter().enumerate() {
        write!(
            listed,
            "<DataManagementPackageEntityData><EntityName>{entity} {round}</EntityName>\
             <InputFilePath>{entity}.csv</InputFilePath><ExecutionUnit>{}</ExecutionUnit></DataManagementPackageEntityData>",
            unit + 1
        )
        .unwrap();
        members.push(RawMember::stored(&format!("{entity}.csv"), file.as_bytes()));
    }
    let manifest = format!(
        "<DataManagementPackageManifest><PackageEntityList>{listed}</PackageEntityList></DataManagementPackageManifest>"
    );
    members.push(RawMember::stored("Manifest.xml", manifest.as_bytes()));
    raw_zip::zip(&members)
}

async fn packages_with_their_entities_in_opposite_order_end_both(backend: Backend) {
    let app = app(backend).await;
    let [ants, bees, cats] = NAMES;
    let path = format!("/api/connector/enqueue/{}", app.job("Packed"));
    for round in 0..ROUNDS {
        let mut ids = Vec::new();
        for file in [
            package(round, [ants, bees, cats], "up"),
            package(round, [cats, bees, ants], "down"),
        ] {
            ids.push(app.post(&path, file).await.json().await.unwrap());
        }
        app.run_until_idle().await;
        assert_eq!(inserted(&app, &ids, 3 * RECORDS).await, 3 * RECORDS as u64);
        for name in NAMES {
            let names = names(&app, name, round).await;
            assert_eq!(names.values().sum::<usize>(), RECORDS, "{name}: {names:?}");
        }
    }
}

/// What happened to whom, in its order: the messages by their place in `ids`.
async fn events(app: &TestApp, ids: &[String]) -> Vec<(usize, String)> {
    let id = if app.store.url.starts_with("sqlite") {
        "lower(hex(message))"
    } else {
        "replace(cast(message as text), '-', '')"
    };
    let sql = format!("select {id}, status from message_events order by seq");
    let rows = crate::support::databases::rows(&app.store.url, &sql).await;
    let place = |id: &str| ids.iter().position(|known| known.replace('-', "") == id);
    rows.into_iter()
        .filter_map(|row| Some((place(row[0].as_deref()?)?, row[1].clone()?)))
        .collect()
}

async fn a_small_file_does_not_wait_for_large_ones(backend: Backend) {
    let app = app(backend).await;
    let large = || csv(0..RECORDS * 10, "large");
    assert!(large().len() > 20_000);
    let mut ids = enqueued(&app, "Ants 0", [large(), large()]).await;
    ids.push(app.enqueue("Side by side", "Ants 0", csv(0..1, "small")).await);
    app.run_until_idle().await;
    let happened = events(&app, &ids).await;
    let when = |message: usize, status: &str| {
        happened
            .iter()
            .position(|event| *event == (message, status.to_owned()))
            .unwrap_or_else(|| panic!("{message} is never {status}: {happened:?}"))
    };
    assert!(
        when(2, "PreProcessing") < when(0, "Processed"),
        "beside the first: {happened:?}"
    );
    assert!(
        when(2, "Processed") < when(1, "PreProcessing"),
        "before the second: {happened:?}"
    );
    // Without it too, one of the two workers is kept for what is small.
    let ids = enqueued(&app, "Ants 0", [large(), large()]).await;
    app.run_until_idle().await;
    let happened = events(&app, &ids).await;
    assert!(
        happened.is_sorted_by_key(|(message, _)| *message),
        "one after the other: {happened:?}"
    );
}
