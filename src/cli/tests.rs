//! What the command line takes and what it refuses.

use clap::{CommandFactory as _, Parser as _};

use super::{Cli, Exit};

/// The id of a message.
const ID: &str = "0192f1c4-7a51-7c3e-9d7e-0c1f6f3a2b11";

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("tranship").chain(line.iter().copied()))
}

#[test]
fn the_command_line_is_consistent_in_itself() {
    Cli::command().debug_assert();
}

#[test]
fn many_messages_are_named_or_described() {
    for line in [
        &[
            "messages",
            "list",
            "--job",
            "J",
            "--code",
            "rejected",
            "--since",
            "2026-01-31",
        ][..],
        &["messages", "retry", "0192f1c4-0000-7000-8000-000000000000", "--yes"],
        &[
            "messages",
            "cancel",
            "--job",
            "J",
            "--until",
            "2026-01-31T18:00",
            "--dry-run",
            "--json",
        ],
        &["dead-letters", "list", "--limit", "5"],
        &["dead-letters", "groups", "--job", "J"],
        &[
            "dead-letters",
            "redrive",
            "--job",
            "J",
            "--code",
            "rejected",
            "--rate",
            "5",
        ],
    ] {
        assert!(parse(line).is_ok(), "{line:?}");
    }
    assert!(parse(&["messages", "retry", "no-id"]).is_err());
    assert!(parse(&["messages", "cancel", "--since", "monday"]).is_err());
    assert!(parse(&["dead-letters", "redrive", "--rate", "0"]).is_err());
}

#[test]
fn every_command_can_be_completed_and_has_its_page() {
    let names = |command: &clap::Command| {
        let own = command.get_subcommands().map(|own| own.get_name().to_owned());
        own.collect::<Vec<_>>()
    };
    let command = Cli::command();
    let pages = super::manual::pages().expect("pages");
    for name in names(&command) {
        let page = format!("tranship-{name}");
        assert!(pages.iter().any(|(own, _)| *own == page), "no page for {name}");
        for shell in [
            clap_complete::Shell::Bash,
            clap_complete::Shell::Zsh,
            clap_complete::Shell::Fish,
        ] {
            let script = super::completions::script(shell).expect("a script");
            assert!(script.contains(&name), "{shell} does not know {name}");
        }
    }
    let (_, push) = pages.iter().find(|(name, _)| name == "tranship-push").expect("a page");
    assert!(
        push.starts_with(".ie") && push.contains(".TH tranship-push 1"),
        "{push}"
    );
    assert!(push.contains("\\-\\-wait"), "{push}");
    assert!(pages.iter().any(|(name, _)| name == "tranship-sandbox-faults-add"));
}

#[test]
fn every_command_of_the_manual_is_taken() {
    for line in [
        &["serve"][..],
        &[
            "serve",
            "--config",
            "a.toml",
            "--set",
            "queue.lease_seconds=60",
            "--data-dir",
            "d",
            "--listen",
            "127.0.0.1:0",
        ],
        &["demo", "--exit"],
        &["init", "orders.csv", "--dir", "x"],
        &[
            "generate",
            "sales-orders",
            "--rows",
            "5",
            "--bad",
            "1%",
            "--refused",
            "0.1%",
            "--out",
            "f.csv",
            "--json",
        ],
        &["generate", "customers", "--rows", "5", "--seed", "2"],
        &["generate", "set-up", "--dir", "x"],
        &[
            "bench", "import", "--rows", "5", "--bad", "5%", "--rounds", "2", "--json",
        ],
        &["bench", "export", "--rows", "5", "--format", "jsonl", "--json"],
        &["check", "--apply", "--json"],
        &["agent", "--config", "a.toml", "--once", "--wait", "5"],
        &["agent", "--check", "--json"],
        &["agent", "--status"],
        &[
            "entities", "add", "--table", "t", "--name", "N", "--label", "L", "--print",
        ],
        &["entities", "add", "--database", "erp", "--all", "--force", "--json"],
        &["entities", "list", "--data-dir", "d"],
        &["entities", "show", "N", "--json"],
        &[
            "push",
            "f.csv",
            "--job",
            "J",
            "--entity",
            "E",
            "--company",
            "usmf",
            "--wait",
            "--json",
        ],
        &[
            "push",
            "f.csv",
            "--job",
            "J",
            "--key",
            "k",
            "--priority",
            "-5",
            "--delay",
            "60",
        ],
        &["pull", "--job", "J", "--out", "d", "--ack", "--max", "3"],
        &["status", ID, "--watch"],
        &["jobs", "list"],
        &["jobs", "show", "J"],
        &["jobs", "run", "J", "--wait"],
        &["jobs", "next", "J"],
        &[
            "messages",
            "list",
            "--job",
            "J",
            "--status",
            "processed",
            "--limit",
            "5",
        ],
        &["messages", "show", ID, "--errors"],
        &["messages", "rejects", ID, "--out", "r.csv"],
        &["messages", "resubmit", ID, "r.csv", "--wait"],
        &["messages", "resubmit", ID, "r.csv", "--force"],
        &["client", "add", "shop", "--role", "operator", "--data-dir", "d"],
        &["client", "list", "--json"],
        &["client", "rotate", "shop"],
        &["client", "role", "shop", "admin"],
        &["client", "revoke", "shop"],
    ] {
        if let Err(error) = parse(line) {
            panic!("{line:?}: {error}");
        }
    }
}

#[test]
fn every_command_of_the_audit_log_is_taken() {
    for line in [
        &[
            "audit",
            "list",
            "--actor",
            "op",
            "--action",
            "job.pause",
            "--from",
            "2026-01-31T18:00:00Z",
            "--json",
        ][..],
        &[
            "audit",
            "list",
            "--before-entry",
            "7",
            "--target",
            "shop",
            "--limit",
            "500",
        ],
        &["audit", "verify"],
    ] {
        if let Err(error) = parse(line) {
            panic!("{line:?}: {error}");
        }
    }
}

