//! What a link opens: one blob, for some time, for what its letters say.

use reqwest::{Method, StatusCode};
use tranship::auth::sas::{Permission, SasKeys};

use super::{get, header, new_link, nothing_is_left_over, put, putting, refused};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_link_that_was_altered_or_is_over_opens_nothing,
    a_link_is_good_in_other_words,
    letters_bind_the_methods,
    a_link_to_create_writes_nothing_over,
);

/// PKG-7, AUTH-15.
async fn a_link_that_was_altered_or_is_over_opens_nothing(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let (link, other) = (new_link(&app).await, new_link(&app).await);
    put(&app, &link, "mine").await;
    let (path, signed) = link.split_once('?').unwrap();
    let (other_path, _) = other.split_once('?').unwrap();
    for altered in [
        path.to_owned(),
        format!("{other_path}?{signed}"),
        format!("{path}?{}", signed.replace("sp=rcwd", "sp=r")),
        format!("{path}?{}", signed.replace("st=2026", "st=2025")),
        format!("{path}?{}", signed.replace("se=2026", "se=2027")),
        format!("{path}?{}", &signed[..signed.len() - 8]),
        format!("{path}.?{signed}"),
        format!("{path}/x?{signed}"),
        path.replace("packages/", "packages/../packages/x") + "?" + signed,
        path.replace("packages", "Packages") + "?" + signed,
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            let request = app
                .request(method.clone(), &altered)
                .header("x-ms-blob-type", "BlockBlob");
            // A token opens nothing here.
            let answer = request.bearer_auth(&app.token).send().await.unwrap();
            if method == Method::HEAD {
                assert_eq!(header(&answer, "x-ms-error-code"), "AuthenticationFailed");
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{altered}");
            } else {
                refused(answer, StatusCode::FORBIDDEN, "AuthenticationFailed").await;
            }
        }
    }
    app.clock.advance_seconds(86_399);
    assert_eq!(get(&app, &link).await.status(), StatusCode::OK);
    app.clock.advance_seconds(1);
    refused(get(&app, &link).await, StatusCode::FORBIDDEN, "AuthenticationFailed").await;
    let late = putting(&app, &link, "late").send().await.unwrap();
    refused(late, StatusCode::FORBIDDEN, "AuthenticationFailed").await;
}

/// PKG-8: as .NET writes it, and as Python's client does.
async fn a_link_is_good_in_other_words(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    let (path, query) = link.split_once('?').unwrap();
    let plus = query
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=")
        .replace("%3A", ":");
    let mut turned: Vec<&str> = query.split('&').collect();
    turned.reverse();
    let lower = query.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3A", "%3a");
    for form in [
        format!("{path}?{plus}"),
        format!("{path}?{}", turned.join("&")),
        format!("{path}?{lower}&timeout=30"),
        format!("{}?{query}", path.replacen("/dmf/", "//DMF/", 1)),
        format!("{}?{query}", path.replace("package.zip", "%70ackage%2Ezip")),
    ] {
        put(&app, &form, form.clone()).await;
        assert_eq!(get(&app, &link).await.text().await.unwrap(), form);
    }
    nothing_is_left_over(&app).await;
}

/// A link for some letters only, made with the store's own keys.
async fn link_for(app: &TestApp, letters: &[Permission]) -> String {
    let fresh = [[1; 32], [2; 32], [3; 32]];
    let keys = app.context.store.signing_keys(fresh, app.clock.now()).await.unwrap();
    let link = new_link(app).await;
    let (path, _) = link.split_once('?').unwrap();
    let until = app.clock.now().plus_seconds(600);
    let signed = SasKeys::new(keys.url).sign(path.strip_prefix(&app.url).unwrap(), letters, until);
    format!("{path}?{signed}")
}

async fn letters_bind_the_methods(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let every = [
        Permission::Read,
        Permission::Create,
        Permission::Write,
        Permission::Delete,
    ];
    for allowed in every {
        let link = link_for(&app, &[allowed]).await;
        for (method, suffix, wanted) in [
            (Method::GET, "", Permission::Read),
            (Method::HEAD, "", Permission::Read),
            (Method::GET, "&comp=blocklist", Permission::Read),
            (Method::DELETE, "", Permission::Delete),
            (Method::PUT, "", Permission::Write),
            (Method::PUT, "&comp=block&blockid=YQ==", Permission::Write),
        ] {
            let request = app.request(method.clone(), &format!("{link}{suffix}"));
            let answer = request
                .header("x-ms-blob-type", "BlockBlob")
                .body("x")
                .send()
                .await
                .unwrap();
            let lets_in = allowed == wanted || (allowed == Permission::Create && wanted == Permission::Write);
            assert_eq!(
                answer.status() != StatusCode::FORBIDDEN,
                lets_in,
                "{allowed:?} {method} {suffix}"
            );
            if !lets_in {
                assert_eq!(header(&answer, "x-ms-error-code"), "AuthorizationPermissionMismatch");
            }
        }
    }
}

async fn a_link_to_create_writes_nothing_over(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = link_for(&app, &[Permission::Create, Permission::Read]).await;
    put(&app, &link, "first").await;
    let again = putting(&app, &link, "second").send().await.unwrap();
    refused(again, StatusCode::FORBIDDEN, "UnauthorizedBlobOverwrite").await;
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "first");
}
