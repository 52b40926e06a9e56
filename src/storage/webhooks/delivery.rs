//! One delivery: as it is stored, and as a row.

use uuid::Uuid;

use crate::domain::ids::{DeliveryId, JobId, MessageId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::EventType;
use crate::storage::StoreError;
use crate::storage::outbox::LastAnswer;
use crate::storage::rows::corrupt;

/// A delivery about to be stored.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The job whose secret signs it.
    pub job: JobId,
    /// The message it tells of.
    pub message: Option<MessageId>,
    /// What it tells.
    pub event: EventType,
    /// To whom.
    pub url: String,
    /// In which bytes.
    pub body: String,
}

/// A delivery as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the receiver's `webhook-id`.
    pub id: DeliveryId,
    /// The job whose secret signs it.
    pub job: JobId,
    /// The message it tells of; a ping tells of none.
    pub message: Option<MessageId>,
    /// What it tells.
    pub event: EventType,
    /// To whom.
    pub url: String,
    /// Host and port of `url`.
    pub destination: String,
    /// In which bytes.
    pub body: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Number of the latest claim.
    pub epoch: i64,
    /// Attempts since it was made or last replayed.
    pub attempt: i32,
    /// Who is sending it.
    pub owner: Option<String>,
    /// When it is tried next; while it is being sent: when others may take it.
    pub due_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it arrived or was given up.
    pub finished_at: Option<Timestamp>,
    /// What the last attempt met.
    pub last: Option<LastAnswer>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be sent, now or later.
    Pending,
    /// The receiver took it.
    Delivered,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The word in columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// The columns of [`DeliveryRow`].
pub(super) const COLUMNS: &str = "id, job, message, event, url, destination, body, state, epoch, attempt, owner, due_at, created_at, \
    finished_at, last_at, last_status, last_detail";

/// A row of `webhook_deliveries`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct DeliveryRow {
    id: Uuid,
    job: Uuid,
    message: Option<Uuid>,
    event: String,
    url: String,
    destination: String,
    body: String,
    state: String,
    epoch: i64,
    attempt: i32,
    owner: Option<String>,
    due_at: i64,
    created_at: i64,
    finished_at: Option<i64>,
    last_at: Option<i64>,
    last_status: Option<i32>,
    last_detail: Option<String>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let bad = |column, detail: &str| corrupt("webhook_deliveries", column, &row.id, detail);
        let state = DeliveryState::ALL.into_iter().find(|s| s.as_str() == row.state);
        let status = row.last_status.map(u16::try_from).transpose();
        Ok(Self {
            event: EventType::parse(&row.event).ok_or_else(|| bad("event", &row.event))?,
            state: state.ok_or_else(|| bad("state", &row.state))?,
            last: match (row.last_at, status.map_err(|_| bad("last_status", "no HTTP status"))?) {
                (Some(at), status) => Some(LastAnswer {
                    at: Timestamp(at),
                    status,
                    detail: row.last_detail,
                }),
                (None, _) => None,
            },
            id: DeliveryId(row.id),
            job: JobId(row.job),
            message: row.message.map(MessageId),
            url: row.url,
            destination: row.destination,
            body: row.body,
            epoch: row.epoch,
            attempt: row.attempt,
            owner: row.owner,
            due_at: Timestamp(row.due_at),
            created_at: Timestamp(row.created_at),
            finished_at: row.finished_at.map(Timestamp),
        })
    }
}
