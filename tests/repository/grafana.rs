//! `docs/grafana/`: the dashboard and the alert rules name only metrics there are, every alert fires when it should, and each leads to a
//! section that says what to do.

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;
use serde_json::Value;
use tranship::telemetry::{Kind, METRICS};

use crate::repository;

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The metrics an expression names that there are not.
fn unknown(expression: &str) -> Vec<String> {
    let name = Regex::new(r"\btranship_[a-z_]+").expect("a pattern");
    let is_known = |found: &str| {
        METRICS.iter().any(|(name, kind, _)| {
            let parts = ["_bucket", "_sum", "_count"];
            found == *name || (*kind == Kind::Histogram && parts.iter().any(|part| found == format!("{name}{part}")))
        })
    };
    let found = name.find_iter(expression).map(|found| found.as_str().to_owned());
    found.filter(|found| !is_known(found)).collect()
}

/// Each `expr` of a JSON document.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| expressions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_shows_metrics_there_are() {
    let dashboard: Value = serde_json::from_str(&read("docs/grafana/tranship.json")).expect("JSON");
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 25, "{}", found.len());
    for expression in found {
        assert!(expression.contains("tranship_"), "{expression}");
        assert_eq!(unknown(&expression), Vec::<String>::new(), "{expression}");
    }
    assert_eq!(unknown("rate(tranship_nothing_total[5m])"), ["tranship_nothing_total"]);
    let panels = dashboard["panels"].as_array().expect("panels");
    let rows: Vec<_> = panels
        .iter()
        .filter(|panel| panel["type"] == "row")
        .filter_map(|row| row["title"].as_str())
        .collect();
    assert_eq!(rows, ["Overview", "Queues", "Imports", "Exports", "Deliveries", "HTTP"]);
}

#[test]
fn each_alert_is_about_metrics_there_are_and_leads_to_its_section() {
    let (rules, tests, page) = (
        read("docs/grafana/alerts.yml"),
        read("docs/grafana/alerts_test.yml"),
        read("docs/operating.md"),
    );
    let anchors: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|title| title.to_lowercase().replace(' ', "-"))
        .collect();
    let mut alerts = 0;
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default();
        alerts += 1;
        assert_eq!(unknown(rule), Vec::<String>::new(), "{name}");
        let anchor = rule
            .split("runbook_url: docs/operating.md#")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let anchor = anchor.unwrap_or_else(|| panic!("{name} has no runbook_url"));
        assert!(
            anchors.contains(anchor.trim()),
            "docs/operating.md has no section #{anchor}"
        );
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/operating.md does not name {name}"
        );
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        assert!(tests.contains(&fires), "alerts_test.yml does not have {name} fire");
    }
    assert_eq!(alerts, 11);
}

#[test]
fn promtool_takes_the_rules_and_sees_each_alert_fire() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let Some(output) = promtool(&arguments) else { return };
        let said = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
    }
}

/// Runs `promtool` in `docs/grafana`; nothing where there is none and that is allowed.
#[allow(clippy::disallowed_methods, reason = "tests read the environment")]
fn promtool(arguments: &[&str]) -> Option<std::process::Output> {
    let run = Command::new("promtool")
        .args(arguments)
        .current_dir(repository("docs/grafana"))
        .output();
    if run.is_err() {
        assert!(
            std::env::var("CI").is_err(),
            "promtool is missing (Debian: prometheus): in CI it is not optional"
        );
        eprintln!("skipped: promtool is not installed (Debian: prometheus)");
    }
    run.ok()
}
