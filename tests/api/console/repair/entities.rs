//! Messages of several entities are corrected entity by entity.

use super::super::browser::Browser;
use super::{child, payload, repair, send};
use crate::app::{Backend, Setup, TestApp};
use crate::composites::{self, document, line, order};
use crate::packing::{HEADER, Listed, manifest, members, package};

crate::on_both_backends!(
    entities_of_a_package_are_corrected_each_by_itself,
    records_inside_others_are_corrected_where_they_stand,
);

/// A package whose first file is delimited text and whose second is XML.
const PACKAGES: &str = r#"
id = "00000000-0000-4000-8000-00000000ac4a"
name = "Inbound packages"
direction = "import"
data_source = "package"
clients = ["tester"]
[import]
format = "csv"
[[import.entities]]
entity = "Customers"
map = { CustomerID = "customer_account" }
[[import.entities]]
entity = "Sales order headers"
map = { OrderID = "order_number", CustomerID = "customer_account" }
"#;

async fn entities_of_a_package_are_corrected_each_by_itself(backend: Backend) {
    let app = TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/inbound-packages.toml", PACKAGES);
    })
    .await;
    let listed = |label, file, format, level| Listed {
        label,
        file,
        format,
        place: (1, level, 1),
        flags: "",
    };
    let customers = listed("Customers", "Customers.csv", "CSV", 1);
    let orders = listed("Sales order headers", "Orders.xml", "XML-Element", 2);
    let dated = |id: &str, date: &str| {
        format!("<ORDER><OrderID>{id}</OrderID><CustomerID>AAAAA</CustomerID><order_date>{date}</order_date></ORDER>\n")
    };
    let file = package(&[
        HEADER,
        ("Manifest.xml", &manifest(&[&customers, &orders])),
        ("Customers.csv", "CustomerID,CompanyName\r\nAAAAA,One\r\n,No key\r\n"),
        (
            "Orders.xml",
            &format!(
                "<Document>\n{}{}</Document>",
                dated("1", "2026-01-05"),
                dated("2", "some day")
            ),
        ),
    ]);
    let path = format!("/api/connector/enqueue/{}", app.job("Inbound packages"));
    let id: String = app.post(&path, file).await.json().await.unwrap();
    app.run_until_idle().await;
    let parent = app.message(&id).await;
    assert_eq!(parent["records"]["rejected"], 2, "{parent:#}");
    let browser = Browser::of(&app, "op", "operator").await;
    let path = repair(&parent);
    let page = browser.see(&path).await;
    page.says("Sales order headers 1");
    let answer = send(&browser, &page, &path, |name, _| {
        (name == "c2.0").then(|| "BBBBB".to_owned())
    })
    .await;
    let first = child(&app, &answer).await;
    assert_eq!(first["status"], "Processed", "{first:#}");
    assert_eq!(
        (&first["records"]["read"], &first["records"]["inserted"]),
        (&1.into(), &1.into())
    );
    let sent = members(&payload(&app, &first).await);
    assert!(sent.iter().all(|(name, _)| name != "Orders.xml"), "{sent:?}");

    let page = browser.see(&format!("{path}?entity=1")).await;
    let answer = send(&browser, &page, &path, |_, value| {
        (value == "some day").then(|| "2026-01-06".to_owned())
    })
    .await;
    let second = child(&app, &answer).await;
    assert_eq!(second["status"], "Processed", "{second:#}");
    assert_eq!(second["records"]["inserted"], 1);
    browser
        .see(answer.location())
        .await
        .says("order_date some day 2026-01-06");
    assert_eq!(app.message(&id).await["records"]["repaired"], 2);
    let nothing = browser.see(&format!("{path}?entity=9")).await;
    nothing.says("has no entity number 9");
}

async fn records_inside_others_are_corrected_where_they_stand(backend: Backend) {
    let app = composites::app(backend, |_| {}).await;
    let file = document(&[
        order("1", "AAAAA", &[line("1", "5"), line("2", "many")]),
        order("2", "ZZZZZ", &[line("1", "5")]),
    ]);
    let parent = app.import("Inbound composites", "Sales orders", file).await;
    assert_eq!(parent["records"]["rejected"], 3, "{parent:#}");
    let browser = Browser::of(&app, "op", "operator").await;
    let path = repair(&parent);
    let page = browser.see(&path).await;
    page.says("Sales order headers 1");
    page.says("Sales order lines 2");
    let correct = async |at: &str, wrong: &str, right: &str| {
        let page = browser.see(at).await;
        // What a line has from its order is the order's to change.
        page.does_not_say("(inherited)");
        let answer = send(&browser, &page, &path, |_, value| {
            (value == wrong).then(|| right.to_owned())
        })
        .await;
        let child = child(&app, &answer).await;
        assert_eq!(child["records"]["inserted"], 1, "{child:#}");
        browser.see(answer.location()).await.says(&format!("{wrong} {right}"));
    };
    correct(&path, "ZZZZZ", "BBBBB").await;
    correct(&format!("{path}?entity=1"), "many", "7").await;
    let sent = browser.see(&format!("{path}?entity=1")).await;
    sent.says("2 ✓ repaired");
    let rows = app
        .rows("select order_number, cast(quantity as text) from sales_order_lines where line_number = 2")
        .await;
    assert_eq!(rows, [[Some("1".to_owned()), Some("7".to_owned())]]);
}
