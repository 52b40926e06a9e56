//! What holds between export jobs and the entities they write.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::Drafts;
use crate::definitions::composite_file::{CompositeDraft, is_element_name};
use crate::definitions::entity_file::EntityDraft;
use crate::definitions::export_file::{ExportDraft, ExportPlaces};
use crate::definitions::job_file::JobDraft;
use crate::domain::entity::FieldType;
use crate::domain::export::{ExportEntity, Refresh};
use crate::domain::job::{DataSource, FileFormat};
use crate::format::mapping::{ERROR_COLUMN, RAW_MEMBER, REJECT_ID_COLUMN, field_of_column};
use crate::format::typed::type_canonical;
use crate::format::xlsx;

/// One export job being checked.
struct Checked<'a> {
    drafts: &'a Drafts<'a>,
    job: &'a JobDraft,
    export: &'a ExportDraft,
    /// The composite entity among its entities.
    composite: Option<&'a CompositeDraft>,
}

impl Drafts<'_> {
    pub(super) fn resolve_exports(&mut self) {
        let mut resolved = Vec::new();
        for (at, job) in self.jobs.iter().enumerate() {
            if let Some(export) = &job.export {
                let mut names = export.entities.iter().map(|places| &places.entity.value);
                let checked = Checked {
                    drafts: self,
                    job,
                    export,
                    composite: names.find_map(|name| self.find_composite(name)),
                };
                resolved.push((at, checked.entities()));
                checked.options();
            }
        }
        for (at, entities) in resolved {
            if let Some(export) = &mut self.jobs[at].job.export {
                export.entities = entities;
            }
        }
    }
}

