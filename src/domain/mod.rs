//! The words of the product, as types.
//!
//! Owns: identifiers, time, the message state machine, the wire's status vocabularies, definitions of
//! entities and jobs, counts and record errors. Refuses: I/O, SQL, HTTP, async. Everything here can be
//! tested with plain values.

pub mod audit;
pub mod auto_number;
pub mod bidi;
pub mod cell;
pub mod client;
pub mod composite;
pub mod computed;
pub mod counts;
pub mod destination;
pub mod dmf;
pub mod entity;
pub mod export;
pub mod file_name;
pub mod ids;
pub mod job;
pub mod message;
pub mod package_export;
pub mod pattern;
pub mod position;
pub mod project;
pub mod receipt;
pub mod reject;
pub mod rule;
pub mod schedule;
pub mod sent_parts;
pub mod status;
pub mod table;
pub mod time;
pub mod trace;
pub mod traffic;
pub mod webhook;
pub mod wire;
