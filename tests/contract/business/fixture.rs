//! Entities, records and a second opinion (plain SQL) for the tests of business databases.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tranship::business::policy::Policy;
use tranship::business::promote::{KeptReject, LoadCounts};
use tranship::business::snapshot::{Row, Selection};
use tranship::business::staging::{
    Load, LoadState, RejectedRecord, SourcePosition, StagedRecord, StagingBatch, WriteOrder,
};
use tranship::business::{BusinessError, Database, DatabaseSettings, Databases};
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Drift, Entity, Field, FieldType, Reference};
use tranship::domain::ids::MessageId;
use tranship::domain::job::ImportMode;
use tranship::domain::message::Fence;
use tranship::domain::reject::{RecordCode, RecordError, RecordPlace, RejectId};

use crate::support::databases::TestDatabase;

pub fn open(database: &TestDatabase) -> Database {
    open_url(&database.url)
}

pub fn open_url(url: &str) -> Database {
    let settings = DatabaseSettings {
        url: url.to_owned(),
        max_connections: 4,
    };
    let databases = Databases::new(&BTreeMap::from([("main".to_owned(), settings)])).expect("valid settings");
    databases.get("main").expect("the one database").clone()
}

pub fn field(name: &str, kind: FieldType) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        ..Field::default()
    }
}

pub fn entity(name: &str, table: &str, key: &[&str], fields: Vec<Field>) -> Entity {
    let key: Vec<String> = names(key);
    let fields = fields
        .into_iter()
        .map(|f| Field {
            required: f.required || key.contains(&f.name),
            ..f
        })
        .collect();
    Entity {
        name: name.to_owned(),
        label: format!("{name} label"),
        collection: name.to_owned(),
        public: false,
        data_management: true,
        database: "main".to_owned(),
        table: table.to_owned(),
        create_table: true,
        key,
        company_field: None,
        unknown_columns: Drift::Warn,
        missing_columns: Drift::Warn,
        fields,
        rules: Vec::new(),
    }
}

/// Three columns, the last two of them not key.
pub fn orders() -> Entity {
    entity(
        "Orders",
        "orders",
        &["order_number"],
        vec![
            field("order_number", FieldType::Int),
            field("customer", FieldType::String),
            field(
                "freight",
                FieldType::Decimal {
                    precision: 18,
                    scale: Some(2),
                },
            ),
        ],
    )
}

pub fn referring_to(field: Field, entity: &str, parent_field: &str) -> Field {
    Field {
        references: Some(Reference {
            entity: entity.to_owned(),
            field: parent_field.to_owned(),
        }),
        ..field
    }
}

pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub fn field_names(entity: &Entity) -> Vec<String> {
    entity.fields.iter().map(|f| f.name.clone()).collect()
}

pub fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

/// `order_number, customer, freight`.
pub fn order(number: i64, customer: &str, freight: &str) -> Vec<Cell> {
    vec![Cell::Int(number), text(customer), text(freight)]
}

/// Record `n` starts on line `n + 1`, ten bytes each.
pub fn place(record: u64) -> RecordPlace {
    RecordPlace {
        record,
        line: record + 1,
        byte_start: record * 10,
        byte_end: record * 10 + 10,
    }
}

pub fn bad_record(record: u64) -> RejectedRecord {
    let error = |code, reason: &str| RecordError {
        place: place(record),
        column: Some(3),
        field: Some("freight".to_owned()),
        code,
        value: Some("twelve".to_owned()),
        reason: reason.to_owned(),
    };
    RejectedRecord {
        origin: None,
        errors: vec![
            error(RecordCode::InvalidDecimal, "no number"),
            error(RecordCode::TooLong, "too long"),
        ],
        document_key: Vec::new(),
    }
}

/// A batch of good records numbered from `first`.
pub fn batch(first: u64, rows: Vec<Vec<Cell>>) -> StagingBatch {
    let records: Vec<_> = (first..)
        .zip(rows)
        .map(|(record, cells)| StagedRecord {
            landed: false,
            place: place(record),
            origin: None,
            cells,
        })
        .collect();
    let last = first + records.len() as u64 - 1;
    StagingBatch {
        records,
        rejected: Vec::new(),
        after: after(last),
    }
}

pub fn after(records: u64) -> SourcePosition {
    SourcePosition {
        records,
        line: records + 2,
        byte: records * 10 + 10,
    }
}

/// One message's load of one entity.
pub struct Loading<'a> {
    pub database: &'a Database,
    pub entity: &'a Entity,
    pub fence: Fence,
    pub fields: Vec<String>,
    pub parents: Vec<&'a Entity>,
    pub chunk_records: u64,
    pub mode: ImportMode,
    pub only_new: Vec<String>,
    pub numbered: Vec<String>,
    pub checks_rules: bool,
    pub order: Option<WriteOrder<'a>>,
    pub policy: Policy,
}

impl<'a> Loading<'a> {
    /// A load of a new message that has begun.
    pub async fn begin(database: &'a Database, entity: &'a Entity) -> Self {
        Self::begin_with(database, entity, field_names(entity)).await
    }

    pub async fn begin_with(database: &'a Database, entity: &'a Entity, fields: Vec<String>) -> Self {
        let fence = Fence {
            message: MessageId::generate(),
            epoch: 1,
        };
        let loading = Self {
            database,
            entity,
            fence,
            fields,
            parents: Vec::new(),
            chunk_records: 4,
            mode: ImportMode::Upsert,
            only_new: Vec::new(),
            numbered: Vec::new(),
            checks_rules: true,
            order: None,
            policy: Policy::default(),
        };
        database.raise_fence(fence).await.expect("a new fence");
        database.ensure_entity(entity).await.expect("tables");
        database
            .begin_load(loading.load(), &loading.fields)
            .await
            .expect("a load");
        loading
    }

