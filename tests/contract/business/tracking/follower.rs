//! Somebody who exports what changed, and must know the table by it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tranship::business::Database;
use tranship::business::snapshot::Selection;
use tranship::business::tracking::Changes;
use tranship::domain::entity::Entity;
use tranship::domain::ids::JobId;
use tranship::domain::position::Position;

use super::super::fixture::*;
use crate::support::databases::TestDatabase;

/// Somebody who exports, one position after the other, and keeps what was told.
pub struct Follower<'a> {
    pub database: &'a Database,
    pub entity: &'a Entity,
    pub filter: Option<&'a str>,
    pub companies: Vec<String>,
    pub job: JobId,
    pub position: Option<Position>,
    /// By key.
    pub known: BTreeMap<Cells, Cells>,
    /// Of the last export.
    pub told: u64,
    pub withheld: i64,
    pub is_full: bool,
}

impl<'a> Follower<'a> {
    pub fn new(database: &'a Database, entity: &'a Entity) -> Self {
        Self {
            database,
            entity,
            filter: None,
            companies: Vec::new(),
            job: JobId(uuid::Uuid::new_v4()),
            position: None,
            known: BTreeMap::new(),
            told: 0,
            withheld: 0,
            is_full: false,
        }
    }

    pub async fn export(&mut self) {
        self.database.track(self.entity).await.expect("tracked");
        let at_least = self.position.as_ref().map_or(0, |position| position.mark);
        let mark = self
            .database
            .raise_mark(self.job, self.entity, at_least)
            .await
            .expect("a mark");
        let mut snapshot = self.database.snapshot().await.expect("a snapshot");
        let horizon = snapshot
            .horizon(self.entity, self.position.as_ref())
            .await
            .expect("a horizon");
        let now = Position {
            history: horizon.history,
            at: horizon.at,
            mark: mark.new,
            selection: String::new(),
        };
        let mut changes = None;
        if let Some(then) = self
            .position
            .as_ref()
            .filter(|then| then.continues_to(&now, mark.known, horizon.oldest).is_ok())
        {
            let since = Changes {
                since: then.at,
                until: now.at,
            };
            let is_truncated = snapshot.is_truncated(self.entity, since).await.expect("an answer");
            changes = (!is_truncated).then_some(since);
        }
        let fields = field_names(self.entity);
        let selection = self.selection(&fields);
        let (sender, mut batches) = mpsc::channel(1);
        let reading = async {
            match changes {
                Some(changes) => snapshot.read_changes(selection, changes, sender).await,
                None => snapshot.read(selection, sender).await,
            }
        };
        let mut rows = Vec::new();
        let collecting = async {
            while let Some(batch) = batches.recv().await {
                rows.extend(batch.iter().map(cells));
            }
        };
        let (told, ()) = tokio::join!(reading, collecting);
        self.told = told.expect("rows");
        self.is_full = changes.is_none();
        self.withheld = horizon.withheld;
        if self.is_full {
            self.known.clear();
        }
        for mut row in rows {
            let is_gone = !self.is_full && row.pop().expect("a last cell").as_deref() == Some("Yes");
            let key = self.key_of(&row);
            if is_gone {
                assert!(row.iter().zip(&fields).all(|(cell, name)| cell.is_none()
                    || self.entity.is_key(name)
                    || self.entity.company_field.as_ref() == Some(name)));
                self.known.remove(&key);
            } else {
                self.known.insert(key, row);
            }
        }
        self.position = Some(now);
    }

    fn selection<'b>(&'b self, fields: &'b [String]) -> Selection<'b> {
        Selection {
            filter: self.filter,
            companies: &self.companies,
            ..all_rows(self.entity, fields)
        }
    }

    /// The fields of a key come first in the entities here.
    fn key_of(&self, row: &[Option<String>]) -> Cells {
        row[..self.entity.key.len()].to_vec()
    }

    /// Exports until nothing is held back, and compares with the table.
    pub async fn catches_up(&mut self) {
        self.export().await;
        let (mut told, mut is_full) = (self.told, self.is_full);
        while self.withheld > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.export().await;
            told += self.told;
            is_full |= self.is_full;
        }
        (self.told, self.is_full) = (told, is_full);
        let fields = field_names(self.entity);
        let selection = self.selection(&fields);
        let table: BTreeMap<_, _> = read(self.database, selection)
            .await
            .into_iter()
            .map(|row| (self.key_of(&row), row))
            .collect();
        assert_eq!(self.known, table);
    }

    /// After `write` so many rows are told, and so many are known.
    pub async fn is_told(&mut self, plain: &mut Plain, write: &str, told: u64, left: usize) {
        plain.run(write).await;
        self.catches_up().await;
        let found = (self.is_full, self.told, self.known.len());
        assert_eq!(found, (false, told, left), "{write}");
    }
}

pub async fn make(test: &TestDatabase) -> (Database, Entity, Plain) {
    let (database, entity) = (open(test), orders());
    database.ensure_entity(&entity).await.expect("tables");
    (database, entity, Plain::open(test).await)
}
