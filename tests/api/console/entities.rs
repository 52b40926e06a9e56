//! Entities in the console.

use reqwest::StatusCode;

use super::browser::Browser;
use crate::app::{Backend, TestApp, sample};

crate::on_both_backends!(
    an_entity_has_its_fields_tables_jobs_and_loads,
    a_client_sees_those_of_its_jobs
);

async fn an_entity_has_its_fields_tables_jobs_and_loads(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let browser = Browser::of(&app, "eye", "viewer").await;
    let list = browser.see("/console/entities").await;
    list.says("Sales order headers");
    assert!(
        list.links().contains(&"/console/entities/Customers".to_owned()),
        "{:?}",
        list.links()
    );
    let page = browser.see("/console/entities/Customers").await;
    page.says("Key customer_account");
    page.says("customer_account string key");
    page.says("Inbound customers");
    page.says("✓ Processed");
    page.says("tranship entities show Customers");
    let orders = browser.see("/console/entities/SalesOrderHeaders").await;
    orders.says("Customers .customer_account");
    let shown = app.body("/api/v1/entities/sales%20order%20headers").await;
    assert_eq!(shown["name"], "SalesOrderHeaders");
    let listed = app.body("/api/v1/entities").await;
    assert_eq!(
        listed["entities"].as_array().unwrap().len(),
        app.definitions.entities.len()
    );
    assert_eq!(
        browser.get("/console/entities/Nothing").await.status,
        StatusCode::NOT_FOUND
    );
}

async fn a_client_sees_those_of_its_jobs(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let browser = Browser::of(&app, "outsider", "client").await;
    let list = browser.see("/console/entities").await;
    list.says("There is no entity you may see.");
    assert_eq!(
        browser.get("/console/entities/Customers").await.status,
        StatusCode::NOT_FOUND
    );
}
