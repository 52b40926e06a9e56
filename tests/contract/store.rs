//! Filled in with the module it tests.
