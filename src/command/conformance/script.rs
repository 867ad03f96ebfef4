//! A suite as it is written: a TestScript with the four extensions that `conformance/README.md` describes.
//! Follows <https://hl7.org/fhir/R4/testscript.html>.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// Where our extensions lie.
const EXTENSIONS: &str = "https://signa.example/fhir/StructureDefinition/testscript-";

/// A TestScript.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Script {
    /// The same as the name of its file.
    pub(super) id: String,
    #[serde(default)]
    extension: Vec<Extension>,
    #[serde(default)]
    contained: Vec<Value>,
    #[serde(default)]
    pub(super) fixture: Vec<Fixture>,
    #[serde(default)]
    pub(super) variable: Vec<Variable>,
    #[serde(default)]
    pub(super) setup: Steps,
    #[serde(default)]
    pub(super) test: Vec<Test>,
    #[serde(default)]
    pub(super) teardown: Steps,
    /// Where it was read, if it did not come with the program.
    #[serde(skip)]
    folder: Option<PathBuf>,
}

/// A resource that the script brings with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fixture {
    pub(super) id: String,
    #[serde(default)]
    pub(super) autocreate: bool,
    resource: Reference,
}

#[derive(Debug, Clone, Deserialize)]
struct Reference {
    reference: String,
}

/// A name that stands for a value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) default_value: Option<String>,
    pub(super) expression: Option<String>,
    pub(super) header_field: Option<String>,
    pub(super) path: Option<String>,
    pub(super) source_id: Option<String>,
    #[serde(default)]
    extension: Vec<Extension>,
}

/// What is done, in order.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Steps {
    #[serde(default)]
    pub(super) action: Vec<Action>,
}

/// One test.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Test {
    pub(super) name: String,
    #[serde(default)]
    extension: Vec<Extension>,
    #[serde(default)]
    pub(super) action: Vec<Action>,
}

/// One step of a test: either of the two.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Action {
    pub(super) operation: Option<Operation>,
    pub(super) assert: Option<Assert>,
}

/// A request to be made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    #[serde(rename = "type", default)]
    kind: Kind,
    pub(super) resource: Option<String>,
    pub(super) label: Option<String>,
    pub(super) accept: Option<String>,
    pub(super) content_type: Option<String>,
    #[serde(default = "yes")]
    pub(super) encode_request_url: bool,
    pub(super) method: Option<String>,
    pub(super) params: Option<String>,
    #[serde(default)]
    pub(super) request_header: Vec<Header>,
    pub(super) request_id: Option<String>,
    pub(super) response_id: Option<String>,
    pub(super) source_id: Option<String>,
    pub(super) target_id: Option<String>,
    pub(super) url: Option<String>,
    #[serde(default)]
    extension: Vec<Extension>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Kind {
    #[serde(default)]
    code: String,
}

/// A header to be sent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Header {
    pub(super) field: String,
    pub(super) value: String,
}

/// What must be true of an answer or of the request before it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assert {
    pub(super) label: Option<String>,
    pub(super) description: Option<String>,
    pub(super) direction: Option<String>,
    pub(super) compare_to_source_id: Option<String>,
    pub(super) compare_to_source_expression: Option<String>,
    pub(super) compare_to_source_path: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) expression: Option<String>,
    pub(super) header_field: Option<String>,
    pub(super) minimum_id: Option<String>,
    #[serde(default)]
    pub(super) navigation_links: bool,
    pub(super) operator: Option<String>,
    pub(super) path: Option<String>,
    pub(super) request_method: Option<String>,
    #[serde(rename = "requestURL")]
    pub(super) request_url: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) response: Option<String>,
    pub(super) response_code: Option<String>,
    pub(super) source_id: Option<String>,
    pub(super) validate_profile_id: Option<String>,
    pub(super) value: Option<String>,
    #[serde(default)]
    pub(super) warning_only: bool,
    #[serde(default)]
    extension: Vec<Extension>,
}

/// An extension of ours, of which exactly one value is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    url: String,
    value_string: Option<String>,
    value_code: Option<String>,
    value_base64_binary: Option<String>,
    value_boolean: Option<bool>,
    #[serde(default, rename = "extension")]
    inner: Vec<Extension>,
}

/// For what a test is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Each {
    /// The variables that a row sets.
    pub(super) names: Vec<String>,
    /// Rows that are written out, their columns apart by [`COLUMN`].
    pub(super) rows: Vec<String>,
    /// Rows that the server's own CapabilityStatement gives.
    pub(super) expression: Option<String>,
}

/// What stands between the columns of a row.
pub(super) const COLUMN: &str = " => ";

