//! The resources by which we speak and give work: CommunicationRequest, Communication and Task.
//! Follows <https://hl7.org/fhir/R4/communicationrequest.html>, <https://hl7.org/fhir/R4/communication.html> and
//! <https://hl7.org/fhir/R4/task.html>.

use serde_json::{Map, Value, json};

use super::consent::{Answer, Purpose, answer};
use super::episode::companion;
use super::json::text;
use super::person::{self, Recipient};
use super::supply::{self, written};
use super::turn::{Candidate, Turn};
use super::{Resource, Store, pharmacist, zones};
use crate::fhir::time::instant;

/// The identifier system of our outputs.
pub const OUTPUT: &str = "https://signa.example/fhir/NamingSystem/output";

/// The code system of the reasons for which something was not said or was taken back.
pub const NOT_DONE: &str = "https://signa.example/fhir/CodeSystem/not-done";

/// The code system of what a message or Task is about.
const EPISODES: &str = "https://signa.example/fhir/CodeSystem/episode";

/// The extension by which R4 requests name the rule they follow.
const FOLLOWS: &str = "http://hl7.org/fhir/StructureDefinition/workflow-instantiatesCanonical";

/// The shortest time in which a Task can be done.
const DAY_MS: i64 = 86_400_000;

/// Members in the order in which FHIR lists them; what is absent is left out.
fn resource(members: Vec<(&str, Option<Value>)>) -> Value {
    let mut present = Map::with_capacity(members.len());
    present.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Value::Object(present)
}

/// The Communication of a candidate, in this status.
pub(crate) fn message(turn: &Turn, candidate: &Candidate, status: &str) -> Value {
    let story = turn.story;
    if let Some(asked) = candidate.trigger.filter(|_| candidate.step.activity.relays) {
        return relayed(turn, candidate, asked, status);
    }
    let common = Common::of(turn, candidate);
    let activity = &candidate.step.activity;
    let request = companion(&candidate.output, "request");
    resource(vec![
        ("resourceType", Some(json!("Communication"))),
        ("id", Some(json!(candidate.output))),
        ("identifier", Some(json!([{"system": OUTPUT, "value": candidate.output}]))),
        ("instantiatesCanonical", Some(json!([candidate.plan.canonical()]))),
        ("basedOn", Some(json!([{"reference": format!("CommunicationRequest/{request}")}]))),
        ("status", Some(json!(status))),
        ("category", Some(json!([activity.code]))),
        ("priority", Some(json!(activity.priority))),
        ("subject", common.subject),
        ("topic", activity.topic.clone()),
        ("about", common.about),
        ("sent", (status == "completed").then(|| json!(instant(story.now)))),
        ("recipient", common.recipient),
        ("sender", Some(common.sender)),
        ("reasonCode", Some(common.reason_code)),
        ("reasonReference", common.reason),
        ("payload", Some(common.payload)),
    ])
}

/// What a CommunicationRequest of others asks to be said, in its words.
fn relayed(turn: &Turn, candidate: &Candidate, asked: &Resource, status: &str) -> Value {
    let common = Common::of(turn, candidate);
    let taken = |name: &str| asked.value.get(name).cloned();
    resource(vec![
        ("resourceType", Some(json!("Communication"))),
        ("id", Some(json!(candidate.output))),
        ("identifier", Some(json!([{"system": OUTPUT, "value": candidate.output}]))),
        ("instantiatesCanonical", Some(json!([candidate.plan.canonical()]))),
        ("basedOn", Some(json!([{"reference": asked.reference()}]))),
        ("status", Some(json!(status))),
        ("category", taken("category")),
        ("priority", taken("priority").or_else(|| Some(json!(candidate.step.activity.priority)))),
        ("subject", common.subject),
        ("topic", candidate.step.activity.topic.clone()),
        ("about", taken("about")),
        ("encounter", taken("encounter")),
        ("sent", (status == "completed").then(|| json!(instant(turn.story.now)))),
        ("recipient", common.recipient),
        ("sender", taken("sender").or_else(|| taken("requester")).or(Some(common.sender))),
        ("reasonCode", taken("reasonCode").or_else(|| Some(json!([{"coding": [{"system": EPISODES, "code": "alert"}]}])))),
        ("reasonReference", taken("reasonReference")),
        ("payload", taken("payload")),
    ])
}

