//! Who answers for a person: the pharmacist of their care team. Tasks and texts name them.
//! Follows <https://hl7.org/fhir/R4/careteam.html>.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::json::{each, local, term, text};
use super::{Resource, Story};

/// Codes of the role, in any system: SNOMED CT, the NUCC taxonomy, and the practitioner roles of the standard.
const ROLES: &[&str] = &["46255001", "183500000X", "pharmacist"];

/// What stands in a text for the pharmacist.
pub(super) const PLACE: &str = "{pharmacist}";

/// What is said in its place when nobody is known by name.
const UNNAMED: &[(&str, &str)] = &[("en", "your pharmacist"), ("zh", "您的药师")];

/// By whom a role is named: who has it, else where.
const BEHIND: [&str; 2] = ["practitioner", "organization"];

/// A pharmacist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pharmacist {
    /// `Practitioner/id` or `PractitionerRole/id`.
    pub(crate) reference: String,
    /// Their name, where it is known.
    pub(crate) name: Option<String>,
}

impl Pharmacist {
    /// As a Task names them.
    pub(crate) fn named(&self) -> Value {
        match &self.name {
            Some(name) => json!({"reference": self.reference, "display": name}),
            None => json!({"reference": self.reference}),
        }
    }
}

/// The pharmacist of the person's care team now; of several, the first of the first team by id.
pub(crate) fn of(story: &Story) -> Option<Pharmacist> {
    let mut teams: Vec<&Resource> = story.current("CareTeam").filter(|team| is_current(&team.value, story.now)).collect();
    teams.sort_by(|a, b| a.id.cmp(&b.id));
    let mut members = teams.iter().flat_map(|team| pharmacists(&team.value, story.now));
    let member = members.next()?;
    let reference = local(text(member, "reference")?)?;
    let stored = story.find(&reference).filter(|stored| !stored.deleted);
    let name = text(member, "display").map(str::to_owned).or_else(|| name(story, &stored?.value));
    Some(Pharmacist { reference, name })
}

/// `Type/id` of the pharmacists of these care teams, so that their names can be loaded.
#[must_use]
pub fn members(resources: &[Resource]) -> Vec<String> {
    let teams = resources.iter().filter(|resource| resource.kind == "CareTeam" && !resource.deleted);
    teams.flat_map(|team| pharmacists(&team.value, i64::MIN)).filter_map(|member| local(text(member, "reference")?)).collect()
}

/// `Type/id` of who stands behind these roles, and for whom they work, so that their names can be loaded, too.
pub(super) fn behind(resources: &[Resource]) -> Vec<String> {
    let roles = resources.iter().filter(|resource| resource.kind == "PractitionerRole" && !resource.deleted);
    let named = roles.flat_map(|role| BEHIND.iter().filter_map(|place| role.value.get(*place)));
    named.filter_map(|one| local(text(one, "reference")?)).collect()
}

/// Members in the role of a pharmacist whose time is not over.
fn pharmacists(team: &Value, now: i64) -> impl Iterator<Item = &Value> {
    let is_one =
        |role: &Value| each(role, "coding").iter().any(|coding| text(coding, "code").is_some_and(|code| ROLES.contains(&code)));
    let of_role = each(team, "participant").iter().filter(move |one| each(one, "role").iter().any(is_one));
    let current = of_role.filter(move |one| is_in(one, now));
    current.filter_map(|one| one.get("member")).filter(|member| {
        let kind = text(member, "reference").and_then(local);
        kind.is_some_and(|kind| kind.starts_with("Practitioner"))
    })
}

fn is_current(team: &Value, now: i64) -> bool {
    matches!(text(team, "status"), None | Some("active")) && is_in(team, now)
}

fn is_in(value: &Value, now: i64) -> bool {
    now == i64::MIN || term(value, now) == Ordering::Equal
}

/// The name of a Practitioner, or of who stands behind a PractitionerRole.
fn name(story: &Story, value: &Value) -> Option<String> {
    if text(value, "resourceType") != Some("PractitionerRole") {
        return called(value);
    }
    let stored = |one: &Value| story.find(&local(text(one, "reference")?)?).filter(|stored| !stored.deleted);
    let named = |one: &Value| text(one, "display").map(str::to_owned).or_else(|| called(&stored(one)?.value));
    BEHIND.iter().find_map(|place| value.get(*place).and_then(named))
}

/// What somebody, or an Organization, is called.
fn called(value: &Value) -> Option<String> {
    let name = value.get("name")?;
    if let Some(whole) = name.as_str() {
        return Some(whole.to_owned());
    }
    let name = name.get(0)?;
    if let Some(whole) = text(name, "text") {
        return Some(whole.to_owned());
    }
    let parts = each(name, "prefix").iter().chain(each(name, "given")).filter_map(Value::as_str);
    let whole: Vec<&str> = parts.chain(text(name, "family")).collect();
    (!whole.is_empty()).then(|| whole.join(" "))
}

/// The text with the pharmacist's name, or with who they are where it is not known.
pub(crate) fn named(said: &str, language: &str, story: &Story) -> String {
    if !said.contains(PLACE) {
        return said.to_owned();
    }
    let name = of(story).and_then(|pharmacist| pharmacist.name);
    let stem = language.split(['-', '_']).next().unwrap_or(language);
    let unnamed = UNNAMED.iter().find(|(known, _)| *known == stem).or_else(|| UNNAMED.first()).map_or("", |(_, words)| *words);
    let mut made = String::new();
    for (at, part) in said.split(PLACE).enumerate() {
        if at > 0 {
            match &name {
                Some(name) => made.push_str(name),
                None => made.push_str(&at_its_place(unnamed, &made)),
            }
        }
        made.push_str(part);
    }
    made
}

/// A word as it is written after this: a sentence begins with a capital.
fn at_its_place(word: &str, after: &str) -> String {
    let after = after.trim_end();
    let mut letters = word.chars();
    match letters.next().filter(|_| after.is_empty() || after.ends_with(['.', '!', '?'])) {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital() {
        for (after, expected) in [
            ("", "Your pharmacist"),
            ("Welcome. ", "Your pharmacist"),
            ("Ask ", "your pharmacist"),
            ("Well, ", "your pharmacist"),
        ] {
            assert_eq!(at_its_place("your pharmacist", after), expected, "{after}");
        }
        assert_eq!(at_its_place("您的药师", ""), "您的药师");
    }
}
