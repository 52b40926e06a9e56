//! A folder that stops at its first failure, and one whose agent is told to stop.

use super::{STOCK, Scene, external_ids, messages, stock};
use crate::on_both_databases;
use crate::support::databases::{TestDatabase, rows};
use crate::wire::Caller;

on_both_databases!(nothing_overtakes_a_file_that_failed,);

async fn nothing_overtakes_a_file_that_failed(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let service = scene.site.start("data").await;
    scene.configure(&service.base, &stock("stop_at_failure = true\n"));
    for (name, quantity) in [("1.csv", "1"), ("2.csv", "many"), ("3.csv", "3")] {
        scene
            .site
            .write(&format!("stock/in/{name}"), &format!("item,quantity\n1,{quantity}\n"));
    }
    assert_eq!(scene.once().status.code(), Some(3));
    assert_eq!(scene.names("stock/success"), ["1.csv"]);
    assert_eq!(scene.names("stock/in"), ["3.csv"]);
    // It stays stopped over a start, and says why.
    scene.once_well();
    assert_eq!(scene.names("stock/in"), ["3.csv"]);
    let why = scene.status("stock")["waits"]["why"]
        .as_str()
        .expect("a reason")
        .to_owned();
    assert!(why.contains("2.csv") && why.contains("no longer there"), "{why}");

    // Corrected and put back, it comes before the third.
    std::fs::remove_file(scene.path("stock/error/2.csv.errors.json")).expect("removed");
    std::fs::remove_file(scene.path("stock/error/2.csv")).expect("removed");
    scene.site.write("stock/in/2.csv", "item,quantity\n1,2\n");
    scene.once_well();
    assert_eq!(scene.names("stock/success"), ["1.csv", "2.csv", "3.csv"]);
    let caller = Caller::new(&service, &scene.tester).await;
    let known = messages(&caller, STOCK).await;
    assert_eq!(external_ids(&known), ["1.csv", "2.csv", "2.csv", "3.csv"]);
    let landed = rows(scene.site.business_url(), "select cast(quantity as text) from stock").await;
    assert_eq!(landed[0][0].as_deref(), Some("3"));
    assert!(scene.status("stock")["waits"].is_null());
    assert!(service.stop().await.success());
}