/// The CommunicationRequest of a candidate: the intention, dated.
pub(crate) fn request(turn: &Turn, candidate: &Candidate, status: &str) -> Value {
    let common = Common::of(turn, candidate);
    let activity = &candidate.step.activity;
    let id = companion(&candidate.output, "request");
    let known = turn.story.find(&format!("CommunicationRequest/{id}"));
    let authored =
        known.and_then(|known| text(&known.value, "authoredOn")).map_or_else(|| instant(turn.story.now), str::to_owned);
    resource(vec![
        ("resourceType", Some(json!("CommunicationRequest"))),
        ("id", Some(json!(id))),
        ("extension", Some(json!([{"url": FOLLOWS, "valueCanonical": candidate.plan.canonical()}]))),
        ("identifier", Some(json!([{"system": OUTPUT, "value": id}]))),
        ("groupIdentifier", Some(group(turn, candidate))),
        ("status", Some(json!(status))),
        ("category", Some(json!([activity.code]))),
        ("priority", Some(json!(activity.priority))),
        ("subject", common.subject),
        ("about", common.about),
        ("payload", Some(common.payload)),
        ("occurrenceDateTime", Some(json!(instant(candidate.detail.planned)))),
        ("authoredOn", Some(json!(authored))),
        ("requester", Some(common.sender.clone())),
        ("recipient", common.recipient),
        ("sender", Some(common.sender)),
        ("reasonCode", Some(common.reason_code)),
        ("reasonReference", common.reason),
    ])
}

/// The Task of a candidate, requested from the store.
pub(crate) fn task(turn: &Turn, candidate: &Candidate) -> Value {
    let story = turn.story;
    let common = Common::of(turn, candidate);
    let activity = &candidate.step.activity;
    let of = store(turn, candidate);
    let now = instant(story.now);
    let end = end(turn, candidate);
    let text = activity.message(&[]).map(|message| message.text.clone());
    let text = text.map(|text| pharmacist::named(&text, "en", story));
    let focus = candidate.trigger.map(|trigger| json!({"reference": trigger.reference()}));
    // It is the store's until somebody claims it: there it is looked for. Who answers for the person is named beside, and has it where
    // no store is known; else it is the tenant's, as what is sent is.
    let pharmacist = pharmacist::of(story).map(|pharmacist| pharmacist.named());
    let owner = pharmacist.clone().filter(|_| of.organization.is_empty()).unwrap_or_else(|| common.sender.clone());
    let mut restriction = json!({"period": {"start": instant(candidate.detail.planned), "end": instant(end)}});
    if let Some(pharmacist) = pharmacist {
        restriction["recipient"] = json!([pharmacist]);
    }
    resource(vec![
        ("resourceType", Some(json!("Task"))),
        ("id", Some(json!(candidate.output))),
        ("identifier", Some(json!([{"system": OUTPUT, "value": candidate.output}]))),
        ("instantiatesCanonical", Some(json!(candidate.plan.canonical()))),
        ("groupIdentifier", Some(group(turn, candidate))),
        ("status", Some(json!("requested"))),
        ("intent", Some(json!("order"))),
        ("priority", Some(json!(activity.priority))),
        ("code", Some(activity.code.clone())),
        ("description", text.map(|text| json!(text))),
        ("focus", focus),
        ("for", common.subject),
        ("authoredOn", Some(json!(now))),
        ("lastModified", Some(json!(now))),
        ("requester", Some(common.sender)),
        ("owner", Some(owner)),
        ("reasonCode", Some(common.reason_code.get(0).cloned().unwrap_or_default())),
        ("restriction", Some(restriction)),
        ("input", history(turn, candidate)),
    ])
}

/// When a Task should be done.
pub(crate) fn end(turn: &Turn, candidate: &Candidate) -> i64 {
    candidate.detail.until.max(turn.story.now + DAY_MS)
}

