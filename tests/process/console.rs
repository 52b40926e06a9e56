//! `tranship console`: a link into the console of a running service, once.

use std::process::Output;

use serde_json::Value;

use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::http;

#[tokio::test]
async fn a_printed_link_signs_in_once_on_sqlite() {
    a_printed_link_signs_in_once(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn a_printed_link_signs_in_once_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        a_printed_link_signs_in_once(store).await;
    }
}

async fn a_printed_link_signs_in_once(store: TestDatabase) {
    let site = Site::on(store).await;
    site.copy_definitions("shop");
    site.add_client("auditor", "viewer");
    let service = site.start("one").await;
    // Where the service listens is written in its data folder.
    let data = format!("--data-dir={}", site.data_dir("one").display());
    let link = |more: &[&str]| {
        let output = site.run(&[&["console", &data, "--json"], more].concat());
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["url"].as_str().expect("a link").to_owned()
    };
    for (more, who) in [(&[][..], "local operator"), (&["--client", "Auditor"], "auditor")] {
        let link = link(more);
        assert!(
            link.starts_with(&format!("{}/console/sign-in/", service.base)),
            "{link}"
        );
        let answer = http().post(&link).send().await.expect("an answer");
        let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
        let cookie = cookie.split(';').next().expect("a cookie").to_owned();
        let page = http().get(format!("{}/console", service.base)).header("cookie", cookie);
        let page = page.send().await.expect("an answer").text().await.expect("a page");
        assert!(page.contains(who), "{page}");
        assert_eq!(
            http().post(&link).send().await.expect("an answer").status(),
            401,
            "it is used up"
        );
    }
    let elsewhere = link(&["--url", "https://tranship.example.test/"]);
    assert!(
        elsewhere.starts_with("https://tranship.example.test/console/sign-in/"),
        "{elsewhere}"
    );
    let unknown: Output = site
        .command(&["console", &data, "--client", "nobody"])
        .output()
        .expect("it runs");
    assert_eq!(unknown.status.code(), Some(5), "{unknown:?}");
    assert!(service.stop().await.success());
}
