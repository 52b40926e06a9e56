//! `/data` and `/metadata` to be read: what clients of the package API look up in sets and metadata.

pub(super) mod catalogue;
