//! What business databases promise, on SQLite and PostgreSQL alike.

mod atomicity;
mod fence;
mod fixture;
mod opening;
mod promotion;
mod reading;
mod staging;
mod tables;
mod truncate;
