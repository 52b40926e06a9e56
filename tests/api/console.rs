//! The web console, as browsers meet it.

mod actions;
mod bounded;
mod browser;
mod html;
mod pages;
mod sessions;
mod strip;
