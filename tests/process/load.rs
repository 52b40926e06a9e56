//! Load over time: an even one leaves nothing behind, one too many is turned away and forgotten, a backlog drains as fast at its end as at
//! its beginning. Short by default; `TRANSHIP_SOAK_SECONDS=3600` and `TRANSHIP_TEST_LONG=1` for the long forms. Each prints its figures.

mod backlog;
mod overload;
mod soak;
mod usage;

use crate::site::Site;
use crate::wire::Caller;

const RELAY: &str = "Parcels";

/// A relay job, and whatever else the site has.
fn define_relay(site: &Site) {
    site.write(
        "jobs/parcels.toml",
        "id = \"00000000-0000-4000-8000-0000000000e5\"\nname = \"Parcels\"\ndirection = \"relay\"\nclients = [\"tester\"]\n",
    );
    std::fs::create_dir_all(site.path("entities")).expect("a folder");
}

/// Messages that a job has and that have not ended.
async fn depth(caller: &Caller, job: &str) -> u64 {
    let shown: serde_json::Value = caller
        .get(&format!("/api/v1/jobs/{job}"))
        .await
        .json()
        .await
        .expect("JSON");
    let count = |state: &str| {
        shown["queue"][state]
            .as_u64()
            .unwrap_or_else(|| panic!("{state} in {shown}"))
    };
    count("waiting") + count("leased")
}
