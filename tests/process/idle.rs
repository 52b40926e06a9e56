//! What the service costs while nothing happens, and what a first start costs (bar S1).

use std::process::Command;
use std::time::Duration;

use crate::service::Service;
use crate::site::Site;

/// Resident memory of an idle service. Most of it are pages of its own code, which is several times as large in a debug build and no
/// business of a service that waits: there, only what it holds is judged.
const RESIDENT_KIB_MAX: u64 = 60 * 1024;
/// What of it no file backs: heap and stacks, in any build.
const HELD_KIB_MAX: u64 = 20 * 1024;
/// CPU of five idle seconds, in ticks of ten milliseconds: one per cent of them, and three times that in a debug build, whose
/// code takes several times as long. `scripts/bench start` judges the bar.
const CPU_TICKS_MAX: u64 = if cfg!(debug_assertions) { 15 } else { 5 };
/// How often its threads may go to sleep in these five seconds, which no build and no machine changes: about 470, for the looks at
/// queue, schedules and two outboxes, each of which goes through a thread of SQLite's.
const SLEEPS_MAX: u64 = 600;
/// From an empty folder to ready.
const FSYNCS_MAX: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_service_needs_little_memory_and_no_cpu() {
    let site = Site::empty();
    crate::readings::define(&site);
    let service = site.start("data").await;
    // What start-up left to do settles first.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (ticks, sleeps) = (service.cpu_ticks(), service.sleeps());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (used, slept) = (service.cpu_ticks() - ticks, service.sleeps().saturating_sub(sleeps));
    let (resident, held) = (service.resident_kib(), service.held_kib());
    println!("idle: {used} ticks and {slept} sleeps in 5 s, {resident} KiB resident, {held} of them held");
    assert!(slept > 0, "no thread of the service was seen");
    assert!(
        slept <= SLEEPS_MAX,
        "its threads woke up {slept} times in five idle seconds: something polls too often"
    );
    assert!(
        used <= CPU_TICKS_MAX,
        "{used} ticks of CPU in five idle seconds: something polls too often"
    );
    assert!(held <= HELD_KIB_MAX, "{held} KiB held while idle");
    let is_judged = !cfg!(debug_assertions);
    assert!(
        !is_judged || resident <= RESIDENT_KIB_MAX,
        "{resident} KiB resident while idle"
    );
    assert!(service.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_folder_is_ready_after_few_fsyncs() {
    if Command::new("strace").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "strace is missing: scripts/test installs it"
        );
        eprintln!("skipped: strace is missing");
        return;
    }
    let site = Site::empty();
    let trace = site.path("trace");
    let serve = site.serve_command("data");
    let mut traced = Command::new("strace");
    traced
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=fsync,fdatasync,sync_file_range,msync,sync,syncfs",
            "-o",
        ])
        .arg(&trace)
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(site.path(""));
    site.furnish(&mut traced);
    traced.env("TRANSHIP_DATA_DIR", site.data_dir("data"));

    let service = Service::start(traced, &site.data_dir("data")).await;
    let trace = std::fs::read_to_string(&trace).expect("strace wrote its file");
    let synced: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("sync") && !line.contains("resumed"))
        .collect();
    println!("ready after {} fsyncs", synced.len());
    assert!(!synced.is_empty(), "a store was created without a single fsync");
    assert!(
        synced.len() <= FSYNCS_MAX,
        "{} fsyncs:\n{}",
        synced.len(),
        synced.join("\n")
    );
    assert!(service.stop().await.success());
}
