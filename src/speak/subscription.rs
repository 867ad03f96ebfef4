//! Reads a Subscription: what the house needs of it to listen and to call, or every reason why it is refused.
//! Follows <https://hl7.org/fhir/R4/subscription.html>; the channel is a rest-hook, the criteria a search.

use jiff::tz::TimeZone;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{Settings, address, signature};
use crate::fhir::outcome::Issue;
use crate::fhir::search::query::Query;
use crate::fhir::time::Moment;
use crate::ledger::{self, Secrets};

/// Header lines of a channel.
pub const HEADERS_MAX: usize = 20;
/// Characters of a header line.
pub const HEADER_MAX: usize = 4096;
/// Characters of the criteria.
pub const CRITERIA_MAX: usize = 4096;

/// Headers that belong to the connection or that the house writes itself.
const RESERVED: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Turns the criteria into a search: type and query string in, or a sentence why it can never match.
pub type Parse = fn(&str, &str) -> Result<Query, String>;

/// A Subscription that was accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// What the ledger keeps of it.
    pub row: ledger::Subscription,
    /// Its criteria, ready for [`super::listeners::Listeners`].
    pub query: Query,
}

/// Reads a Subscription that a client sent.
///
/// `before` is what is known of the one it replaces: its secrets, its count of notices and whether it has begun stay.
pub fn read(
    resource: &Value,
    before: Option<&ledger::Subscription>,
    now: i64,
    settings: &Settings,
    parse: Parse,
) -> Result<Accepted, Vec<Issue>> {
    let mut reading = Reading { resource, settings, issues: Vec::new() };
    let status = reading.status();
    reading.reason();
    let ends = reading.ends(now);
    let criteria = reading.text("/criteria");
    let query = reading.query(&criteria, parse);
    reading.channel_type();
    let endpoint = reading.endpoint();
    let payload = reading.payload();
    let headers = reading.headers();
    let fresh = || signature::secret().map(|now| Secrets { now, ..Secrets::default() });
    let secrets = before.map(|before| before.secrets.clone()).or_else(fresh);
    if secrets.is_none() {
        reading.refuse("exception", "no-randomness", "", "no secret can be made at the moment; send it again");
    }
    match (query, secrets) {
        (Some(query), Some(secrets)) if reading.issues.is_empty() => {
            let id = reading.text("/id");
            let (notices, begun) = before.map_or((0, false), |before| (before.notices, before.begun));
            let row = ledger::Subscription {
                id,
                version: 0,
                status,
                criteria,
                endpoint,
                payload,
                headers,
                ends,
                secrets,
                notices,
                begun,
            };
            Ok(Accepted { row, query })
        }
        _ => Err(reading.issues),
    }
}

/// The search that kept criteria mean; the same as when they were accepted.
pub fn query(criteria: &str, parse: Parse) -> Result<Query, String> {
    if criteria.len() > CRITERIA_MAX {
        return Err(format!("criteria have at most {CRITERIA_MAX} characters"));
    }
    if criteria.starts_with("http://") || criteria.starts_with("https://") {
        return Err(String::from("no such topic is known here; criteria are a search without a base, as Condition?code=…"));
    }
    let (kind, rest) = criteria.split_once('?').unwrap_or((criteria, ""));
    if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(String::from("criteria begin with a resource type, as Condition?code=…"));
    }
    parse(kind, rest)
}

struct Reading<'a> {
    resource: &'a Value,
    settings: &'a Settings,
    issues: Vec<Issue>,
}

