//! The front door: configuration, HTTP, the pipeline and the one client that dials out.
//!
//! Read [`pipeline`] first: it is the life of a request from top to bottom. Everything else is a
//! step of it, or prepares what a step uses.

pub mod commands;

pub mod advice;
pub mod app;
pub mod config;
pub mod desk;
mod durable;
mod gateway;
pub mod keys;
mod limits;
pub mod observe;
mod snapshot;
#[cfg(test)]
mod stand;
pub mod trace;

mod gather;
mod listener;
mod spurious;
mod worker;

mod http;
mod pipeline;
mod remember;

mod alarm;
mod alerts;
mod allocator;
pub use allocator::Memory;
mod attempt;
mod auth;
mod chores;
mod coalesce;
mod dispatch;
mod ending;
mod inquiry;
mod judge;
mod plan;
mod pressure;
mod protect;
mod recorder;
mod relay;
mod resources;
mod runtimes;
mod small_file;
mod upstream;

mod admin;
mod dashboard;