#[test]
fn every_command_of_the_sandbox_is_taken() {
    for line in [
        &[
            "serve",
            "--sandbox",
            "--sandbox-reachable",
            "--sandbox-token",
            "t=erp",
            "--sandbox-token",
            "u==shop",
            "--seed",
            "seed",
        ][..],
        &["sandbox", "faults", "list", "--json"],
        &[
            "sandbox",
            "faults",
            "add",
            "answer",
            "--status",
            "503",
            "--retry-after",
            "2",
            "--method",
            "POST",
            "--path",
            "/api/*",
            "--client",
            "erp",
            "--probability",
            "0.5",
            "--seed",
            "7",
        ],
        &[
            "sandbox",
            "faults",
            "add",
            "slow-import",
            "--milliseconds",
            "5",
            "--job",
            "J",
            "--times",
            "2",
        ],
        &["sandbox", "faults", "remove", "answer-1"],
        &["sandbox", "faults", "clear"],
        &["sandbox", "clock", "show"],
        &["sandbox", "clock", "advance", "1d12h"],
        &["sandbox", "clock", "set", "2027-01-01T00:00:00Z"],
        &["sandbox", "clock", "real"],
        &["sandbox", "reset", "--json"],
        &[
            "sandbox", "journal", "list", "--path", "/api/*", "--status", "5xx", "--limit", "3",
        ],
        &["sandbox", "journal", "show", "7"],
        &["sandbox", "journal", "export", "--out", "f.har"],
        &["sandbox", "journal", "clear"],
    ] {
        if let Err(error) = parse(line) {
            panic!("{line:?}: {error}");
        }
    }
}

#[test]
fn mistakes_end_with_two_and_the_nearest_command_is_named() {
    for line in [
        &["sreve"][..],
        &["push"],
        &["push", "f.csv"],
        &["serve", "--seed", "d"],
        &["serve", "--sandbox", "--sandbox-token", "t"],
        &["sandbox", "faults", "add", "answer"],
        &["sandbox", "faults", "add", "eat-answer"],
        &["sandbox", "clock", "advance", "soon"],
        &["push", "f.csv", "--job", "J", "--priority", "101"],
        &["push", "f.csv", "--job", "J", "--delay", "-1"],
        &["pull", "--job", "J", "--out", "d", "--max", "0"],
        &["messages", "list", "--status", "Executing"],
        &["messages", "list", "--limit", "201"],
        &["messages", "list", "--before", "yesterday"],
        &["push", "f.csv", "--job", ""],
        &["jobs", "show", ".."],
        &["client", "add", "shop", "--role", "king"],
        &["client", "role", "shop", "king"],
        &["audit", "list", "--action", "job.dance"],
        &["audit", "verify", "--head", "17"],
        &["jobs", "list", "--url", "localhost:8080"],
        &["serve", "--set", "nonsense"],
        &["entities", "add"],
        &["entities", "add", "--all", "--table", "t"],
        &["jobs", "next", "J", "--from", "2026-13-01"],
        &["jobs", "backfill", "J", "--from", "soon", "--to", "2026-01-01"],
        &["jobs", "rewind", "J", "--to", "1", "--full"],
    ] {
        let error = parse(line).err().unwrap_or_else(|| panic!("{line:?} was taken"));
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{line:?}");
    }
    let error = parse(&["jobs", "rewind", "J"]).expect_err("where to").to_string();
    assert!(error.contains("--to <NUMBER>") && error.contains("--full"), "{error}");
    let error = parse(&["jbos"]).expect_err("no such command").to_string();
    assert!(error.contains("jobs"), "{error}");
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let help = Cli::command().render_help().to_string();
    for exit in Exit::ALL {
        assert!(help.contains(&format!("\n  {}  ", exit.code())), "{exit:?}");
    }
}

#[test]
fn every_command_is_in_the_manual() {
    let page = include_str!("../../docs/cli.md");
    let cli = Cli::command();
    let mut missing = Vec::new();
    for command in cli.get_subcommands() {
        let inner: Vec<_> = command.get_subcommands().collect();
        let names = if inner.is_empty() {
            vec![command.get_name().to_owned()]
        } else {
            inner
                .iter()
                .map(|verb| format!("{} {}", command.get_name(), verb.get_name()))
                .collect()
        };
        missing.extend(
            names
                .into_iter()
                .filter(|name| !page.contains(&format!("### `tranship {name}"))),
        );
    }
    assert!(missing.is_empty(), "not in docs/cli.md: {missing:?}");
}

#[test]
fn every_option_is_in_the_manual() {
    fn options(command: &clap::Command, into: &mut Vec<String>) {
        let long = command.get_arguments().filter_map(clap::Arg::get_long);
        into.extend(
            long.filter(|name| !["help", "version"].contains(name))
                .map(|name| format!("`--{name}")),
        );
        command.get_subcommands().for_each(|inner| options(inner, into));
    }
    let page = include_str!("../../docs/cli.md");
    let mut names = Vec::new();
    options(&Cli::command(), &mut names);
    names.retain(|name| !page.contains(name.as_str()));
    assert!(names.is_empty(), "not in docs/cli.md: {names:?}");
}

#[test]
fn a_filter_that_is_empty_is_a_script_whose_variable_is_not_set() {
    for option in ["--file", "--external-id", "--code", "--key", "--job"] {
        for value in ["", "  "] {
            let refused = parse(&["messages", "retry", option, value, "--yes"]);
            assert!(refused.is_err(), "{option} `{value}` would mean every message");
        }
    }
}