/// A resource that waited, ended with the reason.
pub(crate) fn ended(stored: &Value, status: &str, gate: &str, why: &str, now: i64) -> Value {
    let mut ended = stored.clone();
    let Some(members) = ended.as_object_mut() else { return ended };
    members.shift_remove("meta");
    let mut coding = vec![json!({"system": NOT_DONE, "code": gate})];
    if let Some(code) = standard(gate).filter(|_| members.get("resourceType") != Some(&json!("Task"))) {
        coding.push(json!({"system": "http://terminology.hl7.org/CodeSystem/communication-not-done-reason", "code": code}));
    }
    let reason = json!({"coding": coding, "text": why});
    // Gone before the place is counted: an older reason may stand before the status.
    members.shift_remove("statusReason");
    members.insert(String::from("status"), json!(status));
    let place = members.keys().position(|name| name == "status").map_or(members.len(), |at| at + 1);
    members.shift_insert(place, String::from("statusReason"), reason);
    if members.contains_key("lastModified") {
        members.insert(String::from("lastModified"), json!(instant(now)));
    }
    ended
}

/// The standard's own code for a gate's reason, where it has one.
fn standard(gate: &str) -> Option<&'static str> {
    match gate {
        "stop" | "consent" => Some("patient-objection"),
        "reachable" => Some("invalid-phone-number"),
        "alive" => Some("recipient-unavailable"),
        _ => None,
    }
}

/// What all outputs of a candidate share.
struct Common {
    subject: Option<Value>,
    recipient: Option<Value>,
    sender: Value,
    about: Option<Value>,
    reason: Option<Value>,
    reason_code: Value,
    payload: Value,
}

impl Common {
    fn of(turn: &Turn, candidate: &Candidate) -> Self {
        let story = turn.story;
        let recipient = person::recipient(story);
        let patient = person::patient(story).map(|patient| json!({"reference": patient.reference()}));
        let trigger = candidate.trigger;
        let subject = patient.or_else(|| trigger.and_then(|trigger| trigger.value.get("subject").cloned()));
        let named = trigger.map(|trigger| json!([{"reference": trigger.reference()}]));
        let is_reason = trigger.is_some_and(|trigger| {
            matches!(trigger.kind.as_str(), "Condition" | "Observation" | "DiagnosticReport" | "DocumentReference")
        });
        let code = match trigger.map(|trigger| trigger.kind.as_str()) {
            _ if !candidate.detail.product.is_empty() => "supply",
            Some("DiagnosticReport" | "Observation") => "report",
            Some("Procedure") => "procedure",
            Some("Patient") => "patient",
            Some("MedicationDispense") => "supply",
            Some("CommunicationRequest") => "wish",
            _ => "diagnosis",
        };
        let of = store(turn, candidate);
        let sender = if of.organization.is_empty() {
            json!({"type": "Organization", "identifier": {"system": "https://signa.example/fhir/NamingSystem/tenant", "value": story.tenant.as_ref()}})
        } else {
            organization(&of.organization)
        };
        Self {
            subject,
            recipient: recipient.map(|recipient| json!([{"reference": recipient.resource.reference()}])),
            sender,
            // That it is about the patient says the subject.
            about: named.clone().filter(|_| !is_reason && trigger.is_some_and(|trigger| trigger.kind != "Patient")),
            reason: named.filter(|_| is_reason),
            reason_code: json!([{"coding": [{"system": EPISODES, "code": code}]}]),
            payload: payload(turn, candidate, recipient),
        }
    }
}

fn payload(turn: &Turn, candidate: &Candidate, recipient: Option<Recipient>) -> Value {
    let languages = recipient.map(|recipient| recipient.languages()).unwrap_or_default();
    let Some(message) = candidate.step.activity.message(&languages) else { return json!([]) };
    let named = |said: &str| pharmacist::named(said, &message.language, turn.story);
    let mut payload = vec![json!({"contentString": named(&message.text)})];
    // The text is the same with and without the offer; only who consented to offers gets one.
    if let Some(offer) = message.offer.as_ref().filter(|_| answer(turn.story, Purpose::Marketing) == Answer::Given) {
        payload.push(json!({"contentString": named(offer)}));
    }
    Value::Array(payload)
}

