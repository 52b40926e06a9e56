//! What may be asked of an export: some entities, some records, one company, changes only.

use std::collections::BTreeMap;

use serde_json::json;

use super::{PROJECT, app, changes, define, package, refusal, run, run_of, write};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_preview_is_of_so_many_records_and_moves_no_position,
    entities_are_chosen_by_label_or_name,
    a_company_is_one_of_the_project_s,
    a_delta_is_of_tracked_entities,
    a_preview_of_a_composite_counts_its_outermost_records,
    a_preview_reads_no_more_than_it_shows,
    a_job_of_single_files_makes_one_package,
);

/// PKG-22.
async fn a_preview_is_of_so_many_records_and_moves_no_position(backend: Backend) {
    let app = app(backend).await;
    write(&app, "insert into prices values ('b', 2.25), ('c', 3.25)").await;
    for (action, asked) in [
        ("ExportToPackagePreview", json!({ "exportPreviewCount": 2 })),
        ("ExportToPackagePreviewAsync", json!({ "count": "2" })),
    ] {
        let id = run(&app, action, asked).await;
        let files = package(&app, &id).await;
        assert_eq!(files["Stock on hand.csv"].lines().count(), 3, "{files:?}");
        assert_eq!(files["Prices.csv"], "ITEM,Unit price\r\na,1.25\r\nb,2.25\r\n");
    }
    let all = run(&app, "ExportToPackagePreview", json!({})).await;
    assert_eq!(package(&app, &all).await["Prices.csv"].lines().count(), 4);
    let none = run(&app, "ExportToPackagePreview", json!({ "exportPreviewCount": 0 })).await;
    assert_eq!(package(&app, &none).await["Prices.csv"], "ITEM,Unit price\r\n");
    let path = format!("/api/v1/jobs/{}/positions", app.job(PROJECT));
    let listed: serde_json::Value = app.get(&path).await.json().await.unwrap();
    assert_eq!(listed["positions"], json!([]));
    assert_eq!(
        changes(&app, "ExportToPackage").await.len(),
        3,
        "the first run is a full one"
    );
}

/// PKG-22.
async fn entities_are_chosen_by_label_or_name(backend: Backend) {
    let app = app(backend).await;
    for (list, files) in [
        ("stock ON hand", vec!["Stock on hand.csv"]),
        ("Stock", vec!["Stock on hand.csv"]),
        (" Prices , Stock ,", vec!["Prices.csv", "Stock on hand.csv"]),
        ("", vec!["Prices.csv", "Stock on hand.csv"]),
    ] {
        let id = run(&app, "ExportToPackageAsync", json!({ "entityList": list })).await;
        let data: Vec<_> = package(&app, &id)
            .await
            .into_keys()
            .filter(|name| !["Manifest.xml", "PackageHeader.xml"].contains(&name.as_str()))
            .collect();
        assert_eq!(data, files, "{list}");
    }
}

async fn a_company_is_one_of_the_project_s(backend: Backend) {
    let app = app(backend).await;
    let id = run(&app, "ExportToPackage", json!({ "legalEntityId": "DEMF" })).await;
    let files = package(&app, &id).await;
    assert_eq!(files["Stock on hand.csv"], "ITEM,COMPANY,QUANTITY\r\nc,demf,3\r\n");
    assert_eq!(files["Prices.csv"].lines().count(), 2, "prices are of no company");
    // Its position is that company's: another company begins with everything.
    let id = run(&app, "ExportToPackage", json!({ "legalEntityId": "usmf" })).await;
    assert_eq!(package(&app, &id).await["Stock on hand.csv"].lines().count(), 3);

    let one = TestApp::with(backend, |setup| {
        define(setup);
        let job = super::EXPORT.replace("prevent_", "companies = [\"usmf\"]\nprevent_");
        setup.file("jobs/stock-export.toml", &job);
    })
    .await;
    let asked = json!({ "definitionGroupId": PROJECT, "legalEntityId": "demf" });
    let told = refusal(&one, "ExportToPackage", asked).await;
    assert!(told.contains("exports usmf alone"), "{told}");
}

