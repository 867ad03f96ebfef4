//! What the gateway answered, with the questions that stories ask of it.

use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    asked: String,
}

impl Answer {
    pub(crate) async fn read(asked: String, response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap();
        Self { status, headers, text, asked }
    }

    /// The same answer, when it has this status; the story ends here when it has not.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} was answered: {}", self.asked, self.text);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|fault| panic!("{}: {fault}: {}", self.asked, self.text))
    }

    /// What stands at this JSON pointer; null when nothing does.
    #[track_caller]
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.at("/id").as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn version(&self) -> String {
        self.at("/meta/versionId").as_str().unwrap().to_owned()
    }

    /// The resources of a Bundle.
    #[track_caller]
    pub(crate) fn resources(&self) -> Vec<Value> {
        entries(&self.json()).into_iter().filter_map(|entry| entry.get("resource").cloned()).collect()
    }

    /// The ids of a Bundle's resources.
    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<String> {
        self.resources().iter().filter_map(|resource| resource["id"].as_str().map(str::to_owned)).collect()
    }

    /// The status lines of a response Bundle, without their words.
    #[track_caller]
    pub(crate) fn statuses(&self) -> Vec<String> {
        let status = |entry: &Value| entry["response"]["status"].as_str().unwrap_or_default().chars().take(3).collect();
        entries(&self.json()).iter().map(status).collect()
    }

    /// The link of this relation; empty when there is none.
    #[track_caller]
    pub(crate) fn link(&self, relation: &str) -> String {
        let links = self.at("/link").as_array().cloned().unwrap_or_default();
        let link = links.iter().find(|link| link["relation"] == relation);
        link.map_or(String::new(), |link| link["url"].as_str().unwrap().to_owned())
    }

    /// The places of all issues, in order.
    #[track_caller]
    pub(crate) fn expressions(&self) -> Vec<String> {
        let issues = self.at("/issue").as_array().cloned().unwrap_or_default();
        let places = issues.iter().filter_map(|issue| issue["expression"].as_array().cloned()).flatten();
        places.map(|place| place.as_str().unwrap().to_owned()).collect()
    }

    /// The codes of all issues, in order.
    #[track_caller]
    pub(crate) fn codes(&self) -> Vec<String> {
        let issues = self.at("/issue").as_array().cloned().unwrap_or_default();
        issues.iter().map(|issue| issue["code"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// The entries of a Bundle.
pub(crate) fn entries(bundle: &Value) -> Vec<Value> {
    bundle["entry"].as_array().cloned().unwrap_or_default()
}
