//! Entity and job definitions from `entities/*.toml`, `jobs/*.toml` and `jobs/calendars/*.toml`, with errors that name file,
//! line and cure.
//!
//! Files are the truth for jobs. Loading is all or nothing: a broken file leaves the running set as it was.

mod calendar_file;
mod check;
mod composite_file;
mod default_file;
mod destination_file;
mod entity_file;
mod export_file;
mod field_file;
mod flow_file;
mod format_file;
pub mod from_table;
pub mod init;
mod job_file;
mod names;
mod projects;
mod queue_file;
pub(crate) mod read;
mod refresh_file;
mod render;
mod rule_file;
pub(crate) mod schedule_file;
pub(crate) mod secret_file;
mod source_file;
mod spelling_file;
mod webhook_file;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::de::DeTable;

use crate::domain::composite::Composite;
use crate::domain::entity::Entity;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, Order};
use calendar_file::Calendars;
use check::Drafts;
use composite_file::CompositeDraft;
use entity_file::EntityDraft;
use from_table::{Catalogue, NoCatalogue};
use read::{Findings, Table};

/// A checked set of definitions: every reference between them resolves.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// By technical name.
    pub entities: Vec<Entity>,
    /// By technical name.
    pub composites: Vec<Composite>,
    /// By name.
    pub jobs: Vec<Job>,
}

/// One mistake in a definition file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl std::fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}

impl Definitions {
    /// Reads both folders where no database is at hand, so that every field must be declared. `databases` are the configured
    /// names.
    ///
    /// # Errors
    /// Every mistake found in any file.
    pub fn load(jobs: &Path, entities: &Path, databases: &[String]) -> Result<Self, Vec<DefinitionError>> {
        Self::load_with(jobs, entities, databases, &NoCatalogue)
    }

    /// Reads both folders. A folder that does not exist is empty. `databases` are the configured names; the catalogue tells
    /// what entities leave to their tables, and is asked for tables of these databases only.
    ///
    /// # Errors
    /// Every mistake found in any file.
    pub fn load_with(
        jobs: &Path,
        entities: &Path,
        databases: &[String],
        catalogue: &dyn Catalogue,
    ) -> Result<Self, Vec<DefinitionError>> {
        let mut errors = Vec::new();
        let mut files = Vec::new();
        let at_hand = source_file::Databases {
            names: databases,
            catalogue,
        };
        let read = |table: Table<'_>, findings: &Rc<Findings>| read_entity(table, findings, at_hand);
        let (drafts, entities_broken) = read_folder(entities, "the entity", read, &mut files, &mut errors);
        let (mut entities, mut composites) = (Vec::new(), Vec::new());
        for draft in drafts {
            match draft {
                EntityFile::Entity(draft) => entities.push(*draft),
                EntityFile::Composite(draft) => composites.push(draft),
            }
        }
        let calendars = read_calendars(&jobs.join(calendar_file::FOLDER), &mut files, &mut errors);
        let read = |table: Table<'_>, findings: &Rc<Findings>| job_file::read(table, findings, &calendars);
        let (mut jobs, _) = read_folder(jobs, "the job", read, &mut files, &mut errors);
        Drafts {
            entities: &mut entities,
            composites: &mut composites,
            jobs: &mut jobs,
            databases,
            incomplete: entities_broken,
        }
        .check();

        let mut loaded = Self {
            entities: entities.into_iter().map(|draft| draft.entity).collect(),
            composites: composites.into_iter().map(|draft| draft.composite).collect(),
            jobs: jobs.into_iter().map(|draft| draft.job).collect(),
        };
        errors.extend(files.iter().flat_map(|findings| findings.errors()));
        if !errors.is_empty() {
            errors.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
            return Err(errors);
        }
        loaded.entities.sort_by(|a, b| a.name.cmp(&b.name));
        loaded.composites.sort_by(|a, b| a.name.cmp(&b.name));
        loaded.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(loaded)
    }

