//! What business databases promise, on SQLite and PostgreSQL alike.

mod abandoned;
mod atomicity;
mod catalogue;
mod changes;
mod copies;
mod fence;
mod fixture;
mod lost;
mod nested;
mod numbers;
mod opening;
mod promotion;
mod reading;
mod rules;
mod staging;
mod stagings;
mod superseded;
mod tables;
mod tracking;
mod truncate;
mod under_way;
