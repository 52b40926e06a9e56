//! Data projects and their entities: jobs, as the sets of projects have them (PKG-25, PKG-26).

use serde_json::{Value, json};

use super::catalogue::entities_of;
use super::table::{Row, Table, int, of, text, yes};
use crate::definitions::Definitions;
use crate::domain::entity::Entity;
use crate::domain::export::{ExportSpec, Refresh};
use crate::domain::job::{DataSource, ImportEntity, ImportSpec, Job};
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
    let is_project = |job: &&Job| !entities_of(job).is_empty();
    definitions
        .jobs
        .iter()
        .filter(is_project)
        .filter(move |job| caller.may_see(job))
}

/// The projects.
pub(super) fn groups(definitions: &Definitions, caller: &Caller) -> Vec<Row> {
    let row = |job: &Job| {
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
    };
    jobs(definitions, caller).map(row).collect()
}

/// The entities of all projects.
pub(super) fn details(definitions: &Definitions, caller: &Caller) -> Vec<Row> {
    let rows = jobs(definitions, caller).flat_map(|job| {
        let entities = entities_of(job).into_iter().enumerate();
        entities.map(move |(at, name)| detail(definitions, job, at, name))
    });
    rows.collect()
}

fn detail(definitions: &Definitions, job: &Job, at: usize, name: &str) -> Row {
    let label = definitions.label(name).unwrap_or(name);
    let (source_format, extension, refresh) = match (&job.import, &job.export) {
        (Some(ImportSpec { format, encoding, .. }), _) => (
            format.source_format(encoding.as_deref()),
            format.extension(),
            "FullPush",
        ),
        (None, Some(spec)) => (
            spec.format.source_format(spec.encoding.as_deref()),
            spec.format.extension(),
            refresh(spec, at),
        ),
        (None, None) => (String::new(), "", "FullPush"),
    };
    let wanted = job.import.as_ref().and_then(|import| import.entities.get(at));
    let validates = wanted.is_none_or(ImportEntity::runs_validation);
    let element = definitions.entity(name).map(Entity::xml_element);
    let values: [Value; 27] = [
        job.name.clone().into(),
        label.into(),
        source_format.into(),
        1.into(),
        1.into(),
        json!(at + 1),
        // Columns without a line in the job's file are found by their names.
        yes(true),
        refresh.into(),
        yes(wanted.is_none_or(ImportEntity::runs_logic)),
        yes(validates),
        yes(validates),
        yes(job.import.as_ref().is_some_and(|import| import.skip_staging)),
        yes(false),
        yes(false),
        yes(false),
        "".into(),
        element.unwrap_or_else(|| name.to_uppercase()).into(),
        "".into(),
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

fn refresh(spec: &ExportSpec, at: usize) -> &'static str {
    match spec.entities.get(at).map(|wanted| &wanted.refresh) {
        None | Some(Refresh::Full) => "FullPush",
        Some(_) => "IncrementalPush",
    }
}
