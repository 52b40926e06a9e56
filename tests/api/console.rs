//! The web console, as browsers meet it.

mod actions;
mod bounded;
mod browser;
mod bulk;
mod html;
mod pages;
mod repair;
mod sessions;
