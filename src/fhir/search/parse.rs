//! Reads the parameters of a search into a [`Query`]: what was asked, what was used, what nobody knows, and every fault.
//! Follows <https://hl7.org/fhir/R4/search.html>.
//!
//! What cannot be understood is never dropped in silence: an unknown name is reported as unknown, a bad value is an issue.

use super::query::{Criterion, Query, Sort};
use super::value::{self, Fault};
use super::{Parameter, ParameterKind, parameter};
use crate::fhir::outcome::Issue;

/// Entries on a page when nothing was asked.
pub const COUNT_DEFAULT: u32 = 50;
/// Entries on a page at most; a higher `_count` is taken as this.
pub const COUNT_MAX: u32 = 1_000;
/// Parameters of one search at most.
pub const PARAMETERS_MAX: usize = 100;
/// Alternatives, separated by commas, of one parameter at most.
pub const ALTERNATIVES_MAX: usize = 500;

/// A search as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What is looked for.
    pub query: Query,
    /// The parameters that were understood, as they were given: what the self link states.
    pub used: Vec<(String, String)>,
    /// The names that were not understood, each once, and left out of the query.
    pub unknown: Vec<String>,
    /// What refuses the search.
    pub issues: Vec<Issue>,
    /// Whether only the number of matches is asked for (`_summary=count`, `_count=0`).
    pub summary_count: bool,
    /// Whether the client said that it needs no number of matches (`_total=none`).
    pub total_unwanted: bool,
}

/// Reads the parameters of a search of one type, already decoded from the address or the form.
#[must_use]
pub fn parse(kind: &str, pairs: &[(String, String)], _now: i64) -> Parsed {
    let query = Query {
        kind: kind.to_owned(),
        criteria: Vec::new(),
        sort: Sort::Natural,
        count: COUNT_DEFAULT,
        after: None,
        total: false,
    };
    let mut parsed = Parsed {
        query,
        used: Vec::with_capacity(pairs.len()),
        unknown: Vec::new(),
        issues: Vec::new(),
        summary_count: false,
        total_unwanted: false,
    };
    if pairs.len() > PARAMETERS_MAX {
        let words = format!("A search may have up to {PARAMETERS_MAX} parameters; this one has {}.", pairs.len());
        parsed.issues.push(Issue::error("too-costly", "too-many-parameters", "", words));
        return parsed;
    }
    for (name, text) in pairs {
        parsed.take(name, text);
    }
    parsed
}

/// What was made of one parameter.
enum Taken {
    /// It is part of the search.
    Used,
    /// It said nothing.
    Empty,
    /// Nobody knows it.
    Unknown,
}

impl Parsed {
    fn take(&mut self, name: &str, text: &str) {
        match self.understand(name, text) {
            Ok(Taken::Used) => self.used.push((name.to_owned(), text.to_owned())),
            Ok(Taken::Empty) => {}
            Ok(Taken::Unknown) => {
                if !self.unknown.iter().any(|known| known == name) {
                    self.unknown.push(name.to_owned());
                }
            }
            Err(fault) => {
                let words = format!("Search parameter {}: {}", shown(name), fault.words);
                self.issues.push(Issue::error(fault.code, fault.key, "", words));
            }
        }
    }

    fn understand(&mut self, name: &str, text: &str) -> Result<Taken, Fault> {
        if text.trim().is_empty() {
            return Ok(Taken::Empty);
        }
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        if code == "_has" || code.contains('.') || modifier.is_some_and(|modifier| modifier.contains('.')) {
            return Err(value::not_supported("chained searches and _has are not offered here"));
        }
        if let Some(taken) = self.control(code, modifier, text)? {
            return Ok(taken);
        }
        let Some(criterion) = criterion(&self.query.kind, code, modifier, text)? else { return Ok(Taken::Unknown) };
        let Some(criterion) = criterion.within_bounds()? else { return Ok(Taken::Empty) };
        self.query.criteria.push(criterion);
        Ok(Taken::Used)
    }

    /// Parameters that say how to answer, not what to look for; `None` if it is none of them.
    fn control(&mut self, code: &str, modifier: Option<&str>, text: &str) -> Result<Option<Taken>, Fault> {
        if modifier.is_some() && matches!(code, "_count" | "_sort" | "_total" | "_summary" | "_format" | "_pretty") {
            return Err(value::invalid("invalid-modifier", "it takes no modifier"));
        }
        match code {
            "_count" => self.count(text)?,
            "_sort" => return self.sort(text).map(Some),
            "_total" => self.total(text)?,
            "_summary" => return self.summary(text).map(Some),
            // Which format is spoken was settled before the search was read.
            "_format" | "_pretty" => {}
            // These narrow what is found: to pass over them would answer with what was not asked for.
            "_text" | "_content" | "_list" | "_query" | "_filter" => {
                return Err(value::not_supported("it is not offered here"));
            }
            _ => return Ok(None),
        }
        Ok(Some(Taken::Used))
    }

