//! Profiles, tags and security labels of a resource: read, added, taken away.
//! Follows <https://hl7.org/fhir/R4/resource-operation-meta.html>, `meta-add` and `meta-delete`.
//!
//! A change of them is a version of its own here: the ledger is append-only, and who may see a resource can hang on its labels.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::given::{Given, wrong};
use super::operations::{Asked, Level, Methods, Operation};
use super::outcome::Refusal;
use super::read::current;
use crate::fhir::search::parameter;
use crate::flow::Refused;
use crate::ledger::Stored;

/// `GET` or `POST [type]/[id]/$meta`, `[type]/$meta` and `$meta`
pub(super) const READ: Operation = Operation {
    name: "meta",
    at: &[(Level::System, Methods::Both), (Level::Type, Methods::Both), (Level::Instance, Methods::Both)],
    types: &[],
    definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta",
    documentation: "Profiles, tags and security labels of the resource, or all that are in use.",
    changes: false,
    answer: |call, asked| {
        Box::pin(async move {
            match (asked.kind, asked.id) {
                (Some(kind), Some(id)) => Ok(told(&meta(&current(call, kind, id).await?))),
                (Some(kind), None) => Ok(told(&in_use(call, &[kind.to_owned()]).await?)),
                (None, _) => Ok(told(&in_use(call, &call.door.flow.ledger.kinds(call.scope()).await?).await?)),
            }
        })
    },
};

/// `POST [type]/[id]/$meta-add`
pub(super) const ADD: Operation = Operation {
    name: "meta-add",
    at: &[(Level::Instance, Methods::Post)],
    types: &[],
    definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-add",
    documentation: "Adds profiles, tags and security labels to the resource, as a new version.",
    changes: true,
    answer: |call, asked| Box::pin(change(call, asked, add)),
};

/// `POST [type]/[id]/$meta-delete`
pub(super) const DELETE: Operation = Operation {
    name: "meta-delete",
    at: &[(Level::Instance, Methods::Post)],
    types: &[],
    definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
    documentation: "Takes profiles, tags and security labels away from the resource, as a new version.",
    changes: true,
    answer: |call, asked| Box::pin(change(call, asked, remove)),
};

/// The lists of a Meta that may be changed.
const LISTS: [&str; 3] = ["profile", "security", "tag"];
/// Somebody else may write the resource so often meanwhile.
const TRIES_MAX: usize = 8;

/// The parameters by which the lists of [`LISTS`] are found, in the same order.
const PARAMETERS: [&str; 3] = ["_profile", "_security", "_tag"];
/// Labels in use that are looked at, one statement each; of more, none are told.
const LABELS_MAX: usize = 1_000;

/// All labels that resources of these types have.
async fn in_use(call: &Call<'_>, kinds: &[String]) -> Result<Value, Refusal> {
    let mut all = json!({});
    let mut left = LABELS_MAX;
    for kind in kinds {
        for (list, code) in LISTS.iter().zip(PARAMETERS) {
            let Some(parameter) = parameter(kind, code) else { continue };
            let found = call.door.flow.ledger.examples(call.scope(), parameter.number, left + 1).await?;
            left = left.checked_sub(found.len()).ok_or_else(too_many)?;
            for stored in found {
                let wanted = meta(&stored).get(*list).and_then(Value::as_array).cloned().unwrap_or_default();
                if let Value::Array(kept) = &mut all[*list] {
                    add(kept, &wanted);
                } else {
                    all[*list] = Value::Array(wanted);
                }
            }
        }
    }
    Ok(all)
}

fn too_many() -> Refusal {
    let words = "More than 1,000 labels are in use; ask for one resource, or for a type with fewer.";
    Refusal::one(StatusCode::BAD_REQUEST, "too-costly", "too-many-labels", words)
}

async fn change(call: &Call<'_>, asked: Asked<'_>, act: fn(&mut Vec<Value>, &[Value])) -> Result<Response, Refusal> {
    let (kind, id) = (asked.kind.unwrap_or_default(), asked.id.unwrap_or_default());
    let given = Given::asked(call, asked.method, asked.body).await?;
    let wanted = given.whole("meta")?.ok_or_else(|| wrong("meta", "must be a Meta, in Parameters"))?;
    let named = call.if_match()?;
    for _ in 0..TRIES_MAX {
        let stored = current(call, kind, id).await?;
        if named.is_some_and(|version| version != stored.version) {
            return Err(Refused::VersionConflict { current: Some(stored.version) }.into());
        }
        let mut value = stored.value();
        let mut own = meta(&stored);
        for list in LISTS {
            let mut kept = own.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
            act(&mut kept, wanted.get(list).and_then(Value::as_array).map_or(&[], Vec::as_slice));
            match (own.as_object_mut(), kept.is_empty()) {
                (Some(members), true) => _ = members.shift_remove(list),
                (Some(members), false) => _ = members.insert(list.to_owned(), Value::Array(kept)),
                (None, _) => {}
            }
        }
        if own == meta(&stored) {
            return Ok(told(&own));
        }
        value["meta"] = own;
        match call.door.flow.update(call.sender(), kind, id, value.to_string().as_bytes(), Some(stored.version)).await {
            Ok(done) => {
                let new = done.stored.as_ref().map_or_else(|| value["meta"].clone(), meta);
                return Ok(told(&new));
            }
            Err(Refused::VersionConflict { .. }) if named.is_none() => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(Refused::Busy.into())
}

/// Adds what is not there yet; a tag is the same by its system and code.
fn add(kept: &mut Vec<Value>, wanted: &[Value]) {
    for one in wanted {
        if !kept.iter().any(|known| is_same(known, one)) {
            kept.push(one.clone());
        }
    }
}

fn remove(kept: &mut Vec<Value>, wanted: &[Value]) {
    kept.retain(|known| !wanted.iter().any(|one| is_same(known, one)));
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(_), Value::Object(_)) => one.get("system") == other.get("system") && one.get("code") == other.get("code"),
        _ => one == other,
    }
}

fn meta(stored: &Stored) -> Value {
    stored.value().get("meta").cloned().unwrap_or_else(|| json!({}))
}

fn told(meta: &Value) -> Response {
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]});
    answer(StatusCode::OK, parameters.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_same_by_system_and_code() {
        let tag = |code: &str, display: &str| json!({"system": "urn:t", "code": code, "display": display});
        let mut kept = vec![tag("a", "A"), json!("http://profile")];
        add(&mut kept, &[tag("a", "other"), tag("b", "B"), json!("http://profile")]);
        assert_eq!(kept, [tag("a", "A"), json!("http://profile"), tag("b", "B")]);
        remove(&mut kept, &[tag("a", ""), json!("http://profile")]);
        assert_eq!(kept, [tag("b", "B")]);
    }
}