impl Reading<'_> {
    fn refuse(&mut self, code: &'static str, key: &'static str, place: &str, sentence: impl Into<String>) {
        let expression = if place.is_empty() { String::new() } else { format!("Subscription.{place}") };
        self.issues.push(Issue::error(code, key, expression, sentence));
    }

    fn text(&self, pointer: &str) -> String {
        self.resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn status(&mut self) -> String {
        let status = self.text("/status");
        match status.as_str() {
            "requested" | "off" => {}
            "" => self.refuse("required", "subscription-status", "status", "a status is required: requested or off"),
            _ => self.refuse(
                "business-rule",
                "subscription-status",
                "status",
                "a client asks for a subscription with status requested or ends it with off; the server alone says active or error",
            ),
        }
        status
    }

    fn reason(&mut self) {
        if self.text("/reason").trim().is_empty() {
            self.refuse("required", "subscription-reason", "reason", "a reason is required: one sentence what it is for");
        }
    }

    fn ends(&mut self, now: i64) -> i64 {
        let Some(end) = self.resource.get("end") else {
            return 0;
        };
        let at = end.as_str().and_then(Moment::parse).map(|moment| moment.span(&TimeZone::UTC).low);
        match at {
            Some(at) if at > now => at,
            // One that is off may keep the end that it had.
            Some(at) if self.text("/status") == "off" => at,
            Some(_) => {
                self.refuse("business-rule", "subscription-end", "end", "the end lies in the past; leave it away or move it");
                0
            }
            None => {
                self.refuse("value", "subscription-end", "end", "the end is no instant, as 2030-01-01T00:00:00Z");
                0
            }
        }
    }

    fn query(&mut self, criteria: &str, parse: Parse) -> Option<Query> {
        if criteria.is_empty() {
            self.refuse("required", "subscription-criteria", "criteria", "criteria are required: a search, as Condition?code=…");
            return None;
        }
        match query(criteria, parse) {
            Ok(query) => Some(query),
            Err(sentence) => {
                self.refuse("not-supported", "subscription-criteria", "criteria", sentence);
                None
            }
        }
    }

    fn channel_type(&mut self) {
        match self.text("/channel/type").as_str() {
            "rest-hook" => {}
            "" => self.refuse("required", "subscription-channel", "channel.type", "a channel type is required: rest-hook"),
            _ => self.refuse("not-supported", "subscription-channel", "channel.type", "the only channel type here is rest-hook"),
        }
    }

    fn endpoint(&mut self) -> String {
        let endpoint = self.text("/channel/endpoint");
        if endpoint.is_empty() {
            self.refuse("required", "subscription-endpoint", "channel.endpoint", "a rest-hook needs an endpoint");
        } else if let Err(sentence) = address::endpoint(&endpoint, self.settings) {
            self.refuse("security", "subscription-endpoint", "channel.endpoint", sentence);
        }
        endpoint
    }

    fn payload(&mut self) -> String {
        let Some(payload) = self.resource.pointer("/channel/payload") else {
            return String::new();
        };
        let payload = payload.as_str().unwrap_or_default().to_owned();
        if !is_json(&payload) {
            self.refuse(
                "not-supported",
                "subscription-payload",
                "channel.payload",
                "a payload is application/fhir+json (R4) or application/json, or is left away for a notice without a body",
            );
        }
        payload
    }

    fn headers(&mut self) -> Vec<String> {
        let lines: Vec<String> = match self.resource.pointer("/channel/header") {
            Some(Value::Array(lines)) => lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect(),
            Some(_) => vec![String::new()],
            None => Vec::new(),
        };
        if lines.len() > HEADERS_MAX {
            let sentence = format!("a channel has at most {HEADERS_MAX} header lines");
            self.refuse("too-costly", "subscription-header", "channel.header", sentence);
        }
        for (index, line) in lines.iter().enumerate() {
            if let Err(sentence) = header(line) {
                self.refuse("value", "subscription-header", &format!("channel.header[{index}]"), sentence);
            }
        }
        lines
    }
}

/// One header line, `Name: value`, ready to be sent.
pub(super) fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    if line.len() > HEADER_MAX {
        return Err(format!("a header line has at most {HEADER_MAX} characters"));
    }
    let Some((name, value)) = line.split_once(':') else {
        return Err(String::from("a header line is written as Name: value"));
    };
    let name = HeaderName::try_from(name.trim_end()).map_err(|_| String::from("the name of a header is no token"))?;
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
        return Err(format!("the header {name} belongs to the connection or is written by the server"));
    }
    let value = HeaderValue::try_from(value.trim()).map_err(|_| format!("the value of {name} holds forbidden characters"))?;
    Ok((name, value))
}

