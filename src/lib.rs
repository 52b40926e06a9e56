//! Tranship: a self-hosted recurring-integration service.

pub mod auth;
pub mod blob;
pub mod business;
pub mod clock;
pub mod config;
pub mod definitions;
pub mod domain;
pub mod format;
pub mod storage;
