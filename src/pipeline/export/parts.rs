//! The data files of an export: which entities are in each, and what is selected of them.

use std::borrow::Cow;

use crate::business::snapshot::{NestedSelection, Selection};
use crate::business::{BusinessError, Database};
use crate::definitions::Definitions;
use crate::domain::composite::Composite;
use crate::domain::entity::Entity;
use crate::domain::export::{DELETED_COLUMN, ExportEntity, ExportSpec, Refresh};
use crate::format::package;

/// One data file of an export.
#[derive(Debug)]
pub struct Part<'a> {
    /// Label of its entity or composite entity.
    pub label: &'a str,
    /// Technical name of that.
    pub target: &'a str,
    /// What the file is called in a package (FMT-2).
    pub file: String,
    /// The entity, or those of the composite in its order.
    pub sources: Vec<Source<'a>>,
    /// The composite, where it is one.
    pub composite: Option<&'a Composite>,
}

/// One entity of a data file.
#[derive(Debug)]
pub struct Source<'a> {
    /// The entity.
    pub entity: &'a Entity,
    /// What the job says of it.
    pub wanted: Cow<'a, ExportEntity>,
    /// Its fields in output order.
    pub fields: Vec<String>,
}

/// The data files of an export, in order.
///
/// # Errors
/// Which entity is not there any more.
pub fn parts<'a>(definitions: &'a Definitions, spec: &'a ExportSpec) -> Result<Vec<Part<'a>>, String> {
    let composites = spec
        .entities
        .iter()
        .filter_map(|wanted| definitions.composite(&wanted.entity));
    let nested: Vec<&str> = composites
        .flat_map(|composite| &composite.parts)
        .map(|part| part.entity.as_str())
        .collect();
    let files = spec
        .entities
        .iter()
        .filter(|wanted| !nested.contains(&wanted.entity.as_str()));
    files.map(|wanted| part(definitions, spec, wanted)).collect()
}

fn part<'a>(definitions: &'a Definitions, spec: &'a ExportSpec, wanted: &'a ExportEntity) -> Result<Part<'a>, String> {
    let composite = definitions.composite(&wanted.entity);
    let (label, target, sources) = if let Some(composite) = composite {
        let parts = composite.parts.iter();
        let sources = parts.map(|part| Source::of(definitions, nested(spec, &part.entity)));
        let sources = sources.collect::<Result<_, _>>()?;
        (composite.label.as_str(), composite.name.as_str(), sources)
    } else {
        let source = Source::of(definitions, Cow::Borrowed(wanted))?;
        (source.entity.label.as_str(), source.entity.name.as_str(), vec![source])
    };
    Ok(Part {
        label,
        target,
        file: package::data_file_name(label, spec.format.extension()),
        sources,
        composite,
    })
}

/// What the job says of an entity of its composite: nothing, where it does not list it.
fn nested<'a>(spec: &'a ExportSpec, entity: &str) -> Cow<'a, ExportEntity> {
    let listed = spec.entities.iter().find(|wanted| wanted.entity == entity);
    listed.map_or_else(
        || {
            Cow::Owned(ExportEntity {
                entity: entity.to_owned(),
                ..ExportEntity::default()
            })
        },
        Cow::Borrowed,
    )
}

impl<'a> Source<'a> {
    fn of(definitions: &'a Definitions, wanted: Cow<'a, ExportEntity>) -> Result<Self, String> {
        let entity = definitions
            .entity(&wanted.entity)
            .ok_or_else(|| format!("there is no entity `{}`", wanted.entity))?;
        let fields = if wanted.fields.is_empty() {
            entity.fields.iter().map(|field| field.name.clone()).collect()
        } else {
            wanted.fields.clone()
        };
        Ok(Self { entity, wanted, fields })
    }

    /// What its columns are called.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let columns = self.fields.iter().map(|field| self.wanted.column(field).to_owned());
        let deleted = self.tells_deleted().then(|| DELETED_COLUMN.to_owned());
        columns.chain(deleted).collect()
    }

    /// Whether its last column says which records are gone.
    #[must_use]
    pub fn tells_deleted(&self) -> bool {
        self.wanted.refresh == Refresh::Tracked { tells_deleted: true }
    }

    /// Its rows.
    #[must_use]
    pub fn selection<'s>(&'s self, companies: &'s [String]) -> Selection<'s> {
        Selection {
            entity: self.entity,
            fields: &self.fields,
            filter: self.wanted.filter.as_deref(),
            order_by: &self.wanted.order_by,
            companies,
            limit: None,
        }
    }
}

impl Part<'_> {
    /// The rows of all its entities, but no more records than that of the first, which holds the others.
    #[must_use]
    pub fn nested<'s>(
        &'s self,
        composite: &'s Composite,
        companies: &'s [String],
        limit: Option<u64>,
    ) -> Vec<NestedSelection<'s>> {
        let parts = composite.parts.iter().zip(&self.sources);
        parts
            .map(|(part, source)| NestedSelection {
                selection: Selection {
                    limit: limit.filter(|_| part.parent.is_none()),
                    ..source.selection(companies)
                },
                parent: part.parent,
                inherit: &part.inherit,
            })
            .collect()
    }

    /// Asks the database whether it takes what is selected; without the job's filters, if told so.
    ///
    /// # Errors
    /// [`BusinessError::Definition`] with the database's own words.
    pub async fn check(&self, database: &Database, companies: &[String], filtered: bool) -> Result<(), BusinessError> {
        let of_filter = |selection: &mut Selection<'_>| {
            if !filtered {
                selection.filter = None;
            }
        };
        if let Some(composite) = self.composite {
            let mut nested = self.nested(composite, companies, None);
            for part in &mut nested {
                of_filter(&mut part.selection);
            }
            return database.check_nested(&nested).await;
        }
        for source in &self.sources {
            let mut selection = source.selection(companies);
            of_filter(&mut selection);
            database.check_selection(selection).await?;
        }
        Ok(())
    }
}
