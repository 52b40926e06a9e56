//! Every route, called by everybody: what each is answered stands in a table, and a route without a line fails the test.

use std::collections::{BTreeMap, BTreeSet};

use super::callers::{Caller, friends, strangers};
use super::route_table::routes;
use super::world::{World, answered};
use crate::app::Backend;
use crate::webhooks::receiver::Receiver;

crate::on_both_backends!(
    every_route_answers_each_caller_as_the_table_says,
    the_sandbox_is_for_operators,
);

/// What each caller is answered, in the order of [`strangers`] and [`friends`]: nobody, a token that is none, a revoked client, a session of
/// the console, a client of another job; one who only looks, a client of the job, an operator, an admin, an integrator whom no job lists.
const TABLE: &str = include_str!("routes.txt");

pub struct Line {
    pub route: &'static str,
    statuses: Vec<u16>,
}

pub fn lines(is_sandbox: bool) -> Vec<Line> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| {
        let (route, statuses) = line.split_once(" | ").unwrap_or_else(|| panic!("{line}"));
        let statuses = statuses
            .split_whitespace()
            .map(|status| status.parse().expect("a status"));
        Line {
            route: route.trim(),
            statuses: statuses.collect(),
        }
    });
    lines
        .filter(|line| line.route.contains("/api/v1/sandbox") == is_sandbox)
        .collect()
}

#[test]
fn every_route_has_a_line() {
    let told: BTreeSet<String> = lines(false)
        .into_iter()
        .chain(lines(true))
        .map(|line| line.route.to_owned())
        .collect();
    let routes = routes();
    let missing: Vec<_> = routes.difference(&told).collect();
    let strange: Vec<_> = told.difference(&routes).collect();
    assert!(
        missing.is_empty(),
        "say in tests/api/security/routes.txt what each caller is answered on {missing:#?}"
    );
    assert!(strange.is_empty(), "in the table, but no route: {strange:#?}");
}

async fn every_route_answers_each_caller_as_the_table_says(backend: Backend) {
    let receiver = Receiver::start().await;
    let world = World::new(backend, &receiver, false).await;
    world.app.client("victim").await;
    check(&world, &lines(false)).await;
}

async fn the_sandbox_is_for_operators(backend: Backend) {
    let receiver = Receiver::start().await;
    let world = World::new(backend, &receiver, true).await;
    check(&world, &lines(true)).await;
}

async fn check(world: &World, lines: &[Line]) {
    let (strangers, friends) = (strangers(&world.app).await, friends(&world.app).await);
    let mut seen: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
    let before = world.kept().await;
    for line in lines {
        for caller in &strangers {
            seen.entry(line.route)
                .or_default()
                .push(call(world, line.route, caller).await);
        }
        // One who only looks changes nothing either.
        seen.entry(line.route)
            .or_default()
            .push(call(world, line.route, &friends[0]).await);
        tells_nothing(world, line.route, &strangers[4]).await;
    }
    assert_eq!(before, world.kept().await, "who may not did something");
    for line in lines {
        for caller in &friends[1..] {
            seen.entry(line.route)
                .or_default()
                .push(call(world, line.route, caller).await);
        }
    }
    let shown = |route: &str, statuses: &[u16]| {
        let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
        format!("{route} | {}", statuses.join(" "))
    };
    let wrong: Vec<String> = lines
        .iter()
        .filter(|line| seen[line.route] != line.statuses)
        .map(|line| {
            format!(
                "{}\n   not {}",
                shown(line.route, &seen[line.route]),
                shown("", &line.statuses)
            )
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "answered otherwise than the table says:\n{}",
        wrong.join("\n")
    );
}

async fn call(world: &World, route: &str, caller: &Caller) -> u16 {
    let request = world.request(route, &world.own(route), caller.name);
    answered(caller.sign(request)).await.0
}

/// Whoever may not see something cannot tell it from what is not there.
async fn tells_nothing(world: &World, route: &str, stranger: &Caller) {
    let names_job_only = [
        "{id}",
        "{receipt}",
        "{name}",
        "/ack/",
        "/download/",
        "/jobstatus/",
        "/bulk",
        "{action}",
        "{path:.*}",
        "/leases/batch",
    ];
    if !names_job_only.iter().any(|part| route.contains(part)) || route.contains("/clients/") {
        return;
    }
    let (own, absent) = (world.own(route), world.absent(route));
    let mut answers = Vec::new();
    for target in [own, absent] {
        let (status, text) = answered(stranger.sign(world.request(route, &target, "other"))).await;
        answers.push((status, target.unnamed(&text)));
    }
    assert_eq!(answers[0], answers[1], "{route}: what is there, and what is not");
}
