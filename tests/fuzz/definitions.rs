//! What operators write, and what packages bring: files of jobs and entities, schedules. Nothing loads that cannot run; every mistake is
//! told with its place.

use std::path::Path;

use tranship::definitions::Definitions;
use tranship::domain::ids::JobId;
use tranship::domain::schedule::elapsed::Elapsed;
use tranship::domain::schedule::moment::Moment;
use tranship::domain::schedule::pattern::Pattern;
use tranship::domain::time::Timestamp;

use crate::fuzz;
use crate::support::chance::Chance;

const NOW: Timestamp = Timestamp(1_767_600_000_000_000);

/// Every file of definitions there is, and every example in the documentation.
fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = |folder: &str| {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let folders = ["jobs", "entities", "docs", "docs/how-to"];
    let mut texts = Vec::new();
    for path in folders.iter().flat_map(|folder| files(folder)) {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => texts.push(std::fs::read_to_string(path).unwrap()),
            Some("md") => {
                let page = std::fs::read_to_string(path).unwrap();
                let blocks = page.split("```toml\n").skip(1);
                texts.extend(blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned())));
            }
            _ => {}
        }
    }
    assert!(
        texts.len() > 50,
        "the definitions are written elsewhere now: {}",
        texts.len()
    );
    texts
}

/// A text in which a line, or a value, is one of another text.
fn crossed(text: &str, other: &str, chance: &mut Chance) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let others: Vec<&str> = other.lines().collect();
    if lines.is_empty() || others.is_empty() {
        return text.to_owned();
    }
    for _ in 0..=chance.below(3) {
        let (at, line) = (chance.below(lines.len()), others[chance.below(others.len())]);
        match (lines[at].split_once('='), line.split_once('=')) {
            (Some((key, _)), Some((_, value))) if chance.one_in(2) => lines[at] = format!("{key}={value}"),
            _ => lines.insert(at, line.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn definitions() {
    let texts = texts();
    let folder = tempfile::tempdir().unwrap();
    let (jobs, entities) = (folder.path().join("jobs"), folder.path().join("entities"));
    for folder in [&jobs, &entities] {
        std::fs::create_dir(folder).unwrap();
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("entities");
    for name in ["customers.toml", "sales-order-headers.toml"] {
        std::fs::copy(shipped.join(name), entities.join(name)).unwrap();
    }
    let seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    fuzz("definitions", &seeds, |bytes, chance| {
        let mut bytes = bytes.to_vec();
        if chance.one_in(2) {
            let other = &texts[chance.below(texts.len())];
            bytes = crossed(&String::from_utf8_lossy(&bytes), other, chance).into_bytes();
        }
        let is_job = bytes.windows(9).any(|word| word == b"direction");
        let file = if is_job {
            jobs.join("x.toml")
        } else {
            entities.join("x.toml")
        };
        std::fs::write(&file, &bytes).unwrap();
        let loaded = Definitions::load(&jobs, &entities, &["main".to_owned()]);
        std::fs::remove_file(&file).unwrap();
        match loaded {
            Ok(loaded) => loaded.jobs.iter().for_each(|job| {
                let upcoming = job
                    .schedule
                    .iter()
                    .flat_map(|schedule| schedule.preview(job.id, NOW, 3));
                let due: Vec<Timestamp> = upcoming.map(|upcoming| upcoming.due_at).collect();
                assert!(due.is_sorted() && due.iter().all(|due| *due > NOW), "{due:?}");
            }),
            Err(mistakes) => {
                let lines = bytes.split(|byte| *byte == b'\n').count();
                assert!(!mistakes.is_empty());
                for mistake in mistakes.iter().filter(|mistake| mistake.file == file) {
                    assert!(!mistake.message.is_empty());
                    assert!(mistake.line.is_none_or(|line| (1..=lines).contains(&line)), "{mistake}");
                }
            }
        }
    });
}

#[test]
fn schedules() {
    let seeds = [
        "0 2 * * *",
        "*/5 * * * * *",
        "0 0 29 2 *",
        "0 0 12 ? JAN-DEC MON#2",
        "@daily",
        "15,45 8-18/2 L * 5L",
        "0 0 15W * 1-5",
        "1h30m",
        "366d",
        "2026-03-29 02:30",
        "2026-03-29T02:30:00+02:00",
    ];
    fuzz("schedule", &seeds.map(|seed| seed.as_bytes().to_vec()), |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        match Pattern::parse(&text) {
            Ok(pattern) => assert_eq!(Pattern::parse(pattern.text()), Ok(pattern)),
            Err(invalid) => assert!(!invalid.reason.is_empty() && invalid.cron.chars().count() <= 80),
        }
        if let Ok(elapsed) = Elapsed::parse(&text) {
            assert!((1..=366 * 86_400).contains(&elapsed.seconds()));
        }
        if let Some(moment) = Moment::parse(&text) {
            for zone in [chrono_tz::UTC, chrono_tz::Europe::Berlin, chrono_tz::Pacific::Apia] {
                assert!(moment.first(zone) <= moment.last(zone), "{text}");
            }
        }
        let _ = text.parse::<JobId>();
    });
}
