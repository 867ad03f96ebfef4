//! Reads the parameters of a search into a [`Query`]: what was asked, what was used, what nobody knows, and every fault.
//! Follows <https://hl7.org/fhir/R4/search.html>.
//!
//! What cannot be understood is never dropped in silence: an unknown name is reported as unknown, a bad value is an issue.

use super::criterion;
use super::include::{self, Include};
use super::query::{By, Criterion, Key, Query, Sort};
use super::shape::Shape;
use super::value::{self, Fault};
use super::{Parameter, ParameterKind, parameter};
use crate::fhir::definitions;
use crate::fhir::outcome::Issue;

/// Entries on a page when nothing was asked.
pub const COUNT_DEFAULT: u32 = 50;
/// Entries on a page at most; a higher `_count` is taken as this.
pub const COUNT_MAX: u32 = 1_000;
/// Parameters of one search at most.
pub const PARAMETERS_MAX: usize = 100;
/// Alternatives, separated by commas, of one parameter at most.
pub const ALTERNATIVES_MAX: usize = 500;
/// Steps of one chain, `_has` counted, at most.
pub const HOPS_MAX: usize = 4;
/// Chains of one search at most; a chain over a reference to several types counts once for each.
pub const CHAINS_MAX: usize = 16;
/// `_include` and `_revinclude` of one search at most.
pub const INCLUDES_MAX: usize = 32;
/// Keys of `_sort` at most.
pub const SORT_KEYS_MAX: usize = 8;

/// A search as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What is looked for.
    pub query: Query,
    /// What of other resources is wanted beside it.
    pub includes: Vec<Include>,
    /// How much of each resource is wanted.
    pub shape: Shape,
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
        includes: Vec::new(),
        shape: Shape::Whole,
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
    parsed.agree();
    parsed
}

