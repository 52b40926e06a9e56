//! What business databases promise, on SQLite and PostgreSQL alike.

mod catalogue;
mod changes;
mod fence;
mod fixture;
mod opening;
mod promotion;
mod reading;
mod staging;
mod stagings;
mod tables;
