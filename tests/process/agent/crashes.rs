//! The agent killed right at each of its steps: no file is lost, sent twice to Tranship, or collected twice.

use std::time::Duration;

use reqwest::StatusCode;

use super::{DOCUMENTS, STOCK, Scene, documents, external_ids, messages, stock};
use crate::on_both_databases;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

on_both_databases!(
    a_file_is_one_message_wherever_the_agent_is_killed,
    a_message_is_one_file_wherever_the_agent_is_killed,
);

/// Every step of a file into a queue.
const SENDING: [&str; 9] = [
    "agent.picked",
    "agent.held",
    "agent.sending",
    "agent.answered",
    "agent.sent",
    "agent.ended",
    "agent.reasons_written",
    "agent.moving",
    "agent.moved",
];
/// Every step of a message into a folder.
const COLLECTING: [&str; 4] = ["agent.fetched", "agent.storing", "agent.stored", "agent.acknowledged"];

async fn a_file_is_one_message_wherever_the_agent_is_killed(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let service = scene.site.start("data").await;
    scene.configure(&service.base, &stock("done_file = true\n"));
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for (item, failpoint) in SENDING.iter().enumerate() {
        // The reasons are of a bad file; the two of a life take the same steps in turn.
        for (is_bad, list) in [(false, &mut good), (true, &mut bad)] {
            let name = format!("{failpoint}{}.csv", if is_bad { "-bad" } else { "" });
            let quantity = if is_bad { "many" } else { "1" };
            scene.site.write(
                &format!("stock/in/{name}"),
                &format!("item,quantity\n{item},{quantity}\n"),
            );
            scene.site.write(&format!("stock/in/{name}.done"), "");
            list.push(name);
        }
        scene.dies_at(failpoint).await;
        let code = scene.once().status.code();
        assert!(matches!(code, Some(0 | 3)), "after {failpoint}: {code:?}");
    }
    good.sort();
    bad.sort();
    assert_eq!(scene.names("stock/success"), good);
    let wanted: Vec<String> = bad
        .iter()
        .flat_map(|name| [name.clone(), format!("{name}.errors.json")])
        .collect();
    assert_eq!(scene.names("stock/error"), wanted);
    assert!(scene.names("stock/in").is_empty() && scene.names("stock/processing").is_empty());
    let caller = Caller::new(&service, &scene.tester).await;
    let known = messages(&caller, STOCK).await;
    let mut ids = external_ids(&known);
    ids.sort_unstable();
    good.extend(bad);
    good.sort();
    assert_eq!(ids, good, "each file is one message");
    assert!(service.stop().await.success());
}

async fn a_message_is_one_file_wherever_the_agent_is_killed(store: TestDatabase) {
    let scene = Scene::on(store).await;
    let service = scene.site.start("data").await;
    scene.configure(&service.base, &documents(""));
    let caller = Caller::new(&service, &scene.tester).await;
    let mut files = 0;
    // Once more with the file taken away by whoever waits for it, while the agent is dead.
    for (failpoint, is_taken) in COLLECTING
        .into_iter()
        .flat_map(|failpoint| [(failpoint, false), (failpoint, true)])
    {
        let path = format!("/api/v1/jobs/{DOCUMENTS}/messages?external_id={failpoint}.xml");
        let text = format!("<{failpoint} n=\"{files}\"/>");
        assert_eq!(caller.post(&path, text).await.status(), StatusCode::CREATED);
        scene.dies_at(failpoint).await;
        let before = scene.names("documents").len();
        let had_arrived = before > files;
        if is_taken && had_arrived {
            for name in scene.names("documents") {
                std::fs::remove_file(scene.path("documents").join(name)).expect("taken");
            }
            files = 0;
        } else {
            files += 1;
        }
        // The lease of the dead agent's delivery ends.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        scene.once_well();
        let names = scene.names("documents");
        assert_eq!(
            names.len(),
            files,
            "after {failpoint}, taken away {is_taken}: {names:?}"
        );
    }
    for message in messages(&caller, DOCUMENTS).await {
        assert_eq!(message["status"], "Acked", "{message:#}");
    }
    let left = std::fs::read_dir(scene.path("documents")).expect("a folder");
    assert_eq!(left.count(), files, "no part of a file is left behind");
    assert!(service.stop().await.success());
}
