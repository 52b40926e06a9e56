//! Packages into a project and out of one, against a stand-in for the real product: PKG-1, 4, 11a, 12, 13, 19, 20, AUTH-15.

use super::Scene;
use super::product::{PACKAGE, Product};
use crate::support::databases::TestDatabase;

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
    let failpoints = [
        "agent.picked",
        "agent.sending",
        "agent.uploaded",
        "agent.submitted",
        "agent.sent",
        "agent.ended",
        "agent.moving",
    ];
    for failpoint in failpoints {
        scene.site.write(&format!("packages/in/{failpoint}.zip"), failpoint);
        scene.dies_at(failpoint).await;
        scene.once_well();
    }
    assert_eq!(scene.names("packages/success").len(), failpoints.len());
    // The stand-in takes no execution twice, and each package has one.
    assert_eq!(product.executions(), failpoints.len());
    let submitted = product.calls("ImportFromPackage");
    assert_eq!(submitted.len(), failpoints.len());
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
    let failpoints = [
        "agent.picked",
        "agent.submitted",
        "agent.fetched",
        "agent.storing",
        "agent.stored",
    ];
    for (done, failpoint) in failpoints.into_iter().enumerate() {
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
