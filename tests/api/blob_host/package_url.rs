//! What a client's `packageUrl` opens (PKG-8, PKG-9). The actions that take one are others' business.

use actix_web::HttpRequest;
use actix_web::test::TestRequest;
use reqwest::StatusCode;
use tranship::http::auth::caller;
use tranship::http::dmf::{download_url, open_package};
use tranship::http::problem::Kind;
use tranship::pipeline::blob_host;

use super::{get, link_of, new_link, put};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_package_is_opened_by_who_may_and_by_nobody_else,
    a_link_to_download_by_only_reads
);

fn request(app: &TestApp, token: &str) -> HttpRequest {
    let host = app.url.strip_prefix("http://").unwrap();
    let request = TestRequest::default().insert_header(("authorization", format!("Bearer {token}")));
    request.insert_header(("host", host)).to_http_request()
}

/// The package's text, or why it was not opened.
async fn open(app: &TestApp, token: &str, url: &str) -> Result<String, Kind> {
    let request = request(app, token);
    let caller = caller(&app.api, &request).await.unwrap();
    let opened = open_package(&app.api, &request, &caller, url).await;
    let (blob, content) = opened.map_err(|problem| {
        assert!(problem.detail.contains("packageUrl"), "{}", problem.detail);
        problem.kind
    })?;
    assert!(url.contains(blob.path.as_str()) || url.contains("%61"), "{url}");
    let mut reader = blob_host::read(&app.context, &content).await.unwrap();
    let mut text = String::new();
    while let Some(chunk) = reader.next().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    Ok(text)
}

async fn a_package_is_opened_by_who_may_and_by_nobody_else(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.set("server.public_url", "https://public.example");
    })
    .await;
    let secret = app.add_client("owner", "client").await;
    let (owner, other) = (app.token_of("owner", &secret).await, app.client("other").await);
    let link = link_of(&app, "package.zip", &owner).await;
    assert!(link.starts_with("https://public.example/dmf/packages/"), "{link}");
    let local = link.replacen("https://public.example", &app.url, 1);
    assert_eq!(
        open(&app, &owner, &link).await,
        Err(Kind::NotFound),
        "nothing is there yet"
    );
    put(&app, &local, "the package").await;
    let (bare, query) = link.split_once('?').unwrap();
    let path = bare.strip_prefix("https://public.example").unwrap();
    let host = app.url.strip_prefix("http://").unwrap();
    let forms = [
        link.clone(),
        local.clone(),
        bare.to_owned(),
        path.to_owned(),
        path.trim_start_matches('/').to_owned(),
        bare.replacen("public.example/", "PUBLIC.example:443//", 1),
        bare.replacen("package.zip", "p%61ckage%2Ezip", 1),
        // What a client makes of it that takes all for https and drops the port.
        format!("https://{}{path}", host.split(':').next().unwrap()),
        format!("{bare}?sig=nonsense"),
    ];
    for form in &forms {
        assert_eq!(open(&app, &owner, form).await.as_deref(), Ok("the package"), "{form}");
        // An operator sees everything; another client what it has a good link to.
        assert_eq!(
            open(&app, &app.token, form).await.as_deref(),
            Ok("the package"),
            "{form}"
        );
        let linked = form.contains("se=");
        let wanted = if linked {
            Ok("the package".to_owned())
        } else {
            Err(Kind::NotFound)
        };
        assert_eq!(open(&app, &other, form).await, wanted, "{form}");
    }
    let foreign = Err(Kind::BadRequest("package_url"));
    for form in [
        format!("https://elsewhere.example{path}?{query}"),
        format!("http://169.254.169.254{path}"),
        "file:///etc/passwd".to_owned(),
        String::new(),
        "package.zip".to_owned(),
        format!("https://public.example.evil{path}"),
        format!("https://public.example@evil{path}"),
    ] {
        assert_eq!(open(&app, &app.token, &form).await, foreign, "{form}");
    }
    for form in [
        "/dmf/packages/none",
        "/dmf/packages/../x",
        "/dmf/packages/a%00b",
        "/dmf/errors/1/x/error-keys",
    ] {
        assert_eq!(open(&app, &app.token, form).await, Err(Kind::NotFound), "{form}");
    }
    // A link that is over still names what its client put, and opens it to nobody else.
    app.clock.advance_seconds(86_400);
    let owner = app.token_of("owner", &secret).await;
    let stranger = app.client("stranger").await;
    assert_eq!(open(&app, &owner, &link).await.as_deref(), Ok("the package"));
    assert_eq!(open(&app, &stranger, &link).await, Err(Kind::NotFound));
}

async fn a_link_to_download_by_only_reads(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    put(&app, &link, "exported").await;
    let request = request(&app, &app.token);
    let caller = caller(&app.api, &request).await.unwrap();
    let (blob, content) = open_package(&app.api, &request, &caller, &link).await.unwrap();
    let download = download_url(&app.api, &request, &blob.path, &content).await.unwrap();
    assert!(
        download.contains("sp=r&") && download.starts_with(&app.url),
        "{download}"
    );
    assert_eq!(get(&app, &download).await.text().await.unwrap(), "exported");
    let deleted = app.request(reqwest::Method::DELETE, &download).send().await.unwrap();
    super::refused(deleted, StatusCode::FORBIDDEN, "AuthorizationPermissionMismatch").await;
    app.clock.advance_seconds(3_600);
    super::refused(
        get(&app, &download).await,
        StatusCode::FORBIDDEN,
        "AuthenticationFailed",
    )
    .await;
}
