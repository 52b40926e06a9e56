//! `azure-storage-blob` (Python), which uploads packages to the URL from `GetAzureWriteUrl` and reads ranges back.

use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;
use crate::{python, run};

/// What the script checks, each printed when it passed.
const CHECKS: usize = 5;

#[tokio::test]
async fn uploads_and_downloads_on_sqlite() {
    on(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn uploads_and_downloads_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        on(store).await;
    }
}

async fn on(store: TestDatabase) {
    if python().is_none() {
        return;
    }
    let site = Site::on(store).await;
    site.copy_definitions("shop");
    let client = site.add_client("shop", "client");
    let service = site.start("one").await;
    let caller = Caller::new(&service, &client).await;
    let said = run("azure_storage_blob.py", &[&service.base, caller.token()]).expect("there is a Python");
    assert_eq!(said.matches("passed:").count(), CHECKS, "{said}");
    assert!(service.stop().await.success());
}
