//! Clients in the console, for admins: each thing asks first; a secret is shown once.

use reqwest::StatusCode;

use super::browser::{Browser, Seen};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_client_is_added_gets_a_new_secret_another_role_and_is_revoked,
    the_last_admin_is_told_why_it_stays,
    others_are_shown_no_clients,
);

/// The secret a page shows.
fn secret(page: &Seen) -> String {
    let text = page.text();
    let after = text
        .split("Client secret ")
        .nth(1)
        .unwrap_or_else(|| panic!("no secret: {text}"));
    after.split_whitespace().next().unwrap().to_owned()
}

async fn a_client_is_added_gets_a_new_secret_another_role_and_is_revoked(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = Browser::of(&app, "boss", "admin").await;
    let name = "Lager/Süd & Co";
    let added = admin
        .submit("/console/clients/add", &[("name", name), ("role", "viewer")])
        .await;
    assert_eq!(added.status, StatusCode::OK);
    added.says("The secret is shown this once.");
    let first = secret(&added);
    let theirs = Browser::new(&app);
    assert_eq!(theirs.sign_in(name, &first).await.location(), "/console");
    let list = admin.see("/console/clients").await;
    list.says(&format!("{name} viewer"));
    list.does_not_say(&first);
    let link = |action: &str| {
        let links = list.links();
        let found = links
            .iter()
            .find(|link| link.contains(&format!("/{action}?")) && link.contains("Lager"));
        found.unwrap_or_else(|| panic!("{action}: {links:?}")).clone()
    };
    let form = [("name", name)];
    let rotated = admin.submit(&link("rotate"), &form).await;
    let second = secret(&rotated);
    assert_ne!(first, second);
    assert_eq!(
        theirs.get("/console").await.status,
        StatusCode::UNAUTHORIZED,
        "signed out by the new secret"
    );
    assert_eq!(theirs.sign_in(name, &second).await.location(), "/console");

    let done = admin
        .submit(&link("role"), &[("name", name), ("role", "operator")])
        .await;
    admin.see(done.location()).await.says("The client has its new role.");
    theirs.see("/console").await.says(name);
    let done = admin.submit(&link("revoke"), &form).await;
    let list = admin.see(done.location()).await;
    list.says("The client is locked out.");
    list.says(&format!("{name} ! revoked"));
    assert_eq!(theirs.get("/console").await.status, StatusCode::UNAUTHORIZED);
    let taken = admin
        .submit("/console/clients/add", &[("name", name), ("role", "viewer")])
        .await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    taken.says("its name stays taken");
    // Told, without the secrets.
    let told = admin.see("/console/audit").await;
    for action in ["client.add", "client.rotate", "client.role", "client.revoke"] {
        told.says(&format!("boss console {action} {name}"));
    }
    told.does_not_say(&second);
}

async fn the_last_admin_is_told_why_it_stays(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let admin = Browser::of(&app, "boss", "admin").await;
    let refused = admin
        .submit("/console/clients/revoke?name=boss", &[("name", "boss")])
        .await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    refused.says("boss is the only admin");
    let page = admin.see("/console/clients/rotate?name=boss").await;
    page.says("This is you");
    page.says("tranship client rotate boss");
}

async fn others_are_shown_no_clients(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for role in ["operator", "viewer", "client"] {
        let browser = Browser::of(&app, &format!("a-{role}"), role).await;
        let token = browser.see("/console").await.form_token();
        for path in [
            "",
            "/add",
            "/rotate?name=tester",
            "/role?name=tester",
            "/revoke?name=tester",
        ] {
            let seen = browser.get(&format!("/console/clients{path}")).await;
            assert_eq!(seen.status, StatusCode::FORBIDDEN, "{role} {path}");
        }
        for path in ["/add", "/rotate", "/role", "/revoke"] {
            let form = [("name", "tester"), ("role", "admin"), ("form_token", token.as_str())];
            let seen = browser.send(&format!("/console/clients{path}"), &form, &[]).await;
            assert_eq!(seen.status, StatusCode::FORBIDDEN, "{role} {path}");
        }
    }
    let tester = app.context.store.client("tester").await.unwrap().unwrap();
    assert_eq!((tester.role.as_str(), tester.revoked_at), ("operator", None));
}
