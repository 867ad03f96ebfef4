//! What an operation is given: parameters of the address, of a Parameters body, or both.
//! Follows <https://hl7.org/fhir/R4/operations.html#executing>.

use std::collections::HashSet;

use serde_json::Value;

use super::body;
use super::call::Call;
use super::given::{ONCE, wrong};
use super::operations::Asked;
use super::outcome::Refusal;
use crate::check;
use crate::fhir::search::pairs;

/// What the definitions of these operations let repeat; of everything else one is given.
const REPEATABLE: [&str; 9] = [
    "property",
    "dependency",
    "designation",
    "exclude-system",
    "system-version",
    "check-system-version",
    "force-system-version",
    "tx-resource",
    "useSupplement",
];

/// The parameters of an operation, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    all: Vec<(String, Value)>,
}

/// A code with its system, as a parameter gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Coded {
    /// Empty when it was not said.
    pub(super) system: String,
    /// The code.
    pub(super) code: String,
    /// What the sender calls it.
    pub(super) display: Option<String>,
}

impl Inputs {
    /// Reads them. A bare resource in the body is the parameter `resource_name`, where the operation has one.
    pub(super) async fn read(call: &Call<'_>, asked: Asked<'_>, resource_name: Option<&str>) -> Result<Self, Refusal> {
        let inputs = Self::all(call, asked, resource_name).await?;
        match inputs.repeated() {
            Some(name) => Err(wrong(name, ONCE)),
            None => Ok(inputs),
        }
    }

    /// The first parameter that is given again and may not be. What every request may have (`_format`) is none of the operation's.
    fn repeated(&self) -> Option<&str> {
        let mut seen = HashSet::new();
        let single =
            self.all.iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with('_') && !REPEATABLE.contains(name));
        single.into_iter().find(|name| !seen.insert(*name))
    }

    async fn all(call: &Call<'_>, asked: Asked<'_>, resource_name: Option<&str>) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        for (name, value) in pairs(call.query.unwrap_or_default()).map_err(|issue| vec![issue])? {
            all.push((name, Value::String(value)));
        }
        let bytes_max = call.door.settings.resource_bytes_max;
        let Some(bytes) = body::asked(call, asked.method, asked.body, bytes_max).await? else { return Ok(Self { all }) };
        let mut sent = check::sized_resource(&bytes, bytes_max, None)?.value;
        match resource_name {
            _ if sent["resourceType"] == "Parameters" => {
                let list = sent["parameter"].as_array_mut().map(std::mem::take).unwrap_or_default();
                all.extend(list.into_iter().filter_map(named));
            }
            Some(name) => all.push((name.to_owned(), sent)),
            None => return Err(Refusal::bad("no-parameters", "The operation takes a Parameters resource.")),
        }
        Ok(Self { all })
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.all.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// A parameter that is a text, a code or an address.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// All values of a parameter that may repeat.
    pub(super) fn texts<'i>(&'i self, name: &'i str) -> impl Iterator<Item = &'i str> {
        self.all.iter().filter(move |(own, _)| own == name).filter_map(|(_, value)| value.as_str())
    }

    /// A parameter that is true or false.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        value.as_bool().or_else(|| value.as_str()?.parse().ok())
    }

    /// A parameter that is a count.
    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok()).and_then(|number| usize::try_from(number).ok());
        number.map(Some).ok_or_else(|| Refusal::bad("invalid-count", format!("{name} must be a whole number, not below zero.")))
    }

    /// A parameter that is a resource or an element.
    pub(super) fn object(&self, name: &str) -> Option<&Value> {
        self.value(name).filter(|value| value.is_object())
    }

    /// The codes that are asked about: `code` with `system`, `coding` or `codeableConcept`, as the operation names them.
    pub(super) fn coded(&self, code: &str) -> Vec<Coded> {
        let one = |coding: &Value| {
            let word = |key: &str| coding[key].as_str().map(ToOwned::to_owned);
            Some(Coded { system: word("system").unwrap_or_default(), code: word("code")?, display: word("display") })
        };
        if let Some(concept) = self.object("codeableConcept") {
            return concept["coding"].as_array().into_iter().flatten().filter_map(one).collect();
        }
        if let Some(coding) = self.object("coding") {
            return one(coding).into_iter().collect();
        }
        // Over an address a coding is written `system|code`.
        if let Some((system, code)) = self.text("coding").and_then(|coding| coding.rsplit_once('|')) {
            return vec![Coded { system: system.to_owned(), code: code.to_owned(), display: None }];
        }
        let system = self.text("system").unwrap_or_default().to_owned();
        let display = self.text("display").map(ToOwned::to_owned);
        self.text(code).map(|code| Coded { system, code: code.to_owned(), display }).into_iter().collect()
    }
}

/// A parameter by its name: its value or its resource.
fn named(parameter: Value) -> Option<(String, Value)> {
    let Value::Object(map) = parameter else { return None };
    let name = map.get("name")?.as_str()?.to_owned();
    let value = map.into_iter().find(|(key, _)| key == "resource" || key.starts_with("value"))?;
    Some((name, value.1))
}
