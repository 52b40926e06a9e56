//! Packages: several files of several entities in one message, each loaded to its own end.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::support::files;

crate::on_both_backends!(
    a_package_loads_its_entities_in_their_order,
    rejects_of_a_package_come_back_as_a_package,
    a_file_that_cannot_be_read_costs_its_entity_alone,
    a_missing_file_costs_its_entity_alone_and_values_are_converted,
    what_was_read_before_a_file_broke_is_counted_and_shown,
    what_is_no_package_says_so_and_loads_nothing,
);

const JOB: &str = r#"
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

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/inbound-packages.toml", JOB);
    })
    .await
}

/// An entity of a manifest: its label, file, format and place.
struct Listed<'a> {
    label: &'a str,
    file: &'a str,
    format: &'a str,
    level: u32,
}

const CUSTOMERS: Listed<'_> = Listed {
    label: "Customers",
    file: "Customers.csv",
    format: "CSV",
    level: 1,
};
const ORDERS: Listed<'_> = Listed {
    label: "Sales order headers",
    file: "Sales order headers.xml",
    format: "XML-Element",
    level: 2,
};

fn manifest(entities: &[&Listed<'_>]) -> String {
    let entity = |listed: &&Listed<'_>| {
        format!(
            "<DataManagementPackageEntityData><EntityName>{}</EntityName><InputFilePath>{}</InputFilePath>\
             <SourceFormat>{}</SourceFormat><ExecutionUnit>1</ExecutionUnit>\
             <LevelInExecutionUnit>{}</LevelInExecutionUnit><SequenceInLevel>1</SequenceInLevel>\
             </DataManagementPackageEntityData>",
            listed.label, listed.file, listed.format, listed.level
        )
    };
    format!(
        "<DataManagementPackageManifest xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\">\
         <DefinitionGroupName>Demo</DefinitionGroupName><PackageEntityList>{}</PackageEntityList>\
         </DataManagementPackageManifest>",
        entities.iter().map(entity).collect::<String>()
    )
}

fn package(members: &[(&str, &str)]) -> Vec<u8> {
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    package_of_bytes(&members)
}

fn package_of_bytes(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const HEADER: (&str, &str) = ("PackageHeader.xml", "<DataManagementPackageHeader/>");

async fn import(app: &TestApp, bytes: Vec<u8>) -> Value {
    let path = format!("/api/connector/enqueue/{}", app.job("Inbound packages"));
    let answer = app.post(&path, bytes).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let id: String = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(&id).await
}

fn order(id: &str, customer: &str) -> String {
    format!(
        "<ORDERENTITY><OrderID>{id}</OrderID><CustomerID>{customer}</CustomerID>\
         <OrderDate>2026-01-05</OrderDate></ORDERENTITY>"
    )
}

async fn accounts(app: &TestApp, table: &str, column: &str) -> Vec<String> {
    let rows = app
        .rows(&format!("select {column} from {table} order by {column}"))
        .await;
    rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

async fn a_package_loads_its_entities_in_their_order(backend: Backend) {
    let app = app(backend).await;
    let orders = format!("<Document>{}{}</Document>", order("1", "AAAAA"), order("2", "BBBBB"));
    // What is listed first refers to what is loaded first.
    let message = import(
        &app,
        package(&[
            (ORDERS.file, &orders),
            ("customers.CSV", "CustomerID,CompanyName\r\nAAAAA,One\r\nBBBBB,Two\r\n"),
            ("Manifest.xml", &manifest(&[&ORDERS, &CUSTOMERS])),
            HEADER,
        ]),
    )
    .await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    assert_eq!(message["records"]["inserted"], 4);
    let entities = message["executions"][0]["entities"].as_array().unwrap();
    let shown: Vec<Value> = entities
        .iter()
        .map(|entity| {
            json!([
                entity["entity"],
                entity["staging"]["records"],
                entity["target"]["status"]
            ])
        })
        .collect();
    assert_eq!(
        shown,
        [
            json!(["Sales order headers", 2, "Finished"]),
            json!(["Customers", 2, "Finished"])
        ]
    );
    assert_eq!(
        accounts(&app, "customers", "customer_account").await,
        ["AAAAA", "BBBBB"]
    );
    assert_eq!(accounts(&app, "sales_order_headers", "order_number").await, ["1", "2"]);
}

async fn rejects_of_a_package_come_back_as_a_package(backend: Backend) {
    let app = app(backend).await;
    let orders = format!("<Document>{}{}</Document>", order("1", "AAAAA"), order("2", "ZZZZZ"));
    let manifest = manifest(&[&CUSTOMERS, &ORDERS]);
    let message = import(
        &app,
        package(&[
            ("Manifest.xml", &manifest),
            HEADER,
            (CUSTOMERS.file, "CustomerID,CompanyName\r\nAAAAA,One\r\n"),
            (ORDERS.file, &orders),
        ]),
    )
    .await;
    assert_eq!(message["status"], "ProcessedWithErrors", "{message:#}");
    let counts = ["read", "inserted", "rejected"].map(|member| message["records"][member].clone());
    assert_eq!(counts, [3, 2, 1].map(Value::from));
    let id = message["id"].as_str().unwrap();
    let answer = app.get(&format!("/api/v1/messages/{id}/rejects")).await;
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let bytes = answer.bytes().await.unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&bytes[..])).unwrap();
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let mut member = zip.by_index(index).unwrap();
        let mut text = String::new();
        member.read_to_string(&mut text).unwrap();
        members.push((member.name().unwrap().into_owned(), text.replace("ZZZZZ", "AAAAA")));
    }
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Manifest.xml", "PackageHeader.xml", ORDERS.file]);
    assert_eq!(members[0].1, manifest, "as it was sent");
    let members: Vec<(&str, &str)> = members.iter().map(|(name, text)| (&**name, &**text)).collect();
    let answer = app
        .post(&format!("/api/v1/messages/{id}/resubmit"), package(&members))
        .await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    let child = app.message(child["id"].as_str().unwrap()).await;
    assert_eq!(child["status"], "Processed", "{child:#}");
    assert_eq!(child["records"]["inserted"], 1);
    assert_eq!(app.message(id).await["records"]["repaired"], 1);
}

