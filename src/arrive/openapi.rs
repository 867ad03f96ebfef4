//! The whole surface for tools that know no FHIR: an OpenAPI document, made of the CapabilityStatement and the list of operations.
//! Follows <https://spec.openapis.org/oas/v3.0.3>.

use std::sync::OnceLock;

use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::call::{Call, json as answer};
use super::made;
use super::operations::{Level, Methods, OPERATIONS, Operation};

/// Stands in the text where our address goes.
const HERE: &str = "urn:signa:here";

/// `GET /openapi.json`
pub(super) fn openapi(call: &Call<'_>) -> Response {
    // It is large and asked for rarely: it is made when somebody first asks.
    static TEXT: OnceLock<String> = OnceLock::new();
    let text =
        TEXT.get_or_init(|| document(&serde_json::from_str(&call.door.capability.text(HERE)).unwrap_or_default()).to_string());
    let mut response = answer(StatusCode::OK, text.replacen(HERE, &call.base(), 1));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn document(statement: &Value) -> Value {
    let mut paths = Map::new();
    let rest = &statement["rest"][0];
    for resource in rest["resource"].as_array().map_or(&[][..], Vec::as_slice) {
        let kind = resource["type"].as_str().unwrap_or_default();
        let codes: Vec<&str> = words(resource, "interaction", "code").collect();
        of_type(&mut paths, kind, &codes, resource);
        for operation in OPERATIONS {
            for (level, address) in [
                (Level::Type, format!("/{kind}/${}", operation.name)),
                (Level::Instance, format!("/{kind}/{{id}}/${}", operation.name)),
            ] {
                if let Some(methods) = operation.methods(level).filter(|_| operation.is_for(level, kind)) {
                    add_operation(&mut paths, &address, kind, operation, methods, level == Level::Instance);
                }
            }
        }
    }
    for operation in OPERATIONS {
        if let Some(methods) = operation.methods(Level::System) {
            add_operation(&mut paths, &format!("/${}", operation.name), "System", operation, methods, false);
        }
    }
    set(&mut paths, "/metadata", "get", act("System", "capabilities", "What this server can do.", Vec::new()));
    let codes: Vec<&str> = words(rest, "interaction", "code").collect();
    if codes.contains(&"transaction") || codes.contains(&"batch") {
        set(&mut paths, "/", "post", with_body(act("System", "transaction", "A batch or transaction Bundle.", Vec::new())));
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Signa", "version": env!("CARGO_PKG_VERSION"), "description": "HL7 FHIR R4 (4.0.1). The CapabilityStatement at /metadata says the same in FHIR."},
        "servers": [{"url": HERE}],
        "paths": paths,
        "components": {
            "parameters": {"id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}}},
            "schemas": {"Resource": {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}, "id": {"type": "string"}}}},
            "responses": {
                "Resource": {"description": "A resource.", "content": {"application/fhir+json": {"schema": {"$ref": "#/components/schemas/Resource"}}}},
                "Refusal": {"description": "An OperationOutcome that says what would be right.", "content": {"application/fhir+json": {"schema": {"$ref": "#/components/schemas/Resource"}}}},
            },
        },
    })
}

fn of_type(paths: &mut Map<String, Value>, kind: &str, codes: &[&str], resource: &Value) {
    let (all, one) = (format!("/{kind}"), format!("/{kind}/{{id}}"));
    let has = |code: &str| codes.contains(&code);
    if has("search-type") {
        let query = resource["searchParam"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|parameter| {
            json!({"name": parameter["name"], "in": "query", "schema": {"type": "string"}, "description": format!("FHIR search, {}", parameter["type"].as_str().unwrap_or_default())})
        });
        set(paths, &all, "get", act(kind, "search", "Search.", query.collect()));
        set(paths, &format!("/{kind}/_search"), "post", act(kind, "post-search", "Search by a form.", Vec::new()));
    }
    if has("create") {
        set(paths, &all, "post", with_body(act(kind, "create", "Create.", Vec::new())));
    }
    for (code, method, words, is_write) in [
        ("read", "get", "Read.", false),
        ("update", "put", "Update, or create under this id.", true),
        ("patch", "patch", "Change a part.", true),
        ("delete", "delete", "Delete.", false),
    ] {
        if has(code) {
            let act = act(kind, code, words, vec![id()]);
            set(paths, &one, method, if is_write { with_body(act) } else { act });
        }
    }
    if has("history-instance") {
        set(paths, &format!("{one}/_history"), "get", act(kind, "history", "All versions.", vec![id()]));
    }
    if has("history-type") {
        set(paths, &format!("{all}/_history"), "get", act(kind, "history-type", "All versions of all.", Vec::new()));
    }
    if has("vread") {
        let version = json!({"name": "version", "in": "path", "required": true, "schema": {"type": "string"}});
        set(paths, &format!("{one}/_history/{{version}}"), "get", act(kind, "vread", "One version.", vec![id(), version]));
    }
}

fn add_operation(
    paths: &mut Map<String, Value>,
    address: &str,
    kind: &str,
    operation: &Operation,
    methods: Methods,
    is_instance: bool,
) {
    let mut parameters: Vec<Value> = is_instance.then(id).into_iter().collect();
    let definition = made::definition(operation.name).unwrap_or_default();
    let inputs =
        definition["parameter"].as_array().map_or(&[][..], Vec::as_slice).iter().filter(|parameter| parameter["use"] == "in");
    parameters.extend(inputs.map(|parameter| {
        json!({"name": parameter["name"], "in": "query", "required": parameter["min"] != 0, "schema": {"type": "string"}, "description": parameter["documentation"]})
    }));
    let level = if is_instance { "instance" } else { "type" };
    let name = format!("{}-{level}", operation.name);
    if methods != Methods::Post {
        set(paths, address, "get", act(kind, &name, operation.documentation, parameters.clone()));
    }
    set(paths, address, "post", with_body(act(kind, &format!("{name}-post"), operation.documentation, parameters)));
}

fn words<'a>(value: &'a Value, list: &str, name: &'a str) -> impl Iterator<Item = &'a str> {
    value[list].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(move |one| one[name].as_str())
}

fn id() -> Value {
    json!({"$ref": "#/components/parameters/id"})
}

fn set(paths: &mut Map<String, Value>, address: &str, method: &str, act: Value) {
    let path = paths.entry(address.to_owned()).or_insert_with(|| json!({}));
    path[method] = act;
}

fn act(kind: &str, name: &str, words: &str, parameters: Vec<Value>) -> Value {
    let mut act = json!({
        "tags": [kind],
        "operationId": format!("{name}-{kind}"),
        "summary": words,
        "responses": {
            "200": {"$ref": "#/components/responses/Resource"},
            "default": {"$ref": "#/components/responses/Refusal"},
        },
    });
    if !parameters.is_empty() {
        act["parameters"] = Value::Array(parameters);
    }
    act
}

fn with_body(mut act: Value) -> Value {
    act["requestBody"] = json!({"content": {"application/fhir+json": {"schema": {"$ref": "#/components/schemas/Resource"}}}});
    act
}
