//! `docs/metrics.md` against what `/metrics` tells after a journey, and the dashboard's queries against the same, by `promtool`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tranship::telemetry::{Kind, METRICS};

use crate::app::{Backend, TestApp};
use crate::client::relay;

crate::on_both_backends!(what_is_told_is_what_is_documented);

/// What no journey here brings about: other processes, broken disks, collectors.
const RARE: [&str; 4] = [
    "tranship_export_copies_total",
    "tranship_trace_spans_total",
    "tranship_delivery_seconds",
    "tranship_blob_errors_total",
];

async fn what_is_told_is_what_is_documented(backend: Backend) {
    let mut app = TestApp::with(backend, |setup| {
        relay(setup, "Orders", "lease_seconds = 5");
    })
    .await;
    journey(&mut app).await;
    let told = app.get("/metrics").await.text().await.unwrap();
    let (documented, families) = (documented(), families(&told));
    let known: BTreeMap<String, (String, String)> = METRICS
        .iter()
        .map(|(name, kind, what)| ((*name).to_owned(), (word(*kind).to_owned(), (*what).to_owned())))
        .collect();
    let page = documented
        .iter()
        .map(|(name, row)| (name.clone(), (row.kind.clone(), row.meaning.clone())));
    assert_eq!(
        page.collect::<BTreeMap<_, _>>(),
        known,
        "docs/metrics.md and telemetry::METRICS"
    );
    for (name, family) in &families {
        let row = documented
            .get(name)
            .unwrap_or_else(|| panic!("{name} is told, and not documented"));
        assert_eq!(family.kind, row.kind, "{name}");
        assert!(
            family.labels.is_subset(&row.labels),
            "{name} has {:?}, documented are {:?}",
            family.labels,
            row.labels
        );
    }
    for (name, row) in &documented {
        if let Some(family) = families.get(name) {
            assert_eq!(family.labels, row.labels, "{name}");
        } else {
            assert!(RARE.contains(&name.as_str()), "{name} is documented, and not told");
        }
    }
    checked(&told);
    queried(&told);
}

/// Something of everything: an import with rejected records, a scheduled export, a lease that lapses, an acknowledgement.
async fn journey(app: &mut TestApp) {
    let customers = std::fs::read_to_string("samples/northwind/customers.csv").unwrap();
    app.put("Inbound%20customers", "", &format!("{customers}\n,,,\n")).await;
    app.worker.run_until_idle().await.unwrap();
    app.put("Orders", "", "one").await;
    app.lease_one("Orders").await;
    app.clock.advance_seconds(10);
    let lease = app.lease_one("Orders").await;
    assert_eq!(app.step(&lease, "ack", json!({})).await.status, StatusCode::OK);
    // To the next due time of the nightly export, and some seconds later.
    app.scheduler.evaluate_due().await.unwrap();
    app.clock.advance_seconds(17 * 3600);
    app.renew_token().await;
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    app.worker.run_until_idle().await.unwrap();
    let strange = app.request(Method::GET, "/nowhere").send().await.unwrap();
    assert_eq!(strange.status(), StatusCode::NOT_FOUND);
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// A metric as the page or the exposition has it.
#[derive(Debug, Default, Clone)]
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    meaning: String,
}

fn documented() -> BTreeMap<String, Row> {
    let page = std::fs::read_to_string("docs/metrics.md").unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `tranship_"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, _unit, meaning] = cells.as_slice() else {
            panic!("{line}")
        };
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let row = Row {
            kind: (*kind).to_owned(),
            labels: labels.filter(|label| !label.is_empty()).collect(),
            meaning: (*meaning).to_owned(),
        };
        (name.trim_matches('`').to_owned(), row)
    })
    .collect()
}

/// A series: its metric, and its labels by name.
fn series(line: &str) -> (String, BTreeMap<String, String>) {
    let (name, rest) = line
        .split_once('{')
        .unwrap_or_else(|| (line.split(' ').next().unwrap(), ""));
    let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
    let pairs = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
    let labels = pairs
        .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
        .collect();
    (name.to_owned(), labels)
}

fn families(told: &str) -> BTreeMap<String, Row> {
    let mut families: BTreeMap<String, Row> = BTreeMap::new();
    for line in told.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else if !line.starts_with('#') && !line.is_empty() {
            let (name, labels) = series(line);
            let whole = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part));
            let name = whole.filter(|name| families.contains_key(*name)).unwrap_or(&name);
            let family = families.get_mut(name).unwrap_or_else(|| panic!("{name} has no TYPE"));
            family.labels.extend(labels.into_keys().filter(|label| label != "le"));
        }
    }
    families
}

/// `promtool check metrics`, which has the last word on names and the format.
fn checked(told: &str) {
    let Some(mut promtool) = promtool(&["check", "metrics"]) else {
        return;
    };
    promtool.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    assert!(output.status.success(), "{said}");
}

/// Every query of the dashboard finds something in what was told: `promtool` runs each on these very series, as if they had grown for half
/// an hour.
fn queried(told: &str) {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string("docs/grafana/tranship.json").unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let is_rare = |query: &str| RARE.iter().any(|name| query.contains(name)) || query.contains("tranship_delivery");
    let queries = targets
        .map(|target| target["expr"].as_str().unwrap())
        .filter(|query| !is_rare(query));
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut file = "evaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n".to_owned();
    for line in told.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let series = line.rsplit_once(' ').unwrap().0;
        let series = quoted(series);
        let _ = writeln!(file, "      - {{ series: {series}, values: '0+60x60' }}");
    }
    file.push_str("    promql_expr_test:\n");
    let mut asked = 0;
    for query in queries {
        asked += 1;
        let query = query.replace("$__rate_interval", "5m").replace("$job", ".*");
        let counted = quoted(&format!("count({query}) > bool 0"));
        let _ = writeln!(
            file,
            "      - {{ expr: {counted}, eval_time: 30m, exp_samples: [{{ labels: '{{}}', value: 1 }}] }}"
        );
    }
    assert!(asked > 20, "{asked}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.yml");
    std::fs::write(&path, file).unwrap();
    let Some(promtool) = promtool(&["test", "rules", path.to_str().unwrap()]) else {
        return;
    };
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
}

fn promtool(arguments: &[&str]) -> Option<std::process::Child> {
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = command.spawn();
    if started.is_err() {
        assert!(
            std::env::var("CI").is_err(),
            "promtool is missing (Debian: prometheus): in CI it is not optional"
        );
        eprintln!("skipped: promtool is not installed (Debian: prometheus)");
    }
    started.ok()
}