    pub fn load(&self) -> Load<'_> {
        Load {
            only_new: &self.only_new,
            numbered: &self.numbered,
            checks_rules: self.checks_rules,
            order: self.order,
            policy: &self.policy,
            ..Load::new(self.fence, 0, self.entity, self.mode)
        }
    }

    pub async fn state(&self) -> LoadState {
        self.database
            .begin_load(self.load(), &self.fields)
            .await
            .expect("the state")
    }

    pub async fn stage(&self, batch: StagingBatch) {
        self.database
            .stage(self.load(), &self.fields, &batch)
            .await
            .expect("staged");
    }

    pub async fn finish_staging(&self) -> Result<(), BusinessError> {
        self.database
            .finish_staging(self.load(), &self.parents, self.chunk_records, None)
            .await
    }

    pub async fn promote(&self) {
        for chunk in self.database.chunks(self.load()).await.expect("chunks") {
            self.database
                .promote_chunk(self.load(), &self.fields, chunk)
                .await
                .expect("promoted");
        }
    }

    /// Validates and promotes what was staged; the outcome is checked for conservation.
    pub async fn finish(&self) -> LoadCounts {
        self.finish_staging().await.expect("validated");
        self.promote().await;
        self.counts().await
    }

    /// As if the worker had died in the last moment before staging was complete.
    pub async fn die_before_staging_is_complete(&self, test: &TestDatabase) {
        let mut plain = Plain::open(test).await;
        plain.run("delete from tranship_chunks").await;
        plain.run("update tranship_loads set staged = false").await;
    }

    pub async fn counts(&self) -> LoadCounts {
        let counts = self.database.load_counts(self.load()).await.expect("counts");
        assert!(counts.counts.conserved(), "not conserved: {counts:?}");
        assert_eq!(counts.counts.rejected, counts.staging_errors + counts.target_errors);
        counts
    }

    pub async fn rejects(&self) -> Vec<KeptReject> {
        self.database
            .kept_rejects(self.load(), None, 1000)
            .await
            .expect("rejects")
    }

    /// (record, code, field) of every reject.
    pub async fn reject_codes(&self) -> Vec<(u64, &'static str, Option<String>)> {
        let rejects = self.rejects().await;
        rejects
            .into_iter()
            .map(|r| (r.reject.record, r.error.code.as_str(), r.error.field))
            .collect()
    }

    pub fn reject_id(&self, record: u64) -> RejectId {
        RejectId {
            message: self.fence.message,
            entity_no: 0,
            record,
        }
    }
}

/// Loads these rows with all fields of the entity.
pub async fn load_rows(database: &Database, entity: &Entity, rows: Vec<Vec<Cell>>) -> LoadCounts {
    let loading = Loading::begin(database, entity).await;
    loading.stage(batch(1, rows)).await;
    loading.finish().await
}

/// (inserted, updated, unchanged, rejected).
pub fn outcome(counts: LoadCounts) -> (u64, u64, u64, u64) {
    let counts = counts.counts;
    (counts.inserted, counts.updated, counts.unchanged, counts.rejected)
}

pub async fn read_all(database: &Database, entity: &Entity) -> Vec<Cells> {
    read(database, all_rows(entity, &field_names(entity))).await
}

/// Of all companies, in the order of the key.
pub fn all_rows<'a>(entity: &'a Entity, fields: &'a [String]) -> Selection<'a> {
    Selection {
        entity,
        fields,
        filter: None,
        order_by: &[],
        companies: &[],
        limit: None,
    }
}

pub async fn read(database: &Database, selection: Selection<'_>) -> Vec<Cells> {
    let mut snapshot = database.snapshot().await.expect("a snapshot");
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Vec<Row>>(2);
    let collect = tokio::spawn(async move {
        let mut rows = Vec::new();
        while let Some(batch) = receiver.recv().await {
            rows.extend(batch.iter().map(cells));
        }
        rows
    });
    let sent = snapshot.read(selection, sender).await.expect("rows");
    let rows: Vec<Cells> = collect.await.expect("collected");
    assert_eq!(sent, rows.len() as u64);
    rows
}

/// What a row holds.
pub type Cells = Vec<Option<String>>;

pub fn cells(row: &Row) -> Cells {
    row.cells().map(|cell| cell.map(str::to_owned)).collect()
}

pub fn row(cells: &[&str]) -> Cells {
    cells
        .iter()
        .map(|&cell| (cell != "NULL").then(|| cell.to_owned()))
        .collect()
}

/// A connection beside the code under test.
pub enum Plain {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Plain {
    pub async fn open(database: &TestDatabase) -> Self {
        if database.url.starts_with("sqlite") {
            let url = format!("{}?mode=rwc", database.url);
            Self::Sqlite(SqliteConnection::connect(&url).await.expect("the file"))
        } else {
            Self::Postgres(PgConnection::connect(&database.url).await.expect("the server"))
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    pub async fn run(&mut self, sql: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(connection) => drop(query.execute(connection).await.expect(sql)),
            Self::Sqlite(connection) => drop(query.execute(connection).await.expect(sql)),
        }
    }

    pub async fn number(&mut self, sql: &str) -> i64 {
        let query = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(connection) => sqlx::query_scalar(query).fetch_one(connection).await.expect(sql),
            Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(connection).await.expect(sql),
        }
    }
}
