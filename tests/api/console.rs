//! The web console, as browsers meet it.

mod actions;
mod audit;
mod bounded;
pub mod browser;
mod bulk;
mod clients;
mod entities;
mod failures;
pub mod html;
mod pages;
mod payload;
mod progress;
mod repair;
mod sessions;
mod strip;
mod traffic;
mod webhooks;
