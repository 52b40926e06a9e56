//! Known clients of the real product, one file each: the very bytes they send, and their answers read as they read them. What each does is
//! written in the wire contract (its marks `client …`); the rules that a file exercises stand at its tests.

mod logic_app;
mod practitioners_status;
mod ps_dmf;
mod ris_connection;
mod ris_download;
mod ris_export;
mod ris_import;
mod ris_monitor;
mod ris_upload;
mod wire;

use crate::app::{Backend, TestApp};
use crate::client::relay;
use wire::{Body, Wire};

/// The environment's URL: every client has one, and most do not know another port than 443.
const BASE: &str = "https://erp.example.test";
/// An entity whose label is no ASCII, and has a space and a sign that means something in a query.
const ENTITY: &str = "name = \"Prices\"\nlabel = \"Preise & Größen 😀\"\ntable = \"prices\"\ncreate_table = true\nkey = [\"item\"]\n\
    [[fields]]\nname = \"item\"\nmax_length = 10\n[[fields]]\nname = \"price\"\ntype = \"int\"\n";
const IMPORT: &str = "id = \"00000000-0000-4000-8000-00000000ee01\"\nname = \"Inbound prices\"\ndirection = \"import\"\nclients = [\"ris\"]\n[import]\n\
    format = \"csv\"\n[[import.entities]]\nentity = \"Prices\"\n[[import.entities]]\nentity = \"Customers\"\nmap = { CustomerID = \
    \"customer_account\" }\n";
const EXPORT: &str = "id = \"00000000-0000-4000-8000-00000000ee02\"\nname = \"Prices export\"\ndirection = \"export\"\nclients = [\"ris\"]\n[export]\n\
    format = \"csv\"\n[[export.entities]]\nentity = \"Prices\"\n";
/// The label in an address, as most clients write it.
const LABEL: &str = "Preise%20%26%20Gr%C3%B6%C3%9Fen%20%F0%9F%98%80";
/// Its activity id.
const IMPORT_ID: &str = "00000000-0000-4000-8000-00000000ee01";

/// The application behind the environment's URL, with an import, an export and a queue, and a token for it.
async fn app(backend: Backend) -> TestApp {
    let mut app = TestApp::with(backend, |setup| {
        setup.set("server.public_url", BASE);
        setup.file("entities/prices.toml", ENTITY);
        setup.file("jobs/inbound-prices.toml", IMPORT);
        setup.file("jobs/prices-export.toml", EXPORT);
        setup.before("create table prices (item varchar(10) primary key, price integer)");
        setup.before("insert into prices values ('old', 7)");
        relay(setup, "Documents", "");
    })
    .await;
    let secret = app.add_client("ris", "operator").await;
    app.token = adal_token(&app, "ris", &secret).await;
    app
}

/// A package of customers.
fn package(customers: &str) -> Vec<u8> {
    use std::io::Write as _;
    let manifest = "<DataManagementPackageManifest \
        xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"><DefinitionGroupName>Any</DefinitionGroupName>\
        <PackageEntityList><DataManagementPackageEntityData><EntityName>Customers</EntityName>\
        <InputFilePath>Customers.csv</InputFilePath><SourceFormat>CSV</SourceFormat></DataManagementPackageEntityData>\
        </PackageEntityList></DataManagementPackageManifest>";
    let header = "<DataManagementPackageHeader/>";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("Manifest.xml", manifest),
        ("PackageHeader.xml", header),
        ("Customers.csv", customers),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Path and query of a link, which leads to the environment itself.
fn target(link: &str) -> &str {
    link.strip_prefix(BASE)
        .unwrap_or_else(|| panic!("{link} is the environment's own"))
}

/// What ADAL asks for on behalf of the scheduler (AUTH-1, AUTH-3, AUTH-7): version 1, scheme and host without a slash.
async fn adal_token(app: &TestApp, client: &str, secret: &str) -> String {
    let form = format!(
        "resource=https%3A%2F%2Ferp.example.test&client_id={client}&client_secret={secret}&grant_type=client_credentials"
    );
    let head = [
        "POST /contoso.example/oauth2/token HTTP/1.1",
        "Accept: application/json",
        "x-client-SKU: PCL.Desktop",
        "x-client-Ver: 3.19.8.16603",
        "client-request-id: 6f0f9f3e-5d2c-4d7b-9a52-0a1b2c3d4e5f",
        "return-client-request-id: true",
        "Content-Type: application/x-www-form-urlencoded",
        "Host: erp.example.test",
    ];
    let mut wire = Wire::open(app).await;
    let answer = wire.send(&head, Body::Expecting(form.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    // Texts, not numbers (AUTH-1).
    assert!(
        body["expires_in"].is_string() && body["expires_on"].is_string(),
        "{body}"
    );
    assert_eq!(body["token_type"], "Bearer");
    body["access_token"].as_str().expect("a token").to_owned()
}
