//! Every action of the package API and of the sets beside it, as metadata declares it (PKG-0a, contract section 4.1).

/// An action bound to a set.
#[derive(Debug)]
pub(super) struct Action {
    /// The type whose set it is bound to.
    pub of: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its parameters: name and type.
    pub parameters: &'static [(&'static str, &'static str)],
    /// The type of its value.
    pub value: Option<Returned>,
}

/// The type of an action's value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Returned {
    pub of: &'static str,
    pub is_collection: bool,
}

const TEXT: &str = "Edm.String";
const FLAG: &str = "Edm.Boolean";
const INT: &str = "Edm.Int32";
const A_TEXT: Option<Returned> = Some(Returned {
    of: TEXT,
    is_collection: false,
});
const TEXTS: Option<Returned> = Some(Returned {
    of: TEXT,
    is_collection: true,
});
const A_FLAG: Option<Returned> = Some(Returned {
    of: FLAG,
    is_collection: false,
});

type Parameters = &'static [(&'static str, &'static str)];

const EXECUTION: Parameters = &[("executionId", TEXT)];
const ENTITY: Parameters = &[("executionId", TEXT), ("entityName", TEXT)];
const IMPORT: Parameters = &[
    ("packageUrl", TEXT),
    ("definitionGroupId", TEXT),
    ("executionId", TEXT),
    ("execute", FLAG),
    ("overwrite", FLAG),
    ("legalEntityId", TEXT),
];
const IMPORT_ASYNC: Parameters = &[
    ("packageUrl", TEXT),
    ("definitionGroupId", TEXT),
    ("executionId", TEXT),
    ("execute", FLAG),
    ("overwrite", FLAG),
    ("legalEntityId", TEXT),
    ("failOnError", FLAG),
    ("runAsyncWithoutBatch", FLAG),
    ("thresholdToRunInBatch", INT),
];
const IMPORT_DMT: Parameters = &[
    ("packageUrl", TEXT),
    ("definitionGroupId", TEXT),
    ("executionId", TEXT),
    ("execute", FLAG),
    ("overwrite", FLAG),
    ("legalEntityId", TEXT),
    ("importBatchGroupId", TEXT),
    ("failOnError", FLAG),
];
const EXPORT: Parameters = &[
    ("definitionGroupId", TEXT),
    ("packageName", TEXT),
    ("executionId", TEXT),
    ("reExecute", FLAG),
    ("legalEntityId", TEXT),
];
const EXPORT_SOME: Parameters = &[
    ("definitionGroupId", TEXT),
    ("packageName", TEXT),
    ("executionId", TEXT),
    ("reExecute", FLAG),
    ("legalEntityId", TEXT),
    ("entityList", TEXT),
];
const PREVIEW: Parameters = &[
    ("definitionGroupId", TEXT),
    ("packageName", TEXT),
    ("executionId", TEXT),
    ("reExecute", FLAG),
    ("legalEntityId", TEXT),
    ("exportPreviewCount", INT),
];
const PREVIEW_SOME: Parameters = &[
    ("definitionGroupId", TEXT),
    ("packageName", TEXT),
    ("executionId", TEXT),
    ("reExecute", FLAG),
    ("legalEntityId", TEXT),
    ("exportPreviewCount", INT),
    ("entityList", TEXT),
];

const fn of_groups(name: &'static str, parameters: Parameters, value: Option<Returned>) -> Action {
    Action {
        of: "DataManagementDefinitionGroup",
        name,
        parameters,
        value,
    }
}

const fn version(of: &'static str, name: &'static str, value: Option<Returned>) -> Action {
    Action {
        of,
        name,
        parameters: &[],
        value,
    }
}

/// All of them.
pub(super) static ACTIONS: [Action; 29] = [
    of_groups("GetAzureWriteUrl", &[("uniqueFileName", TEXT)], A_TEXT),
    of_groups("ImportFromPackage", IMPORT, A_TEXT),
    of_groups("ImportFromPackageAsync", IMPORT_ASYNC, A_TEXT),
    of_groups("ImportFromDMTPackage", IMPORT_DMT, A_TEXT),
    of_groups("ExportToPackage", EXPORT, A_TEXT),
    of_groups("ExportToPackageAsync", EXPORT_SOME, A_TEXT),
    of_groups("ExportToPackagePreview", PREVIEW, A_TEXT),
    of_groups("ExportToPackagePreviewAsync", PREVIEW_SOME, A_TEXT),
    of_groups("ExportToPackageDelta", EXPORT_SOME, A_TEXT),
    of_groups("ExportFromPackage", IMPORT, A_TEXT),
    of_groups("GetExportedPackageUrl", EXECUTION, A_TEXT),
    of_groups("GetExecutionSummaryStatus", EXECUTION, A_TEXT),
    of_groups("GetEntityExecutionSummaryStatusList", EXECUTION, TEXTS),
    of_groups("GetExecutionSummaryPageUrl", EXECUTION, A_TEXT),
    of_groups("GetExecutionErrors", EXECUTION, A_TEXT),
    of_groups("GenerateImportTargetErrorKeysFile", ENTITY, A_FLAG),
    of_groups("GetImportTargetErrorKeysFileUrl", ENTITY, A_TEXT),
    of_groups("GetImportStagingErrorFileUrl", ENTITY, A_TEXT),
    of_groups("GetMessageStatus", &[("messageId", TEXT)], A_TEXT),
    of_groups("GetExecutionIdByMessageId", &[("_messageId", TEXT)], A_TEXT),
    of_groups("GetEntitySequence", &[("listOfDataEntities", TEXT)], A_TEXT),
    of_groups(
        "ResetVersionToken",
        &[("definitionGroupId", TEXT), ("entityName", TEXT), ("sourceName", TEXT)],
        A_FLAG,
    ),
    of_groups("InitializeDataManagement", &[], None),
    of_groups("InitializeDataManagementAsync", &[], None),
    of_groups("DeleteExecutionHistoryJob", EXECUTION, A_FLAG),
    version("DataManagementEntity", "GetApplicationVersion", A_TEXT),
    version("DataManagementEntity", "GetApplicationBuildVersion", A_TEXT),
    version("DataManagementEntity", "GetPlatformBuildVersion", A_TEXT),
    version("SystemNotification", "GetInstalledModules", TEXTS),
];
