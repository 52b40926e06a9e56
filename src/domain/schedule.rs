//! Jobs and occurrences: filled in with the definitions.