    fn count(&mut self, text: &str) -> Result<(), Fault> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(value::invalid("invalid-count", "it must be a whole number, 0 or more"));
        }
        // More digits than fit into a number are a count above the bound, too.
        let count = text.parse::<u32>().unwrap_or(u32::MAX).min(COUNT_MAX);
        if count == 0 {
            self.summary_count = true;
            self.query.total = true;
        }
        self.query.count = count.max(1);
        Ok(())
    }

    fn total(&mut self, text: &str) -> Result<(), Fault> {
        match text {
            "accurate" | "estimate" => self.query.total = true,
            "none" => self.total_unwanted = true,
            _ => return Err(value::invalid("invalid-total", "it must be none, estimate or accurate")),
        }
        Ok(())
    }

    fn summary(&mut self, text: &str) -> Result<Taken, Fault> {
        match text {
            "count" => {
                self.summary_count = true;
                self.query.total = true;
                Ok(Taken::Used)
            }
            "false" => Ok(Taken::Used),
            "true" | "text" | "data" => Ok(Taken::Unknown),
            _ => Err(value::invalid("invalid-summary", "it must be true, text, data, count or false")),
        }
    }

    /// The first key that can be sorted by gives the order; a key that cannot is reported as unknown.
    fn sort(&mut self, text: &str) -> Result<Taken, Fault> {
        let mut found = None;
        for key in text.split(',').map(str::trim).filter(|key| !key.is_empty()) {
            let (code, descending) = match key.strip_prefix('-') {
                Some(code) => (code, true),
                None => (key, false),
            };
            if code.is_empty() || code.contains(':') || code.starts_with('-') {
                return Err(value::invalid(
                    "invalid-sort",
                    "each key must be the name of a search parameter, with or without a minus",
                ));
            }
            match (&found, sort_key(&self.query.kind, code, descending)) {
                (None, Some(sort)) => found = Some((key, sort)),
                _ => self.unknown.push(format!("_sort={key}")),
            }
        }
        if let Some((key, sort)) = found {
            self.query.sort = sort;
            self.used.push((String::from("_sort"), key.to_owned()));
        }
        Ok(Taken::Empty)
    }
}

fn sort_key(kind: &str, code: &str, descending: bool) -> Option<Sort> {
    match code {
        "_id" => Some(Sort::Id { descending }),
        "_lastUpdated" => Some(Sort::Updated { descending }),
        code => parameter(kind, code)
            .filter(|parameter| parameter.kind == ParameterKind::Date && is_served(parameter))
            .map(|parameter| Sort::Date { parameter: parameter.number, descending }),
    }
}

/// What one parameter looks for; `None` if the type does not have it.
fn criterion(kind: &str, code: &str, modifier: Option<&str>, text: &str) -> Result<Option<Criterion>, Fault> {
    match code {
        "_id" => return value::ids(modifier, text).map(|ids| Some(Criterion::Id(ids))),
        "_lastUpdated" => {
            value::no_modifier(modifier)?;
            return value::dates(text).map(|any| Some(Criterion::Updated(any)));
        }
        _ => {}
    }
    let Some(parameter) = parameter(kind, code).filter(|parameter| is_served(parameter)) else { return Ok(None) };
    let number = parameter.alias_of.unwrap_or(parameter.number);
    if modifier == Some("missing") {
        let missing = value::flag(text)?;
        if parameter.alias_of.is_some() {
            // The shared rows cannot tell whether it points elsewhere or nowhere.
            return Err(value::not_supported(":missing is not offered for it"));
        }
        return Ok(Some(Criterion::Missing { parameter: number, dates: parameter.kind == ParameterKind::Date, missing }));
    }
    let words = match parameter.kind {
        ParameterKind::Date => {
            value::no_modifier(modifier)?;
            return value::dates(text).map(|any| Some(Criterion::Date { parameter: number, any }));
        }
        ParameterKind::Token => value::tokens(parameter, modifier, text)?,
        ParameterKind::String => value::strings(modifier, text)?,
        ParameterKind::Reference => value::references(parameter, modifier, text)?,
        _ => value::uris(modifier, text)?,
    };
    Ok(Some(Criterion::Word { parameter: number, any: words }))
}