/// What was made of one parameter.
pub(super) enum Taken {
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
            Ok(Taken::Unknown) => self.pass_over(name.to_owned()),
            Err(fault) => {
                let words = format!("Search parameter {}: {}", shown(name), fault.words);
                self.issues.push(Issue::error(fault.code, fault.key, "", words));
            }
        }
    }

    fn pass_over(&mut self, name: String) {
        if !self.unknown.contains(&name) {
            self.unknown.push(name);
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
        if let Some(taken) = self.control(code, modifier, text)? {
            return Ok(taken);
        }
        let Some(criteria) = criterion::read(&self.query.kind, name, text)? else { return Ok(Taken::Unknown) };
        if criteria.is_empty() {
            return Ok(Taken::Empty);
        }
        self.query.criteria.extend(criteria);
        Ok(Taken::Used)
    }

    /// Parameters that say how to answer, not what to look for; `None` if it is none of them.
    fn control(&mut self, code: &str, modifier: Option<&str>, text: &str) -> Result<Option<Taken>, Fault> {
        let plain = ["_count", "_sort", "_total", "_summary", "_elements", "_format", "_pretty", "_contained", "_containedType"];
        if modifier.is_some() && plain.contains(&code) {
            return Err(value::invalid("invalid-modifier", "it takes no modifier"));
        }
        match code {
            "_count" => self.count(text)?,
            "_sort" => return self.sort(text).map(Some),
            "_total" => self.total(text)?,
            "_summary" => self.summary(text)?,
            "_elements" => return self.elements(text).map(Some),
            "_include" | "_revinclude" => return self.include(code == "_revinclude", modifier, text).map(Some),
            // Which format is spoken was settled before the search was read.
            "_format" | "_pretty" => {}
            "_contained" if text == "false" => {}
            // These narrow or widen what is found: to pass over them would answer with what was not asked for.
            "_text" | "_content" | "_list" | "_query" | "_filter" | "_contained" | "_containedType" => {
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

    fn summary(&mut self, text: &str) -> Result<(), Fault> {
        match text {
            "count" => {
                self.summary_count = true;
                self.query.total = true;
            }
            "false" => {}
            "true" => self.shape = Shape::Summary,
            "text" => self.shape = Shape::Text,
            "data" => self.shape = Shape::Data,
            _ => return Err(value::invalid("invalid-summary", "it must be true, text, data, count or false")),
        }
        Ok(())
    }

    fn elements(&mut self, text: &str) -> Result<Taken, Fault> {
        let mut names = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let prefix = format!("{}.", self.query.kind);
            let bare = name.strip_prefix(&prefix).unwrap_or(name);
            if !bare.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(value::invalid("invalid-elements", "it must be names of elements, separated by commas"));
            }
            let known = definitions::node(&self.query.kind).is_some_and(|node| node.element(bare).is_some());
            if known { names.push(bare.to_owned()) } else { self.pass_over(format!("_elements={bare}")) }
        }
        if names.is_empty() {
            return Ok(Taken::Empty);
        }
        self.used.push((String::from("_elements"), names.join(",")));
        self.shape = Shape::Elements(names);
        Ok(Taken::Empty)
    }

    fn include(&mut self, reverse: bool, modifier: Option<&str>, text: &str) -> Result<Taken, Fault> {
        let iterate = match modifier {
            None => false,
            // `recurse` is what the standard called it before.
            Some("iterate" | "recurse") => true,
            Some(_) => return Err(value::invalid("invalid-modifier", "it takes no modifier but :iterate")),
        };
        if self.includes.len() >= INCLUDES_MAX {
            return Err(value::too_costly(&format!("a search may have up to {INCLUDES_MAX} of them")));
        }
        let Some(include) = include::read(&self.query.kind, reverse, iterate, text.trim())? else {
            self.pass_over(format!("{}={}", if reverse { "_revinclude" } else { "_include" }, shown(text)));
            return Ok(Taken::Empty);
        };
        if !self.includes.contains(&include) {
            self.includes.push(include);
        }
        Ok(Taken::Used)
    }

    /// The keys that can be sorted by give the order; one that cannot is reported as unknown.
    fn sort(&mut self, text: &str) -> Result<Taken, Fault> {
        let mut keys = Vec::new();
        let mut used = Vec::new();
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
            match sort_key(&self.query.kind, code) {
                Some(by) => {
                    keys.push(Key { by, descending });
                    used.push(key);
                }
                None => self.pass_over(format!("_sort={}", shown(key))),
            }
        }
        if keys.len() > SORT_KEYS_MAX {
            return Err(value::too_costly(&format!("a search is sorted by up to {SORT_KEYS_MAX} keys")));
        }
        if !keys.is_empty() {
            self.query.sort = Sort::Keys(keys);
            self.used.push((String::from("_sort"), used.join(",")));
        }
        Ok(Taken::Empty)
    }

    /// What only the whole of the search tells.
    fn agree(&mut self) {
        if self.shape == Shape::Text && !self.includes.is_empty() {
            let words = "_summary=text cannot be asked for together with _include or _revinclude.";
            self.issues.push(Issue::error("invalid", "invalid-summary", "", words));
        }
        let chains: usize = self.query.criteria.iter().map(chains).sum();
        if chains > CHAINS_MAX {
            let words = format!("A search may follow up to {CHAINS_MAX} chains of references; this one follows {chains}.");
            self.issues.push(Issue::error("too-costly", "too-many-chains", "", words));
        }
    }
}

fn chains(criterion: &Criterion) -> usize {
    match criterion {
        Criterion::Chain(_) => 1,
        Criterion::Either(any) => any.iter().map(chains).sum(),
        _ => 0,
    }
}

fn sort_key(kind: &str, code: &str) -> Option<By> {
    match code {
        "_id" => return Some(By::Id),
        "_lastUpdated" => return Some(By::Updated),
        _ => {}
    }
    let parameter = parameter(kind, code).filter(|parameter| is_served(parameter))?;
    let number = parameter.alias_of.unwrap_or(parameter.number);
    match parameter.kind {
        ParameterKind::Date => Some(By::Date(number)),
        ParameterKind::Token | ParameterKind::String | ParameterKind::Reference | ParameterKind::Uri => Some(By::Word(number)),
        ParameterKind::Number | ParameterKind::Quantity => Some(By::Amount(number)),
        ParameterKind::Composite | ParameterKind::Special => None,
    }
}

/// Whether searches by this parameter are answered; it is what the CapabilityStatement names.
#[must_use]
pub fn is_served(parameter: &Parameter) -> bool {
    parameter.supported && !parameter.is_column && parameter.kind != ParameterKind::Special
}

/// The name as it may be repeated to its sender: short, and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(64).collect()
}
