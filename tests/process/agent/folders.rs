//! Files go both ways, whatever they are called and whatever is in them.

use reqwest::StatusCode;

use super::{DOCUMENTS, STOCK, Scene, documents, external_ids, messages, stock};
use crate::on_both_databases;
use crate::support::databases::{TestDatabase, rows};
use crate::wire::Caller;

on_both_databases!(
    files_are_sent_and_end_where_they_belong,
    files_are_collected_and_acknowledged,
    a_name_that_is_taken_gets_a_number,
);

/// RI-3, RI-5, RI-29, RI-33: good files, one with a bad record, one that is no file of this kind.
async fn files_are_sent_and_end_where_they_belong(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let service = scene.site.start("data").await;
    scene.configure(&service.base, &stock("pattern = \"*.csv\"\nin_flight = 3\n"));
    let long = "x".repeat(251);
    let odd = [
        "a b.csv",
        "Größe 日本.csv",
        "line\nbreak.csv",
        "%41+&;.csv",
        &format!("{long}.csv"),
    ];
    for (item, name) in odd.iter().enumerate() {
        scene
            .site
            .write(&format!("stock/in/{name}"), &format!("item,quantity\n{item},1\n"));
    }
    scene.site.write("stock/in/bad.csv", "item,quantity\n100,1\nmany,2\n");
    scene.site.write("stock/in/empty.csv", "");
    scene.site.write("stock/in/other.txt", "not ours");
    std::os::unix::fs::symlink("/etc/passwd", scene.path("stock/in/link.csv")).expect("linked");

    let output = scene.once();
    // The link is told of, and in nobody's way.
    assert_eq!(output.status.code(), Some(1), "{}", super::said(&output));
    let mut sent: Vec<String> = odd.iter().map(ToString::to_string).collect();
    sent.sort();
    assert_eq!(scene.names("stock/success"), sent);
    assert_eq!(scene.names("stock/in"), ["link.csv", "other.txt"]);
    assert!(scene.names("stock/processing").is_empty());
    let failed = ["bad.csv", "bad.csv.errors.json", "empty.csv", "empty.csv.errors.json"];
    assert_eq!(scene.names("stock/error"), failed);
    let reasons = scene.reasons("stock/error/bad.csv.errors.json");
    assert_eq!(reasons["status"], "ProcessedWithErrors", "{reasons:#}");
    let errors = reasons["errors"].as_array().expect("errors");
    assert!(
        errors.len() == 1
            && errors[0]["ErrorMessage"]
                .as_str()
                .is_some_and(|text| text.contains("many")),
        "{reasons:#}"
    );
    assert_eq!(reasons["entities"][0]["EntityName"], "Stock", "{reasons:#}");
    let refused = scene.reasons("stock/error/empty.csv.errors.json");
    assert!(
        refused["reason"].as_str().is_some_and(|text| text.contains("DMF2053")),
        "{refused:#}"
    );

    let caller = Caller::new(&service, &scene.tester).await;
    let rejects = reasons["rejects"]
        .as_str()
        .and_then(|url| url.strip_prefix(&service.base))
        .expect("a link");
    assert_eq!(caller.get(rejects).await.status(), StatusCode::OK);
    let known = messages(&caller, STOCK).await;
    let mut ids = external_ids(&known);
    ids.sort_unstable();
    let mut wanted: Vec<String> = sent.iter().map(|name| name.replace('\n', " ")).collect();
    wanted.push("bad.csv".to_owned());
    wanted.sort();
    assert_eq!(ids, wanted);
    let landed = rows(scene.site.business_url(), "select cast(count(*) as text) from stock").await;
    assert_eq!(landed[0][0].as_deref(), Some("6"));

    let standing = scene.status("stock");
    assert_eq!(
        (&standing["done"], &standing["failed"]),
        (&5.into(), &2.into()),
        "{standing:#}"
    );
    // What lies beside them, to say why, is none.
    assert_eq!(standing["files"]["error"], 2, "{standing:#}");
    assert!(service.stop().await.success());
}

/// RI-9, RI-16, RI-20
async fn files_are_collected_and_acknowledged(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let service = scene.site.start("data").await;
    scene.configure(&service.base, &documents("file_name = \"{original_name}\"\n"));
    let caller = Caller::new(&service, &scene.tester).await;
    for (name, text) in [("a.xml", "<a/>"), ("b.xml", "<b/>"), ("a.xml", "<c/>")] {
        let path = format!("/api/v1/jobs/{DOCUMENTS}/messages?external_id={name}");
        assert_eq!(caller.post(&path, text).await.status(), StatusCode::CREATED);
    }
    scene.once_well();
    let collected = scene.names("documents");
    assert_eq!(collected.len(), 3, "{collected:?}");
    let text = |name: &String| std::fs::read_to_string(scene.path("documents").join(name)).expect("text");
    let mut texts: Vec<String> = collected.iter().map(text).collect();
    texts.sort();
    assert_eq!(texts, ["<a/>", "<b/>", "<c/>"]);
    for message in messages(&caller, DOCUMENTS).await {
        assert_eq!(message["status"], "Acked", "{message:#}");
    }
    scene.once_well();
    assert_eq!(scene.names("documents"), collected, "nothing comes twice");
    assert_eq!(scene.status("documents")["done"], 3);
    assert!(service.stop().await.success());
}

async fn a_name_that_is_taken_gets_a_number(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let service = scene.site.start("data").await;
    scene.configure(&service.base, &stock("done_file = true\n"));
    scene.site.write("stock/success/a.csv", "the first");
    scene.site.write("stock/error/b.csv.errors.json", "of another");
    scene.site.write("stock/in/a.csv", "item,quantity\n1,1\n");
    scene.site.write("stock/in/b.csv", "item,quantity\nx,1\n");
    scene.site.write("stock/in/b.csv.done", "");
    assert_eq!(scene.once().status.code(), Some(3));
    assert_eq!(scene.names("stock/in"), ["a.csv"], "it has no done-file yet");
    scene.site.write("stock/in/a.csv.done", "");
    scene.once_well();
    assert!(scene.names("stock/in").is_empty(), "{:?}", scene.names("stock/in"));
    assert_eq!(scene.names("stock/success"), ["a-2.csv", "a.csv"]);
    let error = ["b-2.csv", "b-2.csv.errors.json", "b.csv.errors.json"];
    assert_eq!(scene.names("stock/error"), error);
    let text = |name: &str| std::fs::read_to_string(scene.path(name)).expect("text");
    assert_eq!(text("stock/success/a.csv"), "the first");
    assert_eq!(text("stock/error/b.csv.errors.json"), "of another");
    assert!(service.stop().await.success());
}
