//! Composite entities in messages: which a job loads, what their entities' records come to, and how the entities of a message are
//! numbered.

use std::borrow::Cow;
use std::sync::Arc;

use super::Limits;
use super::data_file::xml_options;
use super::stop::Stop;
use crate::definitions::Definitions;
use crate::domain::composite::Composite;
use crate::domain::entity::Entity;
use crate::domain::job::{FileFormat, ImportEntity, ImportSpec};
use crate::format::package::PackageEntity;
use crate::format::xml::XmlStyle;
use crate::format::xml::composite::{CompositeNode, CompositeOptions, inherited_column};

/// A composite entity that a job loads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Composed<'a> {
    pub composite: &'a Composite,
    /// What the job says of it.
    wanted: &'a ImportEntity,
    spec: &'a ImportSpec,
    definitions: &'a Definitions,
}

impl<'a> Composed<'a> {
    /// The one the job loads, if it loads any.
    pub fn of_job(definitions: &'a Definitions, spec: &'a ImportSpec) -> Option<Self> {
        spec.entities.iter().find_map(|wanted| {
            let composite = definitions.composite(&wanted.entity)?;
            Some(Self {
                composite,
                wanted,
                spec,
                definitions,
            })
        })
    }

    /// The one the job loads under this label.
    pub fn called(definitions: &'a Definitions, spec: &'a ImportSpec, label: &str) -> Option<Self> {
        let label = label.to_lowercase();
        Self::of_job(definitions, spec).filter(|composed| composed.composite.label.to_lowercase() == label)
    }

    /// What the job says of one of its entities: what it says of that by itself, or else of the composite. The fields it takes over
    /// come from columns of their own.
    pub fn wanted(&self, part: usize) -> Cow<'a, ImportEntity> {
        let part = &self.composite.parts[part];
        let own = self.spec.entities.iter().find(|wanted| wanted.entity == part.entity);
        let mut wanted = own.map_or_else(
            || {
                Cow::Owned(ImportEntity {
                    entity: part.entity.clone(),
                    ..self.wanted.clone()
                })
            },
            Cow::Borrowed,
        );
        for (field, _) in &part.inherit {
            let map = &mut wanted.to_mut().map;
            map.insert(inherited_column(field), field.clone());
        }
        wanted
    }

    /// Its part with the entity of this label.
    pub fn part(&self, label: &str) -> Option<(usize, &'a Entity)> {
        let label = label.to_lowercase();
        let parts = self.composite.parts.iter().enumerate();
        parts
            .filter_map(|(at, part)| Some((at, self.definitions.entity(&part.entity)?)))
            .find(|(_, entity)| entity.label.to_lowercase() == label)
    }

    /// Labels of its entities, in order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> {
        let parts = self.composite.parts.iter();
        let definitions = self.definitions;
        parts.map(move |part| definitions.label(&part.entity).unwrap_or(&part.entity))
    }

    /// How a file of it is read.
    ///
    /// # Errors
    /// [`Stop::Fail`] `composite_not_xml` for any other format.
    pub fn options(
        &self,
        format: &FileFormat,
        company: Option<&str>,
        limits: &Limits,
    ) -> Result<CompositeOptions, Stop> {
        let style = match format {
            FileFormat::XmlElement => XmlStyle::Element,
            FileFormat::XmlAttribute => XmlStyle::Attribute,
            _ => {
                let detail = format!(
                    "`{}` is a composite entity, which is read from XML only (DMF1963): send it as XML-Element or XML-Attribute",
                    self.composite.label
                );
                return Err(Stop::fail("composite_not_xml", detail));
            }
        };
        let nodes: Result<Vec<CompositeNode>, Stop> = (0..self.composite.parts.len())
            .map(|part| self.node(part, company))
            .collect();
        Ok(CompositeOptions {
            xml: xml_options(style, limits),
            nodes: Arc::from(nodes?),
            missing_elements: self.composite.missing_elements,
        })
    }

    fn node(&self, part: usize, company: Option<&str>) -> Result<CompositeNode, Stop> {
        let wanted = self.wanted(part).into_owned();
        let part = &self.composite.parts[part];
        let entity = self.definitions.entity(&part.entity).ok_or_else(|| {
            let detail = format!("`{}` has the unknown entity `{}`", self.composite.label, part.entity);
            Stop::fail("definition_mismatch", detail)
        })?;
        Ok(CompositeNode {
            element: part.element.clone(),
            parent: part.parent,
            entity: entity.clone(),
            wanted,
            company: company.map(str::to_owned),
            inherit: part.inherit.clone(),
        })
    }
}

/// One entity of a package, as its manifest and the job together have it.
pub(super) struct Listed<'m, 'a> {
    pub entity: &'m PackageEntity,
    /// Its position in the manifest.
    pub at: usize,
    /// The number of its entity in the message, or of the first one of its composite.
    pub entity_no: i32,
    pub composed: Option<Composed<'a>>,
}

/// The entities of a package with their numbers, which are the same in every message with this manifest.
pub(super) fn listed<'m, 'a>(
    definitions: &'a Definitions,
    spec: &'a ImportSpec,
    manifest: &'m [PackageEntity],
) -> Vec<Listed<'m, 'a>> {
    let mut next = 0;
    let numbered = manifest.iter().enumerate().map(|(at, entity)| {
        let composed = Composed::called(definitions, spec, &entity.name);
        let entity_no = next;
        let numbers = composed.map_or(1, |composed| composed.composite.parts.len());
        next += i32::try_from(numbers).unwrap_or(1);
        Listed {
            entity,
            at,
            entity_no,
            composed,
        }
    });
    numbered.collect()
}
