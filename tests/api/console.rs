//! The web console, as browsers meet it.

mod actions;
mod audit;
mod bounded;
mod browser;
mod clients;
mod entities;
mod html;
mod pages;
mod sessions;
mod strip;
mod webhooks;
