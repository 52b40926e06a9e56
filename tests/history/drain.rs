//! After a run: everything that is left is taken and acknowledged, until nothing is left or the patience is.

use std::time::{Duration, Instant};

use crate::client::{Client, Wish};
use crate::history::{Queue, Row, Verb};

/// Longer than any lease, any back-off and the longest queue need.
const PATIENCE: Duration = Duration::from_mins(2);

/// Drains the queues, and tells what they hold then.
pub async fn drain(client: &Client, queues: &[Queue]) -> Vec<Row> {
    let began = Instant::now();
    loop {
        let mut handled = 0;
        for queue in queues {
            handled += take_and_ack(client, queue).await;
        }
        if handled > 0 && began.elapsed() < PATIENCE {
            continue;
        }
        let mut rows = Vec::new();
        for queue in queues {
            rows.extend(client.rows(queue).await);
        }
        if rows.iter().all(|row| row.ended) || began.elapsed() >= PATIENCE {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn take_and_ack(client: &Client, queue: &Queue) -> usize {
    let wish = Wish {
        max: 100,
        lease_seconds: Some(30),
        wait_seconds: 0,
        inline: true,
    };
    let held = client.lease(queue, wish).await.unwrap_or_default();
    let acts = held.iter().map(|held| (held.lease.receipt.clone(), Verb::Ack));
    let acts: Vec<(String, Verb)> = acts.collect();
    if !acts.is_empty() {
        client.act_on_each(&acts).await;
    }
    acts.len()
}