/// PKG-21.
async fn a_delta_is_of_tracked_entities(backend: Backend) {
    let app = app(backend).await;
    for list in ["Prices", "Prices,Stock"] {
        let asked = json!({ "definitionGroupId": PROJECT, "entityList": list });
        let told = refusal(&app, "ExportToPackageDelta", asked).await;
        assert!(
            told.contains("`Prices`") && told.contains("refresh = \"incremental\""),
            "{told}"
        );
        assert!(!told.contains("`Stock on hand`"), "{told}");
    }
    // Of a whole project, the others are exported in full.
    run(&app, "ExportToPackage", json!({})).await;
    write(&app, "update stock set quantity = 9 where item = 'a'").await;
    let id = run(&app, "ExportToPackageDelta", json!({})).await;
    assert_eq!(package(&app, &id).await["Prices.csv"].lines().count(), 2);
}

const COMPOSITE: &str = r#"
name = "PricedStock"
label = "Priced stock"
[[composite]]
entity = "Stock on hand"
element = "STOCK"
[[composite]]
entity = "Prices"
element = "PRICE"
parent = "STOCK"
"#;

const COMPOSITE_EXPORT: &str = r#"
id = "00000000-0000-4000-8000-00000000dd02"
name = "Priced stock"
direction = "export"
clients = ["shop"]
[export]
format = "xml-element"
[[export.entities]]
entity = "Priced stock"
"#;

async fn preview(app: &TestApp, project: &str, count: u32) -> BTreeMap<String, String> {
    let asked = json!({ "exportPreviewCount": count });
    let id = run_of(app, project, "ExportToPackagePreview", asked).await;
    package(app, &id).await
}

async fn a_preview_of_a_composite_counts_its_outermost_records(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        define(setup);
        setup.file("entities/priced-stock.toml", COMPOSITE);
        setup.file("jobs/priced-stock.toml", COMPOSITE_EXPORT);
    })
    .await;
    let files = preview(&app, "Priced stock", 1).await;
    let xml = &files["Priced stock.xml"];
    assert_eq!(
        (xml.matches("<ITEM>a<").count(), xml.matches("<PRICE>").count()),
        (2, 2),
        "{xml}"
    );
    assert!(!xml.contains("<ITEM>b<"), "{xml}");

    // What stands in the last one comes along, however much was read before.
    let rows = |row: fn(u32) -> String| (101..=400).map(row).collect::<Vec<_>>().join(", ");
    let stock = rows(|item| format!("('i{item}', 'usmf', 1)"));
    let prices = rows(|item| format!("('i{item}', 1.25)"));
    write(&app, &format!("insert into stock values {stock}")).await;
    write(&app, &format!("insert into prices values ('b', 1.25), {prices}")).await;
    let files = preview(&app, "Priced stock", 251).await;
    let xml = &files["Priced stock.xml"];
    let last = xml.rsplit("<STOCK>").next().expect("a record");
    assert!(last.contains("<ITEM>i348<") && last.contains("<PRICE>"), "{last}");
}

/// A filter that works for minutes behind the first row.
const SLOW: &str = r#"
id = "00000000-0000-4000-8000-00000000dd04"
name = "Slow stock"
direction = "export"
data_source = "file"
clients = ["shop"]
[export]
format = "csv"
[[export.entities]]
entity = "Stock on hand"
filter = "item = 'a' or quantity > (with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000000000) select count(*) from n)"
"#;

async fn a_preview_reads_no_more_than_it_shows(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        define(setup);
        setup.file("jobs/slow-stock.toml", SLOW);
    })
    .await;
    let files = preview(&app, "Slow stock", 1).await;
    assert_eq!(files["Stock on hand.csv"].lines().count(), 2, "{files:?}");
}

const FILES: &str = r#"
id = "00000000-0000-4000-8000-00000000dd03"
name = "Stock files"
direction = "export"
data_source = "file"
clients = ["shop"]
[export]
format = "csv"
compression = "gzip"
split_records = 1
file_name = "{job}.csv"
[[export.entities]]
entity = "Stock on hand"
"#;

/// How a job splits, packs and names what it queues is not how somebody asked for a package.
async fn a_job_of_single_files_makes_one_package(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        define(setup);
        setup.file("jobs/stock-files.toml", FILES);
    })
    .await;
    let asked = json!({ "definitionGroupId": "Stock files", "executionId": "files" });
    super::value(&app, "ExportToPackage", asked).await;
    app.run_until_idle().await;
    let files = package(&app, "files").await;
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["Manifest.xml", "PackageHeader.xml", "Stock on hand.csv"]);
    assert_eq!(files["Stock on hand.csv"].lines().count(), 4);
}