async fn a_file_that_cannot_be_read_costs_its_entity_alone(backend: Backend) {
    let app = app(backend).await;
    let message = import(
        &app,
        package(&[
            ("Manifest.xml", &manifest(&[&CUSTOMERS, &ORDERS])),
            HEADER,
            (CUSTOMERS.file, "CustomerID,CompanyName\r\nAAAAA,One\r\n"),
            (ORDERS.file, "no XML"),
        ]),
    )
    .await;
    assert_eq!(message["status"], "ProcessedWithErrors", "{message:#}");
    assert_eq!(message["failure"]["code"], "xml_expected");
    let detail = message["failure"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("Sales order headers: "), "{detail}");
    assert_eq!(message["records"]["inserted"], 1);
    let entities = &message["executions"][0]["entities"];
    assert_eq!(
        (&entities[0]["target"]["status"], &entities[1]["staging"]["status"]),
        (&json!("Finished"), &json!("Error"))
    );
}

async fn a_missing_file_costs_its_entity_alone_and_values_are_converted(backend: Backend) {
    let app = app(backend).await;
    let map = "<EntityMapList><EntityMap><EntityField>COMPANYNAME</EntityField><XMLField>Firm</XMLField><IsAutoDefault>Yes</IsAutoDefault>\
        <EntityFieldConversionList><EntityFieldConversion><IsDefault>No</IsDefault><SourceStrValue>1</SourceStrValue>\
        <StagingStrValue>One and Sons</StagingStrValue></EntityFieldConversion><EntityFieldConversion><IsDefault>Yes</IsDefault>\
        <StagingStrValue>Nameless</StagingStrValue></EntityFieldConversion></EntityFieldConversionList></EntityMap></EntityMapList>";
    let listed = manifest(&[&CUSTOMERS, &ORDERS]).replacen("<ExecutionUnit>", &format!("{map}<ExecutionUnit>"), 1);
    let message = import(
        &app,
        package(&[
            ("Manifest.xml", &listed),
            HEADER,
            (
                CUSTOMERS.file,
                "CustomerID,Firm\r\nAAAAA,1\r\nBBBBB,\r\nCCCCC,Three\r\n",
            ),
        ]),
    )
    .await;
    assert_eq!(message["status"], "ProcessedWithErrors", "{message:#}");
    assert_eq!(message["failure"]["code"], "package_file_missing");
    assert_eq!(message["records"]["inserted"], 3);
    let rows = app
        .rows("select company_name from customers order by customer_account")
        .await;
    let names: Vec<String> = rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    assert_eq!(names, ["One and Sons", "Nameless", "Three"]);
}

