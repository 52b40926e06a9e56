//! The enumerations that properties are of. Members are counted from 0.

type Enum = (&'static str, &'static [&'static str]);

/// All of them.
pub(super) static ENUMS: &[Enum] = &[
    ("NoYes", &["No", "Yes"]),
    ("DMFOperationType", &["Export", "Import"]),
    ("DMFProjectCategory", &["Project", "Configuration", "Integration"]),
    ("DMFRefreshType", &["FullPush", "IncrementalPush"]),
    ("DMFValidationStatus", &["No", "Yes", "Error"]),
    // RI-27.
    (
        "DMFBatchJobStatus",
        &["NotStarted", "Executing", "Finished", "Error", "NotRun", "Canceled"],
    ),
];
