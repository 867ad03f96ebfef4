//! A ledger in a folder, and resources in it, for tests of this room.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::search::lines;
use super::{Change, Draft, How, Ledger, Precondition, Scope, Settings, Subject, Unit};
use crate::clock::Clock;
use crate::fhir::kinds;

/// A ledger in a folder, at a moment.
pub(super) async fn open(folder: &Path, now: i64) -> Ledger {
    let database = format!("sqlite:{}", folder.join("s.db").display());
    Ledger::open(&Settings { database, ..Settings::default() }, Clock::stopped(now)).await.unwrap()
}

pub(super) fn scope() -> Scope {
    Scope { tenant: Arc::from("t") }
}

/// Records a resource under its id.
pub(super) async fn record(ledger: &Ledger, resource: &Value) {
    let (kind, id) = (resource["resourceType"].as_str().unwrap().to_owned(), resource["id"].as_str().unwrap().to_owned());
    let mut body = resource.clone();
    body.as_object_mut().unwrap().remove("id");
    let reference = resource["subject"]["reference"].as_str();
    let subject = match kind.as_str() {
        "Patient" => Subject::Itself,
        _ => reference.map_or(Subject::Nobody, |reference| Subject::Literal(reference.to_owned())),
    };
    let draft = Draft {
        meta: String::new(),
        body: body.to_string(),
        rows: lines(&kind, resource).into(),
        subject,
        is_only_named: false,
        identifiers: kinds::identifiers(resource),
        links: Vec::new(),
        happened: None,
        store: String::new(),
        is_stop: false,
        accepted: None,
    };
    let change = Change { kind, id, when: Precondition::None, resource: Some(draft) };
    ledger.record(Unit::one(scope(), How::Live, "emr", change)).await.unwrap();
}

/// As if the power was cut: what is in the files now is all that is left.
pub(super) fn copy(folder: &Path, other: &Path) {
    for name in ["s.db", "s.db-wal", "s.db.key"] {
        std::fs::copy(folder.join(name), other.join(name)).unwrap();
    }
}
