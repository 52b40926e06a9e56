//! Exports of composite entities: an XML file with the records of several entities inside one another (FMT-11), which an import of
//! the same composite reads back.

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Backend, Setup, TestApp};
use crate::packing::members;

crate::on_both_backends!(
    a_composite_comes_back_as_the_same_rows,
    a_package_holds_a_composite_among_others,
);

const ENTITIES: [(&str, &str); 4] = [
    (
        "entities/deals.toml",
        r#"
name = "Deals"
create_table = true
key = ["number"]
[[fields]]
name = "number"
type = "int"
[[fields]]
name = "title"
[[fields]]
name = "day"
type = "date"
formats = ["%d.%m.%Y"]
"#,
    ),
    (
        "entities/deal-lines.toml",
        r#"
name = "DealLines"
label = "Deal lines"
create_table = true
key = ["deal", "line"]
[[fields]]
name = "deal"
type = "int"
references = { entity = "Deals", field = "number" }
[[fields]]
name = "line"
type = "int"
[[fields]]
name = "price"
type = "decimal"
scale = 2
"#,
    ),
    (
        "entities/deal-notes.toml",
        r#"
name = "DealNotes"
label = "Deal notes"
create_table = true
key = ["deal", "line", "note"]
[[fields]]
name = "deal"
type = "int"
[[fields]]
name = "line"
type = "int"
[[fields]]
name = "note"
"#,
    ),
    (
        "entities/whole-deals.toml",
        r#"
name = "WholeDeals"
label = "Whole deals"
[[composite]]
entity = "Deals"
element = "DEAL"
[[composite]]
entity = "Deal lines"
element = "LINE"
parent = "Deals"
[[composite]]
entity = "Deal notes"
element = "NOTE"
parent = "Deal lines"
"#,
    ),
];

/// Also of a column of another name, and of translated values.
const IMPORT: &str = r#"
[[import.entities]]
entity = "Whole deals"
[[import.entities]]
entity = "Deal lines"
map = { Amount = "price" }
[import.entities.values.price]
none = "0.00"
"#;

const EXPORT: &str = r#"
[[export.entities]]
entity = "Whole deals"
[[export.entities]]
entity = "Deal lines"
map = { price = "Amount" }
order_by = ["price"]
[export.entities.values.price]
"0" = "none"
"#;

fn job(number: u32, name: &str, direction: &str, source: &str, rest: &str) -> String {
    format!(
        "id = \"00000000-0000-4000-8000-0000000c{number:04}\"\nname = \"{name}\"\ndirection = \"{direction}\"\n\
         data_source = \"{source}\"\nclients = [\"tester\"]\n[{direction}]\n{rest}"
    )
}

async fn app(backend: Backend, change: impl FnOnce(&mut Setup)) -> TestApp {
    let app = TestApp::with(backend, |setup| {
        for (name, text) in ENTITIES {
            setup.file(name, text);
        }
        for (number, format) in (0..).zip(["xml-element", "xml-attribute"]) {
            let (out, back) = (
                format!("format = \"{format}\"{EXPORT}"),
                format!("format = \"{format}\"{IMPORT}"),
            );
            setup.file(
                &format!("jobs/out-{format}.toml"),
                &job(number, &format!("Out {format}"), "export", "file", &out),
            );
            setup.file(
                &format!("jobs/in-{format}.toml"),
                &job(10 + number, &format!("In {format}"), "import", "file", &back),
            );
        }
        change(setup);
    })
    .await;
    let line = |line: u32, price: &str, notes: &str| format!("<LINE line=\"{line}\" Amount=\"{price}\">{notes}</LINE>");
    let note = "<NOTE note=\"&lt;fragile&gt;\"/><NOTE note=\"a &quot;b&quot;&#10;c\"/>";
    let file = format!(
        "<D><DEAL number=\"1\" title=\"Größe &amp; more\" day=\"31.01.2026\">{}{}</DEAL><DEAL number=\"2\" title=\"\" day=\"\"/>\
         <DEAL number=\"10\" title=\" x \" day=\"\">{}</DEAL></D>",
        line(1, "2.50", note),
        line(2, "none", ""),
        line(1, "7", "<NOTE note=\"last\"/>")
    );
    let message = app.import("In xml-attribute", "Whole deals", file).await;
    assert_eq!(message["records"]["inserted"], 9, "{message:#}");
    // No deal has it, so it stands in no document.
    crate::support::databases::run(
        &app.business.url,
        "insert into deal_lines (deal, line, price) values (3, 1, 1)",
    )
    .await;
    app
}

async fn rows(app: &TestApp) -> Vec<Vec<Option<String>>> {
    app.rows(
        "select cast(number as text), title, cast(day as text) from deals \
         union all select deal || '/' || line, cast(price as text), '' from deal_lines where deal <> 3 \
         union all select deal || '/' || line, note, '' from deal_notes order by 1, 2",
    )
    .await
}