/// A file that breaks off after some of it was staged: what was rejected until then is shown, the rest is skipped.
async fn what_was_read_before_a_file_broke_is_counted_and_shown(backend: Backend) {
    let app = TestApp::with(backend, |setup: &mut Setup| {
        setup.file("jobs/inbound-packages.toml", JOB);
        setup.set("import.batch_records", "200");
    })
    .await;
    let mut customers = "CustomerID,CompanyName\r\nBAD,\r\n".to_owned();
    for number in 0..4_000 {
        writeln!(customers, "C{number},{:x}", number * 7_919 % 104_729).unwrap();
    }
    let mut packed = files::gzip(customers.as_bytes());
    packed.truncate(packed.len() - 100);
    for listed in [vec![&CUSTOMERS], vec![&CUSTOMERS, &ORDERS]] {
        let manifest = manifest(&listed);
        let members: [(&str, &[u8]); 4] = [
            ("Manifest.xml", manifest.as_bytes()),
            (HEADER.0, HEADER.1.as_bytes()),
            (CUSTOMERS.file, &packed),
            (ORDERS.file, b"<Document/>"),
        ];
        let message = import(&app, package_of_bytes(&members)).await;
        assert_eq!(message["failure"]["code"], "packing_damaged", "{message:#}");
        let count = |member: &str| message["records"][member].as_u64().unwrap();
        assert!(count("read") >= 200, "{message:#}");
        assert_eq!((count("applied"), count("rejected")), (0, 1), "{message:#}");
        assert_eq!(count("skipped"), count("read") - 1);
        let id = message["id"].as_str().unwrap();
        let errors: Value = app
            .get(&format!("/api/v1/messages/{id}/errors"))
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(errors["errors"][0]["code"], "required_missing", "{errors}");
        let entity = &message["executions"][0]["entities"][0];
        assert_eq!(
            (&entity["staging"]["status"], &entity["target"]["status"]),
            (&json!("Error"), &json!("NotRun"))
        );
    }
}

async fn what_is_no_package_says_so_and_loads_nothing(backend: Backend) {
    let app = app(backend).await;
    let customers = (CUSTOMERS.file, "CustomerID,CompanyName\r\nAAAAA,One\r\n");
    let listed = manifest(&[&CUSTOMERS]);
    let good = ("Manifest.xml", listed.as_str());
    let orders = manifest(&[&ORDERS]);
    let transform = "<EntityTransformList><EntityTransform><XsltFileName>a.xslt</XsltFileName></EntityTransform></EntityTransformList>";
    let transformed = listed.replace("<ExecutionUnit>", &format!("{transform}<ExecutionUnit>"));
    let strange = manifest(&[&Listed {
        label: "Vendors",
        ..CUSTOMERS
    }]);
    let cases: [(&str, Vec<u8>); 10] = [
        ("package_damaged", b"CustomerID\r\nAAAAA\r\n".to_vec()),
        ("package_header_missing", package(&[good, customers])),
        ("manifest_missing", package(&[HEADER, customers])),
        (
            "manifest_damaged",
            package(&[("Manifest.xml", "<x"), HEADER, customers]),
        ),
        (
            "package_file_missing",
            package(&[("Manifest.xml", &orders), HEADER, customers]),
        ),
        (
            "transform_unsupported",
            package(&[("Manifest.xml", &transformed), HEADER, customers]),
        ),
        (
            "package_unsafe_name",
            package(&[good, HEADER, customers, ("../etc/passwd", "x")]),
        ),
        (
            "package_unsafe_name",
            package(&[good, HEADER, customers, ("/etc/passwd", "x")]),
        ),
        (
            "entity_unknown",
            package(&[("Manifest.xml", &strange), HEADER, customers]),
        ),
        (
            "package_empty",
            package(&[("Manifest.xml", &manifest(&[])), HEADER, customers]),
        ),
    ];
    for (code, bytes) in cases {
        let message = import(&app, bytes).await;
        assert_eq!(message["failure"]["code"], code, "{message:#}");
        assert_eq!(message["status"], "PreProcessingError", "{message:#}");
        assert_eq!(message["records"]["read"], 0);
    }
}