impl Checked<'_> {
    fn at(&self, span: &Range<usize>, message: impl Into<String>) {
        self.job.findings.at(span, message);
    }

    fn format(&self) -> &FileFormat {
        &self.export.spec.format
    }

    /// Checks the entities and resolves their names.
    fn entities(&self) -> Vec<ExportEntity> {
        let places = &self.export.entities;
        let mut entities = self.export.spec.entities.clone();
        let mut databases = Vec::new();
        for (at, (places, resolved)) in places.iter().zip(&mut entities).enumerate() {
            let earlier = self.export.entities[..at].iter().map(|places| &places.entity);
            if let Some(draft) = self.drafts.find_composite(&places.entity.value) {
                draft.composite.name.clone_into(&mut resolved.entity);
                databases.extend(
                    self.composite(places, draft)
                        .map(|entity| (entity, &places.entity.span)),
                );
            } else if let Some(entity) = self.drafts.usable(self.job, &places.entity, earlier) {
                entity.entity.name.clone_into(&mut resolved.entity);
                self.entity(places, entity, resolved);
                databases.push((entity, &places.entity.span));
            }
        }
        let apart = databases
            .iter()
            .find(|(entity, _)| entity.entity.database != databases[0].0.entity.database);
        if let Some((_, span)) = apart {
            self.at(
                span,
                "all entities of one export are read in one snapshot, so they must be of one database",
            );
        }
        entities
    }

    /// Checks an entity and settles what its definition alone cannot: the canonical form of values, the fields of columns.
    fn entity(&self, places: &ExportPlaces, entity: &EntityDraft, resolved: &mut ExportEntity) {
        self.fields(places, entity);
        if let FileFormat::Fixed(columns) = self.format() {
            let names = columns.iter().map(|column| column.name.as_str());
            (resolved.fields, resolved.map) = self.fixed(places, entity, names);
        }
        resolved.values = self.values(places, entity);
        self.columns(places, entity, resolved);
        self.refresh(places, entity, resolved);
        super::check_company(self.job, &entity.entity);
    }

    /// Fields must be there, and in no list twice.
    fn fields(&self, places: &ExportPlaces, entity: &EntityDraft) {
        for (what, list) in [("fields:", &places.fields), ("order_by:", &places.order_by)] {
            for (at, field) in list.iter().enumerate() {
                if entity.lacks(&field.value) {
                    self.at(&field.span, entity.unknown_field(what, &field.value));
                } else if list[..at].iter().any(|earlier| earlier.value == field.value) {
                    self.at(&field.span, format!("{what} `{}` is listed twice", field.value));
                }
            }
        }
        for (field, column) in &places.map {
            if entity.lacks(field) {
                self.at(&column.span, entity.unknown_field("map:", field));
            } else if !places.fields.is_empty() && !places.fields.iter().any(|listed| listed.value == *field) {
                let message = format!("`map` has `{field}`, which is not among the `fields` that are exported");
                self.at(&column.span, message);
            }
        }
    }

    /// The field of each column of fixed width, found as an import finds it, and the names of the columns by field.
    fn fixed<'n>(
        &self,
        places: &ExportPlaces,
        entity: &EntityDraft,
        columns: impl Iterator<Item = &'n str>,
    ) -> (Vec<String>, BTreeMap<String, String>) {
        if !places.fields.is_empty() {
            let message =
                "`columns` says which fields a file of fixed width has, and in which order; leave `fields` out";
            self.at(&places.entity.span, message);
        }
        let by_column = places
            .map
            .iter()
            .map(|(field, column)| (column.value.clone(), field.clone()))
            .collect();
        let (mut fields, mut map) = (Vec::new(), BTreeMap::new());
        for column in columns {
            let found = field_of_column(&entity.entity, &by_column, column).map(|at| &entity.entity.fields[at].name);
            match found {
                Some(field) => {
                    if map.insert(field.clone(), column.to_owned()).is_some() {
                        let message = format!("two of the `columns` are of field `{field}`");
                        self.at(&places.entity.span, message);
                    }
                    fields.push(field.clone());
                }
                None if entity.is_complete => {
                    let what = format!("`columns` has `{column}`, which `map` does not name; and");
                    self.at(&places.entity.span, entity.unknown_field(&what, column));
                }
                None => {}
            }
        }
        (fields, map)
    }

    /// What is stored, in the form in which it is read.
    fn values(&self, places: &ExportPlaces, entity: &EntityDraft) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut canonical = BTreeMap::new();
        for (name, values) in &places.values {
            if entity.lacks(name) {
                self.at(&values.span, entity.unknown_field("values for", name));
            }
            let Some(field) = entity.entity.field(name) else {
                continue;
            };
            let into: &mut BTreeMap<_, _> = canonical.entry(name.clone()).or_default();
            for (stored, written) in &values.value {
                match type_canonical(field, stored).map(|cell| cell.text()) {
                    Ok(Some(text)) => _ = into.insert(text, written.value.clone()),
                    Ok(None) => self.at(
                        &written.span,
                        format!("`values` of `{name}`: a cell without a value stays empty"),
                    ),
                    Err(error) => self.at(&written.span, format!("`values` of `{name}`: {}", error.reason)),
                }
            }
        }
        canonical
    }

    /// What an incremental export needs of the entity, and of the file.
    fn refresh(&self, places: &ExportPlaces, entity: &EntityDraft, resolved: &ExportEntity) {
        let at = |message: String| self.at(&places.refresh.span, message);
        match &places.refresh.value {
            Refresh::Full => {}
            _ if self.composite.is_some() => {
                at("the records of a composite entity are exported in full".to_owned());
            }
            Refresh::Tracked { tells_deleted: true } if matches!(self.format(), FileFormat::Fixed(_)) => {
                at(
                    "a file of fixed width has no column that tells deleted records; say `deletes = \"leave_out\"`"
                        .to_owned(),
                );
            }
            Refresh::Tracked { .. } if !resolved.fields.is_empty() => {
                for key in entity.entity.key.iter().filter(|key| !resolved.fields.contains(key)) {
                    at(format!(
                        "an incremental export needs the key: `fields` leaves `{key}` out, and nobody could tell which record changed"
                    ));
                }
            }
            Refresh::Column { field, .. } => match entity.entity.field(field) {
                None if entity.lacks(field) => at(entity.unknown_field("column", field)),
                Some(found) if !matches!(found.kind, FieldType::Int | FieldType::Date | FieldType::Datetime) => {
                    at(format!(
                        "`column = \"{field}\"` is {}; it must be an int, a date or a datetime, which grows with every change",
                        found.kind.name()
                    ));
                }
                _ => {}
            },
            Refresh::Tracked { .. } | Refresh::Query { .. } => {}
        }
    }

    /// What columns are called must tell them apart, and fit the format.
    fn columns(&self, places: &ExportPlaces, entity: &EntityDraft, resolved: &ExportEntity) {
        let all = || entity.entity.fields.iter().map(|field| &field.name).collect();
        let fields: Vec<&String> = if resolved.fields.is_empty() {
            all()
        } else {
            resolved.fields.iter().collect()
        };
        let mut seen: HashMap<String, &String> = HashMap::new();
        for field in fields {
            let column = resolved.column(field);
            let span = places.map.get(field).map_or(&places.entity.span, |column| &column.span);
            if let Some(other) = seen.insert(column.to_lowercase(), field) {
                let message =
                    format!("fields `{other}` and `{field}` both have the column `{column}`; `map` one to another");
                self.at(span, message);
            }
            if let Some(flaw) = self.column_flaw(column, entity) {
                self.at(
                    span,
                    format!("the column `{column}` of field `{field}` {flaw}; `map` the field to another"),
                );
            }
        }
    }

    fn column_flaw(&self, column: &str, entity: &EntityDraft) -> Option<&'static str> {
        let is = |name: &str| column.eq_ignore_ascii_case(name);
        if column.trim().is_empty() || column.trim() != column || column.chars().any(char::is_control) {
            return Some("is empty, begins or ends with a blank, or holds a control character");
        }
        if is(REJECT_ID_COLUMN) || is(ERROR_COLUMN) || is(RAW_MEMBER) {
            return Some("is one of those that rejects files have for themselves");
        }
        if !self.format().is_xml() {
            return None;
        }
        if !is_element_name(column) || column.to_lowercase().starts_with("xml") {
            return Some("cannot be a name in XML");
        }
        let parts = self.composite.iter().flat_map(|draft| &draft.composite.parts);
        let is_element = parts.map(|part| part.element.as_str()).any(|element| element == column);
        (is_element || column == entity.entity.xml_element()).then_some("is called as the records are")
    }

    /// Checks a composite entity, and returns the entities it is made of.
    fn composite<'d>(&'d self, places: &ExportPlaces, draft: &CompositeDraft) -> impl Iterator<Item = &'d EntityDraft> {
        let name = &draft.composite.label;
        let at = |message: String| self.at(&places.entity.span, message);
        if !self
            .composite
            .is_some_and(|first| std::ptr::eq(first, draft) && self.is_first(places))
        {
            at(format!(
                "`{name}` is the second composite entity; a job exports at most one (FMT-11)"
            ));
        }
        if !self.format().is_xml() {
            at(format!(
                "`{name}` is a composite entity, which is written as XML only (DMF1963): use `format = \"xml-element\"` or \
                 `\"xml-attribute\"`"
            ));
        }
        let is_bare = places.fields.is_empty() && places.map.is_empty() && places.values.is_empty();
        if !is_bare || places.filter.is_some() || !places.order_by.is_empty() {
            at(format!(
                "`{name}` is a composite entity, which has no fields: give `fields`, `map`, `values`, `filter` and `order_by` to its \
                 entities, in an [[export.entities]] of their own"
            ));
        }
        if places.refresh.value != Refresh::Full {
            at(format!("`{name}` is a composite entity, which is exported in full"));
        }
        for part in &draft.composite.parts {
            if let Some(entity) = self.drafts.find(&part.entity) {
                super::check_company(self.job, &entity.entity);
            }
            let around = part
                .parent
                .and_then(|parent| self.drafts.find(&draft.composite.parts[parent].entity));
            let Some(around) = around else { continue };
            let is_told = |key: &&String| part.inherit.iter().any(|(_, from)| from == *key);
            if let Some(key) = around.entity.key.iter().find(|key| !is_told(key)) {
                at(format!(
                    "nothing in `{}` says which `{}` its records stand in: `inherit` of the composite lacks `{key}`",
                    part.entity, around.entity.name
                ));
            }
        }
        let names: Vec<_> = draft.composite.parts.iter().map(|part| part.entity.clone()).collect();
        names.into_iter().filter_map(|name| self.drafts.find(&name))
    }

    /// Whether no composite entity was listed before.
    fn is_first(&self, places: &ExportPlaces) -> bool {
        let mut composites = self
            .export
            .entities
            .iter()
            .filter(|other| self.drafts.find_composite(&other.entity.value).is_some());
        composites.next().is_some_and(|first| std::ptr::eq(first, places))
    }

    /// The entities that have a file of their own.
    fn files(&self) -> impl Iterator<Item = &ExportPlaces> {
        let is_part = |places: &&ExportPlaces| {
            let parts = self.composite.iter().flat_map(|draft| &draft.composite.parts);
            let mut entities = parts.filter_map(|part| self.drafts.find(&part.entity));
            entities.any(|entity| entity.is_called(&places.entity.value))
        };
        self.export.entities.iter().filter(move |places| !is_part(places))
    }

    /// What the keys of `[export]` ask of each other, of the job and of the number of files.
    fn options(&self) {
        let ExportDraft {
            header,
            compression,
            file_name,
            sidecar,
            split,
            destinations,
            span,
            ..
        } = self.export;
        let is_package = self.job.job.data_source == DataSource::Package;
        let second = self.files().nth(1);
        if let Some(second) = second.filter(|_| !is_package) {
            let message = "`data_source = \"file\"` holds one entity; use `data_source = \"package\"` for several";
            self.at(&second.entity.span, message);
        }
        if let Some(split) = split.as_ref().filter(|_| second.is_some() || self.composite.is_some()) {
            let message = "only the export of one entity can be split: each message is a file or package of its own";
            self.at(&split.span, message);
        }
        if let Some(header) = header
            .as_ref()
            .filter(|_| !matches!(self.format(), FileFormat::Csv { .. }))
        {
            self.at(
                &header.span,
                "`header` is for delimited text: `csv`, `tsv` and `csv-unicode`",
            );
        }
        // Of Parquet the pages inside are packed, not the file.
        let is_around = is_package && *self.format() != FileFormat::Parquet;
        if let Some(compression) = compression.as_ref().filter(|_| is_around) {
            self.at(
                &compression.span,
                "a package is packed already; `compression` is for `data_source = \"file\"`",
            );
        }
        if let Some(sidecar) = sidecar.as_ref().filter(|_| !is_package) {
            self.at(&sidecar.span, "`sidecar` is for `data_source = \"package\"`");
        }
        if let (FileFormat::Fixed(_), Some(second)) = (self.format(), second) {
            self.at(
                &second.entity.span,
                "`columns` are those of one entity; use a job for each",
            );
        }
        if let FileFormat::Xlsx { sheet: Some(sheet) } = self.format()
            && !xlsx::is_sheet_name(sheet)
        {
            let most = xlsx::SHEET_NAME_CHARS_MAX;
            let message = format!(
                "`sheet` is `{sheet}`; a sheet's name has at most {most} characters, none of them [ ] : * ? / \\"
            );
            self.at(span, message);
        }
        if let Some(name) = file_name {
            let facts = (name.value.has_entity(), name.value.has_company());
            self.placeholders("file_name", &name.span, facts, second.is_some());
        }
        for path in destinations.iter().filter_map(|places| places.path.as_ref()) {
            let facts = (path.value.has_entity(), path.value.has_company());
            self.placeholders("path", &path.span, facts, second.is_some());
        }
        self.companies();
    }

    /// Templates may name the entity, or the company, where there is one.
    fn placeholders(
        &self,
        key: &str,
        span: &Range<usize>,
        (has_entity, has_company): (bool, bool),
        is_of_several: bool,
    ) {
        if has_entity && is_of_several {
            self.at(span, format!("`{key}` has {{entity}}, but the job exports several"));
        }
        let companies = self.export.spec.companies.len() + usize::from(self.job.company.is_some());
        if has_company && companies != 1 {
            self.at(
                span,
                format!("`{key}` has {{company}}, but the job does not export exactly one"),
            );
        }
    }

    fn companies(&self) {
        let Some(companies) = &self.export.companies else {
            return;
        };
        let mut seen = Vec::new();
        for company in &companies.value {
            let name = company.value.trim().to_lowercase();
            if name.is_empty() {
                self.at(&company.span, "a company has no name");
            } else if seen.contains(&name) {
                self.at(&company.span, format!("company `{name}` is listed twice"));
            }
            seen.push(name);
        }
        if self.job.company.is_some() {
            let message = "the job has a `company`, which is the only one it exports; leave one of the two out";
            self.at(&companies.span, message);
        }
        let parts = self
            .composite
            .iter()
            .flat_map(|draft| &draft.composite.parts)
            .map(|part| &part.entity);
        let mut named = self
            .export
            .entities
            .iter()
            .map(|places| &places.entity.value)
            .chain(parts);
        if !named.any(|name| {
            self.drafts
                .find(name)
                .is_none_or(|entity| entity.entity.company_field.is_some())
        }) {
            self.at(
                &companies.span,
                "none of the entities has a `company_field`, so `companies` chooses nothing",
            );
        }
    }
}
