//! The stories: each drives a running gateway over HTTP and reads what came out.

#[cfg(test)]
mod answer;
#[cfg(test)]
mod builders;
#[cfg(test)]
mod database;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod house;
#[cfg(test)]
mod mutate;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod wire;

#[cfg(test)]
mod adherence;
#[cfg(test)]
mod advertised;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod answered;
#[cfg(test)]
mod apart;
#[cfg(test)]
mod beside;
#[cfg(test)]
mod binding;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod calendar;
#[cfg(test)]
mod capability;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod corrections;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod crowded;
#[cfg(test)]
mod databases;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod diary;
#[cfg(test)]
mod door;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod effect;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod everything;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod hearing;
#[cfg(test)]
mod import;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod links;
#[cfg(test)]
mod matching;
#[cfg(test)]
mod medications;
#[cfg(test)]
mod merges;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod naming;
#[cfg(test)]
mod nudges;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod origins;
#[cfg(test)]
mod paging;
#[cfg(test)]
mod parted;
#[cfg(test)]
mod partings;
#[cfg(test)]
mod patches;
#[cfg(test)]
mod people;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod poisoned;
#[cfg(test)]
mod polling;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod races;
#[cfg(test)]
mod radius;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod records;
#[cfg(test)]
mod references;
#[cfg(test)]
mod refill;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod remembered;
#[cfg(test)]
mod renewed;
#[cfg(test)]
mod repeated;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod search;
#[cfg(test)]
mod searching;
#[cfg(test)]
mod secret;
#[cfg(test)]
mod sequence;
#[cfg(test)]
mod setback;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod start;
#[cfg(test)]
mod status;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod subscriptions;
mod sweeps;
#[cfg(test)]
mod terminology;
#[cfg(test)]
mod three;
#[cfg(test)]
mod traced;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod unanswered;
#[cfg(test)]
mod unsaid;
#[cfg(test)]
mod validate;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod why;
#[cfg(test)]
mod writer;
#[cfg(test)]
mod year;
