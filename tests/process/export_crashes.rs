//! Promise 7: a service killed right at each step of an incremental export queues one set of messages per occurrence, and skips no change.

use std::collections::BTreeMap;

use crate::crash_matrix::place::Payloads;
use crate::exports;
use crate::in_every_place_of_blobs;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::Caller;

/// Rows changed before each crash, in so many messages.
const ROWS: usize = 50;
const IN_A_MESSAGE: usize = 20;

in_every_place_of_blobs!(an_export_killed_at_each_of_its_steps_is_queued_once_and_whole,);

async fn an_export_killed_at_each_of_its_steps_is_queued_once_and_whole(store: TestDatabase, payloads: Payloads) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    payloads.keep(&mut site);
    exports::define(&site, IN_A_MESSAGE);
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    exports::wait_for_run(&Caller::new(&service, &tester).await).await;
    assert!(service.stop().await.success());

    let later = ["upload.begun:2", "upload.stored:3", "export.payload_stored:2"];
    let mut changed = 0;
    for failpoint in tranship::failpoint::EXPORT.into_iter().chain(later) {
        exports::insert(site.business_url(), changed..changed + ROWS).await;
        changed += ROWS;
        let mut command = site.serve_command("data");
        command.env("FAILPOINT", failpoint);
        Service::dies(command, &site.data_dir("data")).await;
        // The next life brings the run of this one to its end before there are other changes.
        let service = site.start("data").await;
        let caller = Caller::new(&service, &tester).await;
        exports::wait_for_run(&caller).await;
        assert!(service.stop().await.success());
    }

    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    for occurrence in exports::occurrences(&caller).await {
        assert_ne!(occurrence["state"], "failed", "{occurrence:#}");
    }
    let mut times: BTreeMap<usize, u32> = BTreeMap::new();
    for line in exports::collect_lines(&caller).await {
        *times.entry(exports::item_of(&line)).or_default() += 1;
    }
    let once: BTreeMap<_, _> = (0..changed).map(|item| (item, 1)).collect();
    assert_eq!(times, once, "each change is told once");
    assert!(service.stop().await.success());
}
