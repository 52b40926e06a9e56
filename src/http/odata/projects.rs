//! Data projects and their entities: jobs, as the sets of projects have them (PKG-25, PKG-26).

use serde_json::Value;

use super::catalogue::entities_of;
use super::table::{Row, Table, int, of, text, yes};
use crate::definitions::Definitions;
use crate::domain::entity::Entity;
use crate::domain::export::Refresh;
use crate::domain::job::{DataSource, FileFormat, ImportEntity, Job};
use crate::domain::project::{Project, ProjectEntity};
use crate::format::package;
use crate::http::auth::Caller;

/// Longest description (PKG-25).
const DESCRIPTION_CHARS_MAX: usize = 60;

/// `DataManagementDefinitionGroups`
pub(super) static GROUPS: Table = Table {
    set: "DataManagementDefinitionGroups",
    entity: "DataManagementDefinitionGroup",
    columns: &[
        text("Name"),
        of("DMFOperationType", "OperationType"),
        text("Description"),
        of("DMFProjectCategory", "ProjectCategory"),
        of("NoYes", "GenerateDataPackage"),
        of("NoYes", "TruncateEntityData"),
    ],
    keys: 2,
    details: Some(&DETAILS),
};

/// `DataManagementDefinitionGroupDetails`
pub(super) static DETAILS: Table = Table {
    set: "DataManagementDefinitionGroupDetails",
    entity: "DataManagementDefinitionGroupDetail",
    columns: &[
        text("DefinitionGroupId"),
        text("EntityName"),
        text("SourceFormat"),
        int("ExecutionUnit"),
        int("LevelInExecutionUnit"),
        int("SequenceInLevel"),
        of("NoYes", "AutoGenerateMapping"),
        of("DMFRefreshType", "DefaultRefreshType"),
        of("NoYes", "RunBusinessLogic"),
        of("NoYes", "RunBusinessValidation"),
        of("NoYes", "RunValidateField"),
        of("NoYes", "SkipStaging"),
        of("NoYes", "Disable"),
        of("NoYes", "FailExecutionUnitOnError"),
        of("NoYes", "FailLevelOnError"),
        text("EntityCategory"),
        text("EntityXMLName"),
        text("ExcelSheetName"),
        text("InputFilePath"),
        text("SampleFilePath"),
        text("PackageFilePath"),
        of("DMFValidationStatus", "ValidationStatus"),
        text("QueryData"),
        text("Tags"),
        text("SysModule"),
        text("ParentEntityName"),
        of("NoYes", "IsTransformed"),
    ],
    keys: 2,
    details: None,
};

/// The jobs that are projects a client sees.
fn jobs<'a>(definitions: &'a Definitions, caller: &Caller) -> impl Iterator<Item = &'a Job> {
    let is_project = |job: &&Job| job.import.is_some() || job.export.is_some();
    definitions
        .jobs
        .iter()
        .filter(is_project)
        .filter(move |job| caller.may_see(job))
}

/// The projects.
pub(super) fn groups(definitions: &Definitions, caller: &Caller) -> Vec<Row> {
    jobs(definitions, caller).map(group).collect()
}

/// One of them.
pub(super) fn group(job: &Job) -> Row {
    let truncates = job
        .import
        .iter()
        .flat_map(|import| &import.entities)
        .any(|wanted| wanted.truncate);
    let description: String = job.name.chars().take(DESCRIPTION_CHARS_MAX).collect();
    vec![
        job.name.clone().into(),
        if job.import.is_some() { "Import" } else { "Export" }.into(),
        description.into(),
        "Project".into(),
        yes(job.data_source == DataSource::Package),
        yes(truncates),
    ]
}

/// The entities of all projects; what `kept` projects say of theirs is in them, of the others in their files.
pub(super) fn details(definitions: &Definitions, caller: &Caller, kept: &[Project]) -> Vec<Row> {
    let rows = jobs(definitions, caller).flat_map(|job| {
        let kept = kept.iter().find(|project| project.id == job.id);
        let entities = entities_of(job).into_iter().enumerate();
        entities.map(move |(at, name)| {
            let listed = kept.and_then(|project| project.entities.iter().find(|listed| listed.entity == name));
            let line = listed.map_or_else(|| Line::of_job(job, at), Line::of_project);
            detail(definitions, job, name, &line)
        })
    });
    rows.collect()
}

/// What a project says of an entity.
#[expect(clippy::struct_excessive_bools, reason = "a project has as many flags")]
struct Line {
    source_format: String,
    sheet: String,
    unit: u32,
    level: u32,
    sequence: u32,
    is_incremental: bool,
    skips_staging: bool,
    runs_logic: bool,
    validates: bool,
}

impl Line {
    fn of_job(job: &Job, at: usize) -> Self {
        let format = match (&job.import, &job.export) {
            (Some(import), _) => Some((&import.format, import.encoding.as_deref())),
            (None, Some(export)) => Some((&export.format, export.encoding.as_deref())),
            (None, None) => None,
        };
        let imported = job.import.as_ref().and_then(|import| import.entities.get(at));
        let exported = job.export.as_ref().and_then(|export| export.entities.get(at));
        Self {
            source_format: format.map_or_else(String::new, |(format, encoding)| format.source_format(encoding)),
            sheet: String::new(),
            unit: 1,
            level: 1,
            sequence: u32::try_from(at + 1).unwrap_or(u32::MAX),
            is_incremental: exported.is_some_and(|wanted| wanted.refresh != Refresh::Full),
            skips_staging: job.import.as_ref().is_some_and(|import| import.skip_staging),
            runs_logic: imported.is_none_or(ImportEntity::runs_logic),
            validates: imported.is_none_or(ImportEntity::runs_validation),
        }
    }

    fn of_project(listed: &ProjectEntity) -> Self {
        Self {
            source_format: listed.source_format.clone(),
            sheet: listed.sheet.clone(),
            unit: listed.execution_unit,
            level: listed.level,
            sequence: listed.sequence,
            is_incremental: listed.incremental,
            skips_staging: listed.skip_staging,
            runs_logic: true,
            validates: true,
        }
    }
}

fn detail(definitions: &Definitions, job: &Job, name: &str, line: &Line) -> Row {
    let label = definitions.label(name).unwrap_or(name);
    let format = FileFormat::of_source_format(&line.source_format, &line.sheet).map(|(format, _)| format);
    let of_job = job.import.as_ref().map(|import| &import.format);
    let of_job = of_job.or_else(|| job.export.as_ref().map(|export| &export.format));
    let extension = format.as_ref().or(of_job).map_or("", FileFormat::extension);
    let element = definitions.entity(name).map(Entity::xml_element);
    let refresh = if line.is_incremental {
        "IncrementalPush"
    } else {
        "FullPush"
    };
    let values: [Value; 27] = [
        job.name.clone().into(),
        label.into(),
        line.source_format.clone().into(),
        line.unit.into(),
        line.level.into(),
        line.sequence.into(),
        // Columns that nobody maps are found by their names (PKG-24).
        yes(true),
        refresh.into(),
        yes(line.runs_logic),
        yes(line.validates),
        yes(line.validates),
        yes(line.skips_staging),
        yes(false),
        yes(false),
        yes(false),
        "".into(),
        element.unwrap_or_else(|| name.to_uppercase()).into(),
        line.sheet.clone().into(),
        package::data_file_name(label, extension).into(),
        "".into(),
        "".into(),
        "Yes".into(),
        // The filter of an export is the operator's SQL, and nobody else's business.
        "".into(),
        "".into(),
        "".into(),
        "".into(),
        yes(false),
    ];
    values.into()
}