/// Whether searches by this parameter are answered; it is what the CapabilityStatement names.
#[must_use]
pub fn is_served(parameter: &Parameter) -> bool {
    let kind = matches!(
        parameter.kind,
        ParameterKind::Token | ParameterKind::String | ParameterKind::Date | ParameterKind::Reference | ParameterKind::Uri
    );
    kind && parameter.supported && !parameter.is_column
}

impl Criterion {
    /// `None` when only empty alternatives were given, which say nothing.
    fn within_bounds(self) -> Result<Option<Self>, Fault> {
        let alternatives = match &self {
            Self::Id(any) => any.len(),
            Self::Updated(any) | Self::Date { any, .. } => any.len(),
            Self::Word { any, .. } => any.len(),
            Self::Missing { .. } => 1,
        };
        if alternatives > ALTERNATIVES_MAX {
            return Err(value::too_costly(&format!("up to {ALTERNATIVES_MAX} alternatives are searched at once")));
        }
        Ok((alternatives > 0).then_some(self))
    }
}

/// The name as it may be repeated to its sender: short, and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::query::{Compare, Word};
    use super::*;

    fn read(kind: &str, query: &str) -> Parsed {
        parse(kind, &super::super::pairs(query).unwrap(), 0)
    }

    fn words(kind: &str, query: &str) -> Vec<Word> {
        let parsed = read(kind, query);
        assert_eq!((&parsed.issues, &parsed.unknown), (&Vec::new(), &Vec::new()), "{query}");
        match parsed.query.criteria.as_slice() {
            [Criterion::Word { any, .. }] => any.clone(),
            other => panic!("{query}: {other:?}"),
        }
    }

    fn is(word: &str) -> Word {
        Word::Is(word.to_owned())
    }

    #[test]
    fn words_are_built_from_tokens_references_and_addresses() {
        let token = |system, code| Word::Is(crate::fhir::search::token(system, code));
        let any = |code| {
            let (low, high) = crate::fhir::search::code_range(code);
            Word::Between { low, high }
        };
        for (kind, query, expected) in [
            ("Patient", "identifier=urn:x%7C1", vec![token("urn:x", "1")]),
            ("Patient", "identifier=1,urn:x%7C2", vec![any("1"), token("urn:x", "2")]),
            ("Patient", "identifier=%7C1", vec![token("", "1")]),
            ("Patient", r"identifier=a\,b", vec![any("a,b")]),
            ("Patient", r"identifier=urn:x%7Ca\%7Cb", vec![token("urn:x", "a|b")]),
            ("Task", "status=http://hl7.org/fhir/task-status%7Crequested", vec![token("", "requested")]),
            ("Condition", "patient=1", vec![is("Patient/1")]),
            ("Condition", "patient=Patient/1/_history/2", vec![is("Patient/1")]),
            ("Condition", "subject=1", vec![is("Group/1"), is("Patient/1")]),
            ("Condition", "subject:Patient=1", vec![is("Patient/1")]),
            ("Condition", "subject=https://other.example/fhir/Patient/1", vec![is("https://other.example/fhir/Patient/1")]),
            ("Condition", "subject:identifier=urn:x%7C1", vec![is(&crate::fhir::search::identifier_reference("urn:x", "1"))]),
            ("ValueSet", "url=http://x/y", vec![is("http://x/y")]),
        ] {
            let mut found = words(kind, query);
            found.sort_by_key(|word| format!("{word:?}"));
            let mut expected = expected;
            expected.sort_by_key(|word| format!("{word:?}"));
            assert_eq!(found, expected, "{query}");
        }
        assert!(matches!(words("Patient", "family=M%C3%BCl").as_slice(), [Word::Between { low, .. }] if low.starts_with('m')));
    }

    #[test]
    fn dates_have_prefixes_and_whole_spans() {
        for (query, compare, low, high) in [
            ("birthdate=1970-01-01", Compare::Equal, 0, 86_400_000),
            ("birthdate=ge1970-01-01", Compare::GreaterOrEqual, 0, 86_400_000),
            ("birthdate=sa1970", Compare::StartsAfter, 0, 31_536_000_000),
            ("birthdate=ap1970-01-01T00:00Z", Compare::Approximately, 0, 60_000),
            ("birthdate=lt1970-01-01T08:00:00+08:00", Compare::Less, 0, 1_000),
            ("birthdate=lt1970-01-01T08:00:00%2B08:00", Compare::Less, 0, 1_000),
        ] {
            let parsed = read("Patient", query);
            let [Criterion::Date { any, .. }] = parsed.query.criteria.as_slice() else { panic!("{query}: {parsed:?}") };
            assert_eq!((any[0].compare, any[0].span.low, any[0].span.high), (compare, low, high), "{query}");
        }
        let parsed = read("Patient", "_lastUpdated=gt2024-01-01T00:00:00.000Z&_lastUpdated=lt2025");
        assert_eq!(parsed.query.criteria.len(), 2);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (kind, query, key) in [
            ("Patient", "birthdate=notadate", "invalid-prefix"),
            ("Patient", "birthdate=2023-02-30", "invalid-date"),
            ("Patient", "birthdate=xx2023", "invalid-prefix"),
            ("Patient", "birthdate=ge", "invalid-date"),
            ("Patient", "birthdate:exact=2023", "invalid-modifier"),
            ("Patient", "identifier=%7C", "invalid-token"),
            ("Patient", "identifier=a%7Cb%7Cc", "invalid-token"),
            ("Patient", "identifier=urn:x%7C", "search-not-supported"),
            ("Patient", r"identifier=a\b", "invalid-escape"),
            ("Patient", "identifier:not=1", "invalid-modifier"),
            ("Patient", "identifier:missing=yes", "invalid-missing"),
            ("Patient", "family=%20%CC%81", "invalid-string"),
            ("Patient", "_id=a/b", "invalid-id"),
            ("Patient", "_id:not=a", "invalid-modifier"),
            ("Patient", "_count=abc", "invalid-count"),
            ("Patient", "_count=-1", "invalid-count"),
            ("Patient", "_total=all", "invalid-total"),
            ("Patient", "_summary=x", "invalid-summary"),
            ("Patient", "_sort=--birthdate", "invalid-sort"),
            ("Patient", "_filter=name eq a", "search-not-supported"),
            ("Patient", "_has:Condition:patient:code=1", "search-not-supported"),
            ("Condition", "subject:Patient.identifier=1", "search-not-supported"),
            ("Condition", "patient.identifier=1", "search-not-supported"),
            ("Condition", "patient=Group/1", "invalid-reference"),
            ("Condition", "subject:Medication=1", "invalid-modifier"),
            ("Condition", "subject=a/b/c", "invalid-reference"),
            ("Condition", "subject:Patient=Group/1", "invalid-reference"),
            ("Condition", "subject:identifier=1", "invalid-token"),
        ] {
            let parsed = read(kind, query);
            let keys: Vec<&str> = parsed.issues.iter().map(|issue| issue.key).collect();
            assert_eq!(keys, [key], "{query}");
        }
        let many = vec![(String::from("identifier"), String::from("1")); PARAMETERS_MAX + 1];
        assert_eq!(parse("Patient", &many, 0).issues[0].key, "too-many-parameters");
        let wide = vec![(String::from("identifier"), "1,".repeat(ALTERNATIVES_MAX + 1))];
        assert_eq!(parse("Patient", &wide, 0).issues[0].key, "too-many-alternatives");
    }

    #[test]
    fn what_is_unknown_is_reported_and_what_is_empty_says_nothing() {
        let parsed = read("Patient", "shoe=9&shoe=10&identifier=&identifier=,&_summary=data&_format=json&value-quantity=1");
        assert_eq!(parsed.unknown, ["shoe", "_summary", "value-quantity"]);
        assert_eq!(parsed.used, [(String::from("_format"), String::from("json"))]);
        assert_eq!((parsed.query.criteria.len(), parsed.issues.len()), (0, 0));
    }

    #[test]
    fn how_to_answer_is_read() {
        let parsed = read("Patient", "_count=5000&_sort=-birthdate,shoe,_id&_total=accurate");
        let Sort::Date { descending: true, .. } = parsed.query.sort else { panic!("{:?}", parsed.query.sort) };
        assert_eq!((parsed.query.count, parsed.query.total), (COUNT_MAX, true));
        assert_eq!(parsed.unknown, ["_sort=shoe", "_sort=_id"]);
        assert!(parsed.used.contains(&(String::from("_sort"), String::from("-birthdate"))));
        for query in ["_count=0", "_summary=count"] {
            let parsed = read("Patient", query);
            assert!(parsed.summary_count && parsed.query.total && parsed.query.count > 0, "{query}");
        }
        assert!(read("Patient", "_total=none").total_unwanted);
        assert_eq!(read("Patient", "_sort=_lastUpdated").query.sort, Sort::Updated { descending: false });
        assert_eq!(read("Patient", "_sort=-_id").query.sort, Sort::Id { descending: true });
        assert_eq!(read("Patient", "").query.count, COUNT_DEFAULT);
    }
}
