//! A RabbitMQ quorum queue: publishers that wait for the broker's confirm beside consumers that acknowledge by hand.
//!
//! AMQP pushes deliveries, so publishing and consuming run side by side, which gives RabbitMQ more to do at once than the
//! contenders that take turns. A message holds one of `clients × batch` permits from its publish to its acknowledgement.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::tally::{Load, Tally, Window, gather};

const QUEUE: &str = "race";
/// AMQP: the message survives a restart of the broker.
const PERSISTENT: u8 = 2;

pub async fn run(load: &Load, url: &str, connections: usize) -> anyhow::Result<Value> {
    let mut publishing = Vec::new();
    let mut consuming = Vec::new();
    for _ in 0..connections.max(1) {
        publishing.push(connect(url).await?);
        consuming.push(connect(url).await?);
    }
    let control = publishing[0].create_channel().await?;
    declare(&control).await?;
    let window = load.window();
    let permits = Arc::new(Semaphore::new(load.clients * load.batch));
    let mut workers = JoinSet::new();
    for connection in &consuming {
        let channel = connection.create_channel().await?;
        let prefetch = (load.clients * load.batch).div_ceil(consuming.len());
        workers.spawn(consume(channel, Arc::clone(&permits), prefetch, window, load.clone()));
    }
    for at in 0..load.clients {
        let channel = publishing[at % publishing.len()].create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        workers.spawn(publish(channel, Arc::clone(&permits), load.clone(), window));
    }
    let tally = gather(workers, window).await?;
    control
        .queue_delete(QUEUE.into(), QueueDeleteOptions::default())
        .await?;
    for connection in publishing.into_iter().chain(consuming) {
        let _ = connection.close(200, "done".into()).await;
    }
    Ok(tally.report("rabbitmq", load, json!({"connections": connections * 2})))
}

async fn connect(url: &str) -> anyhow::Result<Connection> {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .context("RabbitMQ")
}

async fn declare(channel: &Channel) -> anyhow::Result<()> {
    channel
        .queue_delete(QUEUE.into(), QueueDeleteOptions::default())
        .await?;
    let mut arguments = FieldTable::default();
    let quorum: LongString = "quorum".into();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(quorum));
    channel
        .queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments)
        .await?;
    Ok(())
}

async fn publish(channel: Channel, permits: Arc<Semaphore>, load: Load, window: Window) -> anyhow::Result<Tally> {
    let mut tally = Tally::new(window);
    let payload = load.payload();
    let batch = u32::try_from(load.batch)?;
    while !window.is_over() {
        let acquired = tokio::time::timeout_at(window.end(), permits.acquire_many(batch)).await;
        let Ok(acquired) = acquired else { break };
        acquired?.forget();
        let started = Instant::now();
        let mut confirms = VecDeque::with_capacity(load.batch);
        for _ in 0..load.batch {
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let options = BasicPublishOptions::default();
            let confirm = channel
                .basic_publish("".into(), QUEUE.into(), options, payload.as_bytes(), properties)
                .await?;
            confirms.push_back(confirm);
        }
        for confirm in confirms {
            let answer = confirm.await?;
            anyhow::ensure!(matches!(answer, Confirmation::Ack(None)), "the broker said {answer:?}");
        }
        tally.operation("enqueue", started);
    }
    Ok(tally)
}

/// Acknowledges what the broker pushes: one by one, or all up to the last of a batch at once.
async fn consume(
    channel: Channel,
    permits: Arc<Semaphore>,
    prefetch: usize,
    window: Window,
    load: Load,
) -> anyhow::Result<Tally> {
    let prefetch = u16::try_from(prefetch).context("AMQP prefetches at most 65,535")?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let mut consumer = channel
        .basic_consume(
            QUEUE.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut tally = Tally::new(window);
    loop {
        let next = tokio::time::timeout_at(window.end(), consumer.next()).await;
        let Ok(Some(delivery)) = next else { break };
        let mut last = delivery?;
        let mut waiting = 1;
        // What has come already belongs to the batch; what has not is not waited for.
        while waiting < load.batch {
            let Some(Some(delivery)) = consumer.next().now_or_never() else {
                break;
            };
            last = delivery?;
            waiting += 1;
        }
        let started = Instant::now();
        let multiple = waiting > 1;
        last.ack(BasicAckOptions { multiple }).await?;
        tally.operation("ack", started);
        tally.acknowledged(waiting);
        permits.add_permits(waiting);
    }
    Ok(tally)
}