fn yes() -> bool {
    true
}

fn ours<'a>(extensions: &'a [Extension], name: &'a str) -> impl Iterator<Item = &'a Extension> {
    extensions.iter().filter(move |extension| extension.url.strip_prefix(EXTENSIONS) == Some(name))
}

fn needs(extensions: &[Extension]) -> Vec<&str> {
    ours(extensions, "needs").filter_map(|extension| extension.value_string.as_deref()).collect()
}

impl Script {
    /// Reads a suite.
    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The same, with its fixtures in this folder.
    pub(super) fn lying_in(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self }
    }

    /// What the CapabilityStatement must say before anything of the script is tried.
    pub(super) fn needs(&self) -> Vec<&str> {
        needs(&self.extension)
    }

    /// The rows of the checklist that its tests prove.
    pub(super) fn rows(&self) -> Vec<String> {
        self.test.iter().flat_map(Test::rows).collect()
    }

    /// The resource of a fixture, contained or beside the suites.
    pub(super) fn resource(&self, fixture: &Fixture) -> Option<Value> {
        match fixture.resource.reference.strip_prefix('#') {
            Some(id) => self.contained.iter().find(|resource| resource["id"] == id).map(without_id),
            None => super::suites::fixture(&fixture.resource.reference, self.folder.as_deref()),
        }
    }
}

/// The id of a contained resource is only its name in the script.
fn without_id(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(object) = resource.as_object_mut() {
        object.shift_remove("id");
    }
    resource
}

impl Test {
    /// The rows of the checklist that it proves: the words that its name begins with.
    pub(super) fn rows(&self) -> Vec<String> {
        self.name.split(' ').take_while(|word| is_row(word)).map(str::to_owned).collect()
    }

    /// What it proves, in words.
    pub(super) fn sentence(&self) -> String {
        self.name.split(' ').skip_while(|word| is_row(word)).collect::<Vec<_>>().join(" ")
    }

    /// What the CapabilityStatement must say before it is tried.
    pub(super) fn needs(&self) -> Vec<&str> {
        needs(&self.extension)
    }

    /// For what it is repeated, outermost first.
    pub(super) fn each(&self) -> Vec<Each> {
        let each = |extension: &Extension| {
            let inner = |name: &str| -> Vec<String> {
                let found = extension.inner.iter().filter(|inner| inner.url == name);
                found.filter_map(|inner| inner.value_string.clone()).collect()
            };
            let names = inner("names").iter().flat_map(|names| names.split(' ')).map(str::to_owned).collect();
            Each { names, rows: inner("row"), expression: inner("expression").into_iter().next() }
        };
        ours(&self.extension, "each").map(each).collect()
    }
}

/// A letter and two digits.
fn is_row(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 3 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

impl Operation {
    /// Creates a fixture; from then on its name means what the server made of it.
    pub(super) fn autocreate(fixture: &str) -> Self {
        let prefer = Header { field: String::from("Prefer"), value: String::from("return=representation") };
        Self {
            kind: Kind { code: String::from("create") },
            encode_request_url: true,
            request_header: vec![prefer],
            response_id: Some(fixture.to_owned()),
            source_id: Some(fixture.to_owned()),
            ..Self::default()
        }
    }

    /// The code of its type; empty where only a method and an address are given.
    pub(super) fn code(&self) -> &str {
        &self.kind.code
    }

    /// A body that is no resource, as text or as base64.
    pub(super) fn body(&self) -> Option<Body<'_>> {
        let extension = ours(&self.extension, "body").next()?;
        let text = extension.value_string.as_deref().map(Body::Text);
        text.or_else(|| extension.value_base64_binary.as_deref().map(Body::Bytes))
    }
}

/// A body that is no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// Text; variables are put in.
    Text(&'a str),
    /// Bytes, in base64; they are sent as they are.
    Bytes(&'a str),
}

impl Variable {
    /// How its value is made anew for every run: `uuid` or `token`.
    pub(super) fn generated(&self) -> Option<&str> {
        ours(&self.extension, "generated").find_map(|extension| extension.value_code.as_deref())
    }
}

impl Assert {
    /// Whether it looks at the body as text.
    pub(super) fn of_body(&self) -> bool {
        ours(&self.extension, "body").any(|extension| extension.value_boolean == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tests_name_begins_with_its_rows() {
        let test: Test = serde_json::from_str(r#"{"name": "R10 S01 A read is R4"}"#).unwrap();
        assert_eq!(test.rows(), ["R10", "S01"]);
        assert_eq!(test.sentence(), "A read is R4");
        assert!(test.needs().is_empty() && test.each().is_empty());
    }
}