async fn exported(app: &TestApp, job: &str) -> (Value, Vec<u8>) {
    let path = format!("/api/v1/jobs/{}", app.job(job));
    let answer = app.post(&format!("{path}/run"), "").await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    app.run_until_idle().await;
    let shown: Value = app
        .get(&format!("{path}/occurrences?limit=1"))
        .await
        .json()
        .await
        .unwrap();
    let occurrence = shown["occurrences"][0].clone();
    assert_eq!(occurrence["state"], "done", "{occurrence:#}");
    let id = occurrence["message"].as_str().unwrap();
    let answer = app.get(&format!("/api/v1/messages/{id}/payload")).await;
    (occurrence, answer.bytes().await.unwrap().to_vec())
}

const ELEMENTS: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r
<Document xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\r
  <DEAL><number>1</number><title>Größe &amp; more</title><day>31.01.2026</day>\r
    <LINE><deal>1</deal><line>2</line><Amount>none</Amount>\r
    </LINE>\r
    <LINE><deal>1</deal><line>1</line><Amount>2.50</Amount>\r
      <NOTE><deal>1</deal><line>1</line><note>&lt;fragile&gt;</note></NOTE>\r
      <NOTE><deal>1</deal><line>1</line><note>a \"b\"\nc</note></NOTE>\r
    </LINE>\r
  </DEAL>\r
  <DEAL><number>2</number><title xsi:nil=\"true\"/><day xsi:nil=\"true\"/>\r
  </DEAL>\r
  <DEAL><number>10</number><title> x </title><day xsi:nil=\"true\"/>\r
    <LINE><deal>10</deal><line>1</line><Amount>7.00</Amount>\r
      <NOTE><deal>10</deal><line>1</line><note>last</note></NOTE>\r
    </LINE>\r
  </DEAL>\r
</Document>\r
";

async fn a_composite_comes_back_as_the_same_rows(backend: Backend) {
    let app = app(backend, |_| {}).await;
    let before = rows(&app).await;
    assert_eq!(before.len(), 9);
    for format in ["xml-element", "xml-attribute"] {
        let (occurrence, file) = exported(&app, &format!("Out {format}")).await;
        assert_eq!(occurrence["records"], 9, "the line without a deal is not among them");
        if format == "xml-element" {
            assert_eq!(String::from_utf8_lossy(&file), ELEMENTS);
        }
        for table in ["deals", "deal_lines", "deal_notes"] {
            crate::support::databases::run(&app.business.url, &format!("delete from {table}")).await;
        }
        let message = app.import(&format!("In {format}"), "Whole deals", file).await;
        assert_eq!(message["status"], "Processed", "{message:#}");
        assert_eq!(rows(&app).await, before, "{format}");
    }
}

async fn a_package_holds_a_composite_among_others(backend: Backend) {
    let app = app(backend, |setup| {
        let out = format!("format = \"xml-element\"{EXPORT}[[export.entities]]\nentity = \"Customers\"\n");
        setup.file(
            "jobs/out-package.toml",
            &job(20, "Out package", "export", "package", &out),
        );
        let back = format!("format = \"csv\"{IMPORT}[[import.entities]]\nentity = \"Customers\"\n");
        setup.file(
            "jobs/in-package.toml",
            &job(21, "In package", "import", "package", &back),
        );
    })
    .await;
    app.import(
        "Inbound customers",
        "Customers",
        "CustomerID,CompanyName\r\nAAAAA,One\r\n",
    )
    .await;
    let before = rows(&app).await;
    let (occurrence, package) = exported(&app, "Out package").await;
    assert_eq!(occurrence["records"], 10);
    let files = members(&package);
    let text = |name: &str| {
        &files
            .iter()
            .find(|(other, _)| other == name)
            .unwrap_or_else(|| panic!("{name}"))
            .1
    };
    assert_eq!(text("Whole deals.xml"), ELEMENTS);
    assert!(text("Customers.xml").contains("  <CUSTOMERSENTITY><customer_account>AAAAA</customer_account>"));
    let sidecar: Value = serde_json::from_str(text("tranship.json")).unwrap();
    let counts: Vec<_> = sidecar["files"][0]["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["records"].clone())
        .collect();
    assert_eq!(counts, [3, 3, 3]);
    for table in ["deals", "deal_lines", "deal_notes"] {
        crate::support::databases::run(&app.business.url, &format!("delete from {table}")).await;
    }
    let answer = app
        .post(&format!("/api/connector/enqueue/{}", app.job("In package")), package)
        .await;
    let id: String = answer.json().await.unwrap();
    app.run_until_idle().await;
    let message = app.message(&id).await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    assert_eq!(rows(&app).await, before);
}
