//! The web console, as browsers meet it.

mod actions;
mod bounded;
pub mod browser;
mod bulk;
pub mod html;
mod pages;
mod repair;
mod sessions;
mod strip;
