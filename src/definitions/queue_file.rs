//! `[queue]` of a job file: how the job's queue behaves.

use super::read::{Placed, Table};
use crate::domain::job::{Direction, Order, QueueSpec, Retry};
use crate::domain::message::Durability;
use crate::domain::pattern::TextPattern;

/// Longest delay, expiry or back-off a job may name: a year.
const SECONDS_MAX: u32 = 366 * 24 * 3600;

/// Most messages a job may allow.
const MESSAGES_MAX: u32 = 1_000_000_000;

/// Reads a queue's section.
pub(super) fn read(table: Table<'_>) -> QueueSpec {
    let seconds = |key| table.number(key, 0..=SECONDS_MAX).map(|seconds| seconds.value);
    let durabilities = [("full", Durability::Full), ("relaxed", Durability::Relaxed)];
    let durability = table.choice("durability", &durabilities);
    let spec = QueueSpec {
        lease_seconds: table.number("lease_seconds", 1..=86_400).map(|seconds| seconds.value),
        max_deliveries: table.number("max_deliveries", 1..=1000).map(|most| most.value),
        order: read_order(&table),
        block_on_dead_letter: is_set(&table, "block_on_dead_letter"),
        priority: table.whole("priority", -100..=100).map_or(0, |priority| priority.value),
        durability: durability.map_or(Durability::Full, |durability| durability.value),
        delay_seconds: seconds("delay_seconds").unwrap_or(0),
        expires_after_seconds: table
            .number("expires_after_seconds", 1..=SECONDS_MAX)
            .map(|seconds| seconds.value),
        retry: table.table("retry", "`retry`").map(read_retry).unwrap_or_default(),
        idempotent_external_id: table
            .choice("idempotency", &[("external_identifier", true)])
            .is_some_and(|chosen| chosen.value),
        deduplicate_seconds: table
            .number("deduplicate_seconds", 1..=SECONDS_MAX)
            .map(|seconds| seconds.value),
        fair_by_company: is_set(&table, "fair_by_company"),
        max_messages: table.number("max_messages", 0..=MESSAGES_MAX).map(|most| most.value),
    };
    table.finish();
    spec
}

fn is_set(table: &Table<'_>, key: &'static str) -> bool {
    table.truth(key).is_some_and(|truth| truth.value)
}

fn read_retry(table: Table<'_>) -> Retry {
    let default = Retry::default();
    let retry = Retry {
        first_seconds: table
            .number("first_seconds", 0..=SECONDS_MAX)
            .map_or(default.first_seconds, |seconds| seconds.value),
        cap_seconds: table
            .number("cap_seconds", 0..=SECONDS_MAX)
            .map_or(default.cap_seconds, |seconds| seconds.value),
        jitter: table.share("jitter").map_or(default.jitter, |share| share.value),
    };
    table.finish();
    retry
}

/// `in_order = true`, or what `order_by` names.
pub(super) fn read_order(table: &Table<'_>) -> Order {
    let key = if table.has("process_in_order") {
        "process_in_order"
    } else {
        "in_order"
    };
    let whole = table.truth(key);
    let named = table.text("order_by");
    if let (Some(whole), Some(named)) = (&whole, &named)
        && whole.value
    {
        let message = format!("`{key}` keeps all messages in order already; leave `order_by` out");
        table.findings().at(&named.span, message);
    }
    match named {
        Some(named) => order_by(table, &named).unwrap_or(Order::None),
        None if whole.is_some_and(|whole| whole.value) => Order::Job,
        None => Order::None,
    }
}

fn order_by(table: &Table<'_>, named: &Placed<String>) -> Option<Order> {
    let blame = |message: String| {
        table.findings().at(&named.span, message);
        None
    };
    match (named.value.as_str(), named.value.split_once(':')) {
        ("company", _) => Some(Order::Company),
        ("entity", _) => Some(Order::Entity),
        (_, Some(("header", name))) if is_header(name) => Some(Order::Header(name.to_ascii_lowercase())),
        (_, Some(("header", name))) => blame(format!("`order_by`: `{name}` is not the name of an HTTP header")),
        (_, Some(("file_name", pattern))) => match regex::Regex::new(pattern) {
            Ok(pattern) if pattern.captures_len() > 1 => Some(Order::FileName(TextPattern(pattern))),
            Ok(_) => blame(format!(
                "`order_by`: the pattern `{pattern}` has no group; put what makes the key in parentheses"
            )),
            Err(error) => blame(format!("`order_by`: {error}")),
        },
        _ => blame(format!(
            "`order_by` is `{}`, allowed are `company`, `entity`, `header:<name>` or `file_name:<pattern with a group>`",
            named.value
        )),
    }
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Complains of what makes no sense for a direction.
pub(super) fn check(table: &Table<'_>, direction: Direction, queue: &QueueSpec) {
    if direction == Direction::Import && queue.durability == Durability::Relaxed {
        let message = "`durability = \"relaxed\"` is for relay jobs: an import's sender is told its file is safe";
        table.findings().at(table.span(), message);
    }
    if direction == Direction::Export && queue.max_messages.is_some() {
        let message = "`max_messages` is for jobs that are enqueued to: an export's queue is filled by its schedule";
        let place = table.span_of("queue").unwrap_or_else(|| table.span().clone());
        table.findings().at(&place, message);
    }
}