/// The store that speaks or is asked.
pub(crate) fn store(turn: &Turn, candidate: &Candidate) -> Store {
    candidate.trigger.map_or_else(|| supply::store(turn.story, &Value::Null), |trigger| supply::store(turn.story, &trigger.value))
}

fn organization(id: &str) -> Value {
    json!({"reference": format!("Organization/{id}")})
}

/// All steps of one episode belong together; the id names neither product nor diagnosis.
fn group(turn: &Turn, candidate: &Candidate) -> Value {
    let episode = format!("{}\n{}\n{}", turn.story.tenant, turn.story.person.0, candidate.episode);
    json!({"system": OUTPUT, "value": companion(&candidate.plan.url, &episode)})
}

/// What the store needs to know: of the supply, and which form is to be filled in.
fn history(turn: &Turn, candidate: &Candidate) -> Option<Value> {
    let form = candidate.step.activity.form.as_ref();
    let kind = |code: &str, text: &str| json!({"coding": [{"system": "https://signa.example/fhir/CodeSystem/task-input", "code": code}], "text": text});
    let form = form.map(|form| json!({"type": kind("form", "Form to fill in"), "valueCanonical": form}));
    let Some(fill) = candidate.fill.as_ref() else { return form.map(|form| json!([form])) };
    let mut input = vec![
        json!({"type": kind("handed-over", "Day handed over"), "valueDate": written(fill.handed)}),
        json!({"type": kind("days-from", "Source of the days of supply"), "valueString": fill.step}),
    ];
    if let Some(last) = fill.last {
        input.insert(1, json!({"type": kind("last-day", "Last covered day"), "valueDate": written(last)}));
    }
    let earlier = turn.fills(&candidate.detail.product).len();
    input.push(json!({"type": kind("fills", "Fills known"), "valueInteger": earlier}));
    input.extend(form);
    Some(Value::Array(input))
}

/// The moment at which a step planned for a day is due: when the day opens for those it is meant for.
pub(crate) fn opening(turn: &Turn, candidate_speaks: bool, day: i64, store: &Store) -> i64 {
    let morning = zones::morning(zones::date(day), &store.zone).unwrap_or(turn.story.now);
    let recipient = person::recipient(turn.story).filter(|_| candidate_speaks);
    let zones = recipient.map(|recipient| recipient.zones(turn.rules, &store.zone, turn.story.now)).unwrap_or_default();
    // The gate of quiet hours says again, at the time, whether it is day.
    zones::open(morning, &zones).unwrap_or(morning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_says_why_right_after_its_status() {
        let stored = json!({"resourceType": "Task", "id": "1", "meta": {}, "status": "requested", "lastModified": "x"});
        let ended = ended(&stored, "cancelled", "moved", "Because.", 0);
        let names: Vec<&String> = ended.as_object().unwrap().keys().collect();
        assert_eq!(names, ["resourceType", "id", "status", "statusReason", "lastModified"]);
        assert_eq!(text(&ended, "status"), Some("cancelled"));
        assert_eq!(ended["statusReason"]["text"], json!("Because."));
        assert_eq!(ended["statusReason"]["coding"], json!([{"system": NOT_DONE, "code": "moved"}]));
        let message = json!({"resourceType": "Communication", "status": "preparation"});
        let objected = super::ended(&message, "not-done", "stop", "Because.", 0);
        assert_eq!(objected["statusReason"]["coding"][1]["code"], json!("patient-objection"));
    }

    // Whoever sends a Task back may write its members in any order.
    #[test]
    fn an_older_reason_before_a_last_status_gives_way() {
        let stored = json!({"resourceType": "Task", "statusReason": {"text": "Older."}, "id": "1", "status": "on-hold"});
        let ended = ended(&stored, "cancelled", "moved", "Because.", 0);
        let names: Vec<&String> = ended.as_object().unwrap().keys().collect();
        assert_eq!(names, ["resourceType", "id", "status", "statusReason"]);
        assert_eq!((&ended["status"], &ended["statusReason"]["text"]), (&json!("cancelled"), &json!("Because.")));
    }
}
