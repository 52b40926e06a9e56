//! The service attacked: who may do what on every route, tokens and links that are not what they say, requests that are no HTTP.
//! `docs/security.md` names the test that attacks each threat.

mod callers;
mod console_routes;
mod damaged_requests;
mod http;
mod limits;
mod pages;
mod raw;
mod route_table;
mod routes;
mod sql;
mod tokens;
mod world;
