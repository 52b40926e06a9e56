//! What is checked before anything is done.

use super::{Scene, documents, said, stock};
use crate::support::databases::TestDatabase;

#[tokio::test]
async fn a_check_says_what_would_be_done_and_does_nothing() {
    let scene = Scene::on(TestDatabase::sqlite()).await;
    // Nobody listens there.
    scene.configure(
        "http://127.0.0.1:1",
        &format!("{}{}", stock("stop_at_failure = true\n"), documents("")),
    );
    scene.site.write("stock/in/b.csv", "2");
    scene.site.write("stock/in/a.csv", "1");
    let output = scene.command(&["--check"]).output().expect("it runs");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for told in [
        "next: a.csv, b.csv",
        "entity Stock",
        "1 in flight",
        "collects from job",
        "is the same message there",
    ] {
        assert!(text.contains(told), "{told:?} in {text}");
    }
    assert_eq!(scene.names("stock"), ["in"]);
    assert!(!scene.path("documents").exists() && !scene.path("agent-state").exists());

    let output = scene
        .command(&["--check"])
        .env_remove("AGENT_SECRET")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("AGENT_SECRET"), "{}", said(&output));
}

#[tokio::test]
async fn mistakes_are_told_at_once_and_a_server_that_is_away_has_its_exit_code() {
    let scene = Scene::on(TestDatabase::sqlite()).await;
    scene.configure("nowhere", &stock("ordr = \"name\"\n"));
    let output = scene.once();
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    assert!(
        text.contains("agent.toml:2: `url`") && text.contains("did you mean `order`"),
        "{text}"
    );

    scene.configure("http://127.0.0.1:1", &stock(""));
    scene.site.write("stock/in/a.csv", "1");
    let output = scene.command(&["--once", "--wait", "1"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert_eq!(
        scene.names("stock/processing"),
        ["a.csv"],
        "the next start goes on with it"
    );
}
