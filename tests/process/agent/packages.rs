//! Packages into a project and out of one, against a stand-in for the real product and against the service: PKG-1, 4, 11a, 12, 13,
//! 19, 20, AUTH-15.

use reqwest::StatusCode;

use super::Scene;
use super::product::{PACKAGE, Product};
use crate::on_both_databases;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, json};

on_both_databases!(
    a_package_is_one_import_of_the_service_wherever_the_agent_is_killed,
    an_export_of_the_service_is_one_folder_wherever_the_agent_is_killed,
);

/// Every step of a package into a project.
const IMPORTING: [&str; 7] = [
    "agent.picked",
    "agent.sending",
    "agent.uploaded",
    "agent.submitted",
    "agent.sent",
    "agent.ended",
    "agent.moving",
];

/// Every step of an export into a folder.
const EXPORTING: [&str; 5] = [
    "agent.picked",
    "agent.submitted",
    "agent.fetched",
    "agent.storing",
    "agent.stored",
];

const IMPORT: &str = "[[import]]\nname = \"packages\"\nproject = \"Orders\"\nlegal_entity = \"usmf\"\nfolder = \"packages\"\n\
    pattern = \"*.zip\"\nstable_seconds = 0\n";
const EXPORT: &str = "[[export]]\nname = \"nightly\"\nproject = \"Nightly\"\nlegal_entity = \"usmf\"\nfolder = \"nightly\"\n\
    file_name = \"{job}-{original_name}\"\n";