    /// The job with this activity id.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|j| j.id == id)
    }

    /// The job with this name (any case) or activity id (any form).
    #[must_use]
    pub fn find_job(&self, name_or_id: &str) -> Option<&Job> {
        let id = name_or_id.parse::<JobId>().ok();
        let exact = |job: &&Job| Some(job.id) == id || job.name == name_or_id;
        // Every request names its job, nearly always as it is written.
        self.jobs.iter().find(exact).or_else(|| {
            let lower = name_or_id.to_lowercase();
            self.jobs.iter().find(|job| job.name.to_lowercase() == lower)
        })
    }

    /// The entity with this technical name.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|e| e.name == name)
    }

    /// Whether a job that keeps its messages in order loads this entity, or one of this composite entity.
    #[must_use]
    pub fn is_kept_in_order(&self, name: &str) -> bool {
        let asked = self.single(name);
        let loads = |job: &Job| {
            let wanted = job.import.iter().flat_map(|import| &import.entities);
            let mut loaded = wanted.flat_map(|wanted| self.single(&wanted.entity));
            loaded.any(|entity| asked.contains(&entity))
        };
        self.jobs.iter().any(|job| job.queue.order != Order::None && loads(job))
    }

    /// The entity of this technical name, or those of the composite entity of this name.
    #[must_use]
    pub fn single<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self.composite(name) {
            Some(composite) => composite.parts.iter().map(|part| part.entity.as_str()).collect(),
            None => vec![name],
        }
    }

    /// The composite entity with this technical name.
    #[must_use]
    pub fn composite(&self, name: &str) -> Option<&Composite> {
        self.composites.iter().find(|composite| composite.name == name)
    }

    /// The label of the entity or composite entity with this technical name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let entity = self.entity(name).map(|entity| entity.label.as_str());
        entity.or_else(|| self.composite(name).map(|composite| composite.label.as_str()))
    }

    /// The entity with this label or technical name, any case.
    #[must_use]
    pub fn find_entity(&self, label_or_name: &str) -> Option<&Entity> {
        let wanted = label_or_name.to_lowercase();
        self.entities
            .iter()
            .find(|e| e.label.to_lowercase() == wanted || e.name.to_lowercase() == wanted)
    }
}

/// What a file of `entities/` defines.
enum EntityFile {
    Entity(Box<EntityDraft>),
    Composite(CompositeDraft),
}

fn read_entity(table: Table<'_>, findings: &Rc<Findings>, at_hand: source_file::Databases<'_>) -> Option<EntityFile> {
    if table.has("composite") {
        return composite_file::read(table, findings).map(EntityFile::Composite);
    }
    let entity = entity_file::read(table, findings, at_hand)?;
    Some(EntityFile::Entity(Box::new(entity)))
}

/// The calendars, with those that have mistakes: who names one of them is not told that there is none.
fn read_calendars(folder: &Path, files: &mut Vec<Rc<Findings>>, errors: &mut Vec<DefinitionError>) -> Calendars {
    let named =
        |table: Table<'_>, findings: &Rc<Findings>| Some((findings.name(), calendar_file::read(table, findings)));
    let (calendars, broken) = read_folder(folder, "the calendar", named, files, errors);
    Calendars::of(calendars, broken)
}

/// Reads every `*.toml` of a folder, in the order of names. The flag says that some file gave nothing at all.
fn read_folder<D>(
    folder: &Path,
    what: &str,
    read: impl Fn(Table<'_>, &Rc<Findings>) -> Option<D>,
    files: &mut Vec<Rc<Findings>>,
    errors: &mut Vec<DefinitionError>,
) -> (Vec<D>, bool) {
    let (mut drafts, mut broken) = (Vec::new(), false);
    for file in list(folder, errors) {
        match std::fs::read(&file) {
            Ok(bytes) => {
                let (findings, draft) = read_file(&file, &bytes, what, &read);
                broken |= draft.is_none();
                drafts.extend(draft);
                files.push(findings);
            }
            Err(error) => {
                broken = true;
                errors.push(unreadable(file, &error));
            }
        }
    }
    (drafts, broken)
}

/// The definition files of a folder. One that does not exist has none.
fn list(folder: &Path, errors: &mut Vec<DefinitionError>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            errors.push(unreadable(folder.to_owned(), &error));
            Vec::new()
        }
    };
    let mut files = entries.into_iter().map(|entry| entry.path()).collect::<Vec<_>>();
    // Editors leave hidden copies behind.
    let hidden = |file: &Path| {
        file.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml") && !hidden(file));
    files.sort();
    files
}

fn unreadable(file: PathBuf, error: &std::io::Error) -> DefinitionError {
    DefinitionError {
        file,
        line: None,
        message: format!("cannot be read: {error}"),
    }
}

/// Reads one TOML file, of definitions or of another kind. Where the text is not TOML at all, only that is reported.
pub(crate) fn read_file<D>(
    file: &Path,
    bytes: &[u8],
    what: &str,
    read: impl Fn(Table<'_>, &Rc<Findings>) -> Option<D>,
) -> (Rc<Findings>, Option<D>) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let findings = Findings::new(file, &valid);
            findings.at(&(valid.len()..valid.len()), "is not UTF-8 text from here on");
            return (Rc::new(findings), None);
        }
    };
    // Notepad begins files with a byte order mark, which TOML has no word for.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let findings = Rc::new(Findings::new(file, text));
    let (table, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        findings.at(
            &error.span().unwrap_or(0..0),
            error.message().trim().replace('\n', ", "),
        );
    }
    let draft = if syntax.is_empty() {
        read(Table::new(what, table.get_ref(), 0..0, &findings), &findings)
    } else {
        None
    };
    (findings, draft)
}

#[cfg(test)]
mod tests;
