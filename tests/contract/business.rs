//! What business databases promise, on SQLite and PostgreSQL alike.

mod fence;
mod fixture;
mod lost;
mod opening;
mod promotion;
mod reading;
mod staging;
mod tables;