async fn scene(folders: &str) -> (Product, Scene) {
    let product = Product::start().await;
    let scene = Scene::on(TestDatabase::sqlite()).await;
    product.configure(&scene, folders);
    (product, scene)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_is_one_import_wherever_the_agent_is_killed() {
    let (product, scene) = scene(IMPORT).await;
    for failpoint in IMPORTING {
        scene.site.write(&format!("packages/in/{failpoint}.zip"), failpoint);
        scene.dies_at(failpoint).await;
        scene.once_well();
    }
    assert_eq!(scene.names("packages/success").len(), IMPORTING.len());
    // The stand-in takes no execution twice, and each package has one.
    assert_eq!(product.executions(), IMPORTING.len());
    let submitted = product.calls("ImportFromPackage");
    assert_eq!(submitted.len(), IMPORTING.len());
    for request in submitted {
        let parameters = request.json();
        assert_eq!(parameters["definitionGroupId"], "Orders", "{parameters:#}");
        assert_eq!(parameters["legalEntityId"], "usmf", "{parameters:#}");
        assert_eq!(
            (&parameters["execute"], &parameters["overwrite"]),
            (&true.into(), &true.into())
        );
        assert!(
            parameters["executionId"]
                .as_str()
                .is_some_and(|id| id.starts_with("Orders-20")),
            "{parameters:#}"
        );
        assert!(
            parameters["packageUrl"]
                .as_str()
                .is_some_and(|url| url.contains("sig=x%2Fy")),
            "{parameters:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_with_errors_lies_beside_its_reasons() {
    let (_product, scene) = scene(&IMPORT.replace("\"Orders\"", "\"Broken\"")).await;
    scene.site.write("packages/in/a.zip", "bytes");
    assert_eq!(scene.once().status.code(), Some(3));
    let reasons = scene.reasons("packages/error/a.zip.errors.json");
    assert_eq!(reasons["status"], "PartiallySucceeded", "{reasons:#}");
    assert!(
        reasons["execution_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("Broken-")),
        "{reasons:#}"
    );
    assert!(
        reasons["errors"]
            .as_str()
            .is_some_and(|text| text.contains("the \"bad\" one")),
        "{reasons:#}"
    );
    assert!(reasons["rejects"].is_null(), "only Tranship has them: {reasons:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_one_file_wherever_the_agent_is_killed() {
    let (product, scene) = scene(EXPORT).await;
    for (done, failpoint) in EXPORTING.into_iter().enumerate() {
        scene.dies_at(failpoint).await;
        // Without a schedule each `--once` starts one, unless one is under way.
        scene.once_well();
        let names = scene.names("nightly");
        assert_eq!(names.len(), done + 1, "after {failpoint}: {names:?}");
        assert_eq!(product.executions(), done + 1, "after {failpoint}");
    }
    assert_eq!(scene.names("nightly")[0], "nightly-Nightly-2.zip");
    assert_eq!(
        std::fs::read(scene.path("nightly/nightly-Nightly.zip")).expect("a file"),
        PACKAGE
    );
    assert!(product.calls("ExportToPackageAsync").is_empty());
}

/// PKG-22: a list of entities takes the action that has one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_runs_when_it_is_due_and_of_the_entities_asked_for() {
    let (product, scene) = scene(&format!(
        "{EXPORT}entities = [\"Customers\", \"Vendors\"]\nevery = \"2s\"\n"
    ))
    .await;
    let mut agent = scene
        .command(&[])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let began = std::time::Instant::now();
    while scene.names("nightly").len() < 2 {
        assert!(began.elapsed().as_secs() < 60, "{:?}", scene.names("nightly"));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    agent.kill().expect("killed");
    agent.wait().expect("it ends");
    let asked = product.calls("ExportToPackageAsync");
    assert!((2..=4).contains(&asked.len()), "{}", asked.len());
    assert_eq!(asked[0].json()["entityList"], "Customers,Vendors");
    assert_eq!(asked[0].json()["packageName"], "Nightly");
}

/// The same from Tranship itself, unpacked.
async fn an_export_of_the_service_is_one_folder_wherever_the_agent_is_killed(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let job = "id = \"5f3c6a0e-2d0e-4d2b-bb0c-0e6b0c9f8d03\"\nname = \"Stock export\"\ndirection = \"export\"\nclients = [\"tester\"]\n\
               [export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Stock\"\n";
    scene.site.write("jobs/export.toml", job);
    let service = scene.site.start("data").await;
    let export = "[[export]]\nname = \"stock\"\nproject = \"Stock export\"\nfolder = \"out\"\nunzip = true\n";
    scene.configure(
        &service.base,
        &format!("{}{export}", super::stock("").replace("\"stock\"", "\"in\"")),
    );
    scene.site.write("in/in/1.csv", "item,quantity\n1,17\n");
    scene.once_well();
    let mut made = 1;
    for failpoint in EXPORTING {
        scene.dies_at(failpoint).await;
        scene.once_well();
        made += 1;
        assert_eq!(
            scene.names("out").len(),
            made,
            "after {failpoint}: {:?}",
            scene.names("out")
        );
    }
    for folder in scene.names("out") {
        let files = scene.names(&format!("out/{folder}"));
        assert!(files.contains(&"Manifest.xml".to_owned()), "{files:?}");
        let csv = files.iter().find(|name| *name == "Stock.csv").expect("a data file");
        let text = std::fs::read_to_string(scene.path(&format!("out/{folder}/{csv}"))).expect("text");
        // The first was asked for while the file was on its way in.
        assert!(folder == "Stock export" || text.contains("17"), "{folder}: {text}");
    }
    let caller = Caller::new(&service, &scene.tester).await;
    let path = "/api/v1/jobs/Stock%20export/occurrences?limit=100";
    let runs = json(caller.get(path).await, StatusCode::OK).await;
    assert_eq!(runs["occurrences"].as_array().expect("runs").len(), made, "{runs:#}");
    let hidden = std::fs::read_dir(scene.path("out")).expect("a folder").count();
    assert_eq!(hidden, made, "no part of a package is left behind");
    assert!(service.stop().await.success());
}

/// A package of stock.
fn package(csv: &str) -> Vec<u8> {
    use std::io::Write as _;
    let manifest = "<DataManagementPackageManifest \
        xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"><DefinitionGroupName>Any</DefinitionGroupName>\
        <PackageEntityList><DataManagementPackageEntityData><EntityName>Stock</EntityName><InputFilePath>Stock.csv</InputFilePath>\
        <SourceFormat>CSV</SourceFormat></DataManagementPackageEntityData></PackageEntityList></DataManagementPackageManifest>";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let header = "<DataManagementPackageHeader/>";
    for (name, text) in [
        ("Manifest.xml", manifest),
        ("PackageHeader.xml", header),
        ("Stock.csv", csv),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .expect("a member");
        zip.write_all(text.as_bytes()).expect("written");
    }
    zip.finish().expect("a zip").into_inner()
}

/// The same into Tranship itself, with a package of a bad record and a zip that is none.
async fn a_package_is_one_import_of_the_service_wherever_the_agent_is_killed(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let service = scene.site.start("data").await;
    scene.configure(&service.base, &IMPORT.replace("\"Orders\"", "\"Inbound stock\""));
    let drop_in = |name: &str, bytes: &[u8]| {
        let folder = scene.path("packages/in");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join(name), bytes).expect("written");
    };
    for (item, failpoint) in IMPORTING.into_iter().enumerate() {
        drop_in(
            &format!("{failpoint}.zip"),
            &package(&format!("item,quantity\r\n{item},1\r\n")),
        );
        scene.dies_at(failpoint).await;
        scene.once_well();
    }
    assert_eq!(scene.names("packages/success").len(), IMPORTING.len());
    let caller = Caller::new(&service, &scene.tester).await;
    let messages = super::messages(&caller, super::STOCK).await;
    assert_eq!(
        messages.len(),
        IMPORTING.len(),
        "each package is imported once: {messages:#?}"
    );

    drop_in("bad.zip", &package("item,quantity\r\n50,1\r\n51,many\r\n"));
    drop_in("none.zip", b"PK no package");
    assert_eq!(scene.once().status.code(), Some(3));
    let reasons = scene.reasons("packages/error/bad.zip.errors.json");
    assert_eq!(reasons["status"], "PartiallySucceeded", "{reasons:#}");
    assert!(
        reasons["errors"].as_array().is_some_and(|errors| errors.len() == 1),
        "{reasons:#}"
    );
    let reasons = scene.reasons("packages/error/none.zip.errors.json");
    assert_eq!(reasons["status"], "Refused", "{reasons:#}");
    assert!(service.stop().await.success());
}