/// Whether a MIME type means R4 in JSON.
fn is_json(payload: &str) -> bool {
    let mut parts = payload.split(';').map(str::trim);
    let known = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/fhir+json") || kind.eq_ignore_ascii_case("application/json"));
    known
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim_matches('"');
            (name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("utf-8"))
                || (name.eq_ignore_ascii_case("fhirVersion") && (value == "4.0" || value == "4.0.1"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::search::query::Sort;
    use serde_json::json;

    fn parse(kind: &str, rest: &str) -> Result<Query, String> {
        if kind != "Condition" || rest.contains("colour") {
            return Err(String::from("not known"));
        }
        let kind = kind.to_owned();
        Ok(Query { kind, criteria: Vec::new(), sort: Sort::Natural, count: 1, after: None, total: false })
    }

    fn good() -> Value {
        json!({
            "resourceType": "Subscription",
            "id": "s1",
            "status": "requested",
            "reason": "alerts",
            "criteria": "Condition?code=http://snomed.info/sct|73211009",
            "end": "2030-01-01T00:00:00Z",
            "channel": {
                "type": "rest-hook",
                "endpoint": "https://example.org/hook",
                "payload": "application/fhir+json",
                "header": ["Authorization: Bearer secret", "X-Site:7"],
            },
        })
    }

    fn read_at_zero(resource: &Value) -> Result<Accepted, Vec<Issue>> {
        read(resource, None, 0, &Settings::default(), parse)
    }

    #[test]
    fn a_subscription_becomes_a_row() {
        let accepted = read_at_zero(&good()).unwrap();
        let row = accepted.row;
        assert_eq!((row.id.as_str(), row.status.as_str(), row.notices), ("s1", "requested", 0));
        assert_eq!(row.endpoint, "https://example.org/hook");
        assert_eq!(row.headers, ["Authorization: Bearer secret", "X-Site:7"]);
        assert_eq!(row.ends, 1_893_456_000_000);
        assert!(row.secrets.now.0.len() > 40 && !row.begun);
        let before = ledger::Subscription { notices: 9, begun: true, ..row.clone() };
        let again = read(&good(), Some(&before), 0, &Settings::default(), parse).unwrap().row;
        assert_eq!((again.secrets, again.notices, again.begun), (row.secrets, 9, true));
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        for (pointer, value, key, place) in [
            ("/status", json!("active"), "subscription-status", "Subscription.status"),
            ("/status", json!("error"), "subscription-status", "Subscription.status"),
            ("/reason", json!(""), "subscription-reason", "Subscription.reason"),
            ("/criteria", json!("Colour?code=1"), "subscription-criteria", "Subscription.criteria"),
            ("/criteria", json!("Condition?colour=1"), "subscription-criteria", "Subscription.criteria"),
            ("/criteria", json!("https://example.org/topic"), "subscription-criteria", "Subscription.criteria"),
            ("/criteria", json!("/Condition?code=1"), "subscription-criteria", "Subscription.criteria"),
            ("/end", json!("1969-01-01T00:00:00Z"), "subscription-end", "Subscription.end"),
            ("/end", json!("soon"), "subscription-end", "Subscription.end"),
            ("/channel/type", json!("email"), "subscription-channel", "Subscription.channel.type"),
            ("/channel/endpoint", json!("http://10.0.0.1/"), "subscription-endpoint", "Subscription.channel.endpoint"),
            ("/channel/payload", json!("application/fhir+xml"), "subscription-payload", "Subscription.channel.payload"),
            ("/channel/header/0", json!("X: a\r\nHost: b"), "subscription-header", "Subscription.channel.header[0]"),
        ] {
            let mut resource = good();
            *resource.pointer_mut(pointer).unwrap() = value.clone();
            let issues = read_at_zero(&resource).unwrap_err();
            let found: Vec<_> = issues.iter().map(|issue| (issue.key, issue.expression.as_str())).collect();
            assert_eq!(found, [(key, place)], "{pointer} {value}");
        }
        let faults: Vec<_> = read_at_zero(&json!({})).unwrap_err().iter().map(|issue| issue.key).collect();
        assert_eq!(faults.len(), 5, "{faults:?}");
    }

    #[test]
    fn headers_of_the_connection_are_refused() {
        for line in ["X-Site: 7", "x-empty:", "Authorization: Bearer a.b-c"] {
            assert!(header(line).is_ok(), "{line}");
        }
        for line in [
            "no colon",
            ": value",
            "bad name: x",
            "Host: other",
            "content-length: 0",
            "Transfer-Encoding: chunked",
            "Connection: close",
            "webhook-id: mine",
            "X: a\nY: b",
            "X: a\0",
        ] {
            assert!(header(line).is_err(), "{line}");
        }
    }

    #[test]
    fn only_r4_in_json_is_a_payload() {
        for payload in ["application/fhir+json", "application/json", "application/fhir+json; charset=UTF-8; fhirVersion=4.0"] {
            assert!(is_json(payload), "{payload}");
        }
        for payload in ["", "text/plain", "application/fhir+xml", "application/fhir+json;fhirVersion=5.0", "application/json;x=1"]
        {
            assert!(!is_json(payload), "{payload}");
        }
    }
}
