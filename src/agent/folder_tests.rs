//! Which files are taken, when, and in which order.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::{Seen, Watcher, count, count_failed};
use crate::agent::config::{Folders, Order, Ready, SendFolder, Target};

fn flow(folder: &Path) -> SendFolder {
    let at = |name: &str| folder.join(name);
    std::fs::create_dir_all(at("in")).expect("made");
    SendFolder {
        name: "f".to_owned(),
        folders: Folders {
            incoming: at("in"),
            processing: at("p"),
            success: at("s"),
            error: at("e"),
        },
        patterns: Vec::new(),
        order: Order::Name,
        ready: Ready {
            stable: Duration::from_secs(5),
            done_file: false,
        },
        in_flight: 1,
        stop_at_failure: false,
        poll: Duration::from_secs(1),
        to: Target::Project {
            project: "p".to_owned(),
            legal_entity: String::new(),
            overwrite: true,
            execute: true,
        },
        schedule: None,
    }
}

fn names(seen: &Seen) -> Vec<&str> {
    seen.ready.iter().map(|found| found.name.as_str()).collect()
}

#[test]
fn a_file_is_taken_when_it_has_not_changed_for_as_long_as_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let flow = flow(folder.path());
    let write = |name: &str, text: &str| std::fs::write(flow.folders.incoming.join(name), text).expect("written");
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut watcher = Watcher::default();
    write("b 1\n.csv", "1");
    write("a.csv", "1");
    assert_eq!(watcher.look(&flow, false, after(0)).expect("seen").settling, 2);
    write("a.csv", "12");
    let seen = watcher.look(&flow, false, after(5)).expect("seen");
    assert_eq!((names(&seen), seen.settling), (vec!["b 1\n.csv"], 1));
    // Strictly in order nothing overtakes what comes first.
    let seen = watcher.look(&flow, true, after(6)).expect("seen");
    assert_eq!((names(&seen), seen.settling), (vec![], 1));
    assert_eq!(names(&watcher.look(&flow, true, after(10)).expect("seen"))[0], "a.csv");
}

#[test]
fn a_done_file_says_so_and_hidden_files_and_links_are_nobodys() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut flow = flow(folder.path());
    flow.ready = Ready {
        stable: Duration::ZERO,
        done_file: true,
    };
    let write = |name: &str| std::fs::write(flow.folders.incoming.join(name), "1").expect("written");
    for name in ["a.csv", "b.csv", "b.csv.done", ".hidden", ".hidden.done"] {
        write(name);
    }
    std::os::unix::fs::symlink("a.csv", flow.folders.incoming.join("link")).expect("linked");
    std::fs::create_dir(flow.folders.incoming.join("below")).expect("made");
    let mut watcher = Watcher::default();
    let seen = watcher.look(&flow, false, Instant::now()).expect("seen");
    // What waits for its done-file may wait for days.
    assert_eq!((names(&seen), seen.settling), (vec!["b.csv"], 0));
    assert!(seen.unfit.expect("the link").what.contains("it is a link"));
    write("a.csv.done");
    assert_eq!(
        names(&watcher.look(&flow, false, Instant::now()).expect("seen")),
        ["a.csv", "b.csv"]
    );
}

#[test]
fn the_oldest_is_first_where_that_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut flow = flow(folder.path());
    flow.ready.stable = Duration::ZERO;
    flow.order = Order::Modified;
    for (age, name) in [(10, "a"), (30, "b"), (20, "c"), (30, "B")] {
        let file = std::fs::File::create(flow.folders.incoming.join(name)).expect("made");
        let at = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
        file.set_modified(at).expect("dated");
    }
    let seen = Watcher::default().look(&flow, false, Instant::now()).expect("seen");
    assert_eq!(names(&seen), ["B", "b", "c", "a"]);
}

/// What lies beside a file that failed, to say why, is not another one that failed.
#[test]
fn reasons_are_not_counted_among_what_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| std::fs::write(folder.path().join(name), "x").expect("written");
    write("a.csv");
    write("a.csv.errors.json");
    // Whoever corrected a file took it away, and left the reasons.
    write("b.csv.errors.json");
    assert_eq!((count(folder.path()), count_failed(folder.path())), (Some(3), Some(1)));
    // A file may be called like reasons.
    write("c.errors.json");
    write("c.errors.json.errors.json");
    write(".hidden");
    assert_eq!(count_failed(folder.path()), Some(2));
    assert_eq!(count_failed(&folder.path().join("nowhere")), None);
}
