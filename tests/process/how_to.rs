//! The quick start and the how-to guides do what they say. A page's TOML blocks are put into the files that their first lines name
//! (`# jobs/NAME.toml`), its shell blocks are pasted: those marked `<!-- runs before the start -->` before the service is started, those marked
//! `<!-- runs -->` beside it, as an operator.

use std::path::Path;

use crate::site::Site;
use crate::snippets::{marked, paste, run, runnable};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quick_start_leads_from_an_empty_folder_to_a_package() {
    let site = Site::empty();
    let said = follow(&site, "docs/quick-start.md").await;
    for promised in [
        "3 inserted",
        "2 read = 2 applied",
        "(1001, 'ALFKI', '2026-03-01', '12.50')",
        "acknowledged",
    ] {
        assert!(said.contains(promised), "{promised} is not in\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_guide_does_what_it_says() {
    let mut followed = 0;
    for page in guides() {
        if runnable(&page).is_empty() {
            continue;
        }
        let site = Site::empty();
        site.copy_definitions("me");
        follow(&site, &page).await;
        followed += 1;
    }
    assert!(followed >= 12, "most guides have blocks that run: {followed}");
}

/// Does what a page says, in the site's folder; what the shell blocks printed.
async fn follow(site: &Site, page: &str) -> String {
    eprintln!("{page}");
    let me = site.add_client("me", "operator");
    let before = marked(page, "runs before the start");
    if !before.is_empty() {
        run(site, &before.concat(), &[]);
    }
    for (name, text) in named_files(page) {
        site.write(&name, &text);
    }
    let service = site.start("data").await;
    let said = paste(site, &service, &me, &runnable(page).concat());
    assert!(service.stop().await.success());
    said
}

/// Names and texts of a page's TOML blocks whose first line says which file they are.
fn named_files(page: &str) -> Vec<(String, String)> {
    let text = read(page);
    let blocks = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"));
    blocks
        .filter_map(|(block, _)| {
            let name = block.lines().next()?.strip_prefix("# ")?;
            let is_name = Path::new(name).extension().is_some_and(|extension| extension == "toml");
            (is_name && !name.contains(' ')).then(|| (name.to_owned(), block.to_owned()))
        })
        .collect()
}

/// The pages of `docs/how-to`, by name.
fn guides() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to");
    let mut pages: Vec<String> = std::fs::read_dir(folder)
        .expect("docs/how-to")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| format!("docs/how-to/{}", path.file_name().expect("a name").to_string_lossy()))
        .collect();
    pages.sort();
    pages
}

fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("the page")
}
