//! Lists the codes of a value set, where they can be listed.
//! Follows <https://hl7.org/fhir/R4/valueset-operation-expand.html>.

use std::cell::Cell;
use std::collections::HashSet;

use super::set::{By, Part, Set, Walk};
use super::{Member, Terms};

/// An expansion lists so many codes at most.
pub const CODES_MAX: usize = 20_000;

/// So many steps are taken for one expansion: codes, the sets that take each of them in or out, filters, concepts above.
pub const STEPS_MAX: usize = 2_000_000;

/// A code of an expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Its system.
    pub system: String,
    /// The code.
    pub code: String,
    /// What it is called; empty when nobody says it.
    pub display: String,
    /// Whether it is only a heading.
    pub is_abstract: bool,
}

/// The codes of a set, in the order of its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The codes, each once.
    pub codes: Vec<Code>,
    /// The code systems that were used, `url` or `url|version`.
    pub used: Vec<String>,
}

/// Why a set cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpandable {
    /// This value set is not known here.
    NoSet(String),
    /// This code system is not known here.
    NoSystem(String),
    /// Of this code system only a part is here.
    PartOnly(String),
    /// A filter of this code system is none that is understood.
    Filter(String),
    /// It has more codes than [`CODES_MAX`].
    TooMany,
    /// Sets name each other too deep, or in a circle.
    TooDeep,
    /// To list it takes more than [`STEPS_MAX`].
    TooCostly,
}

impl Terms {
    /// The codes of a set.
    pub fn expand(&self, set: &Set) -> Result<Expansion, Unexpandable> {
        self.expand_within(set, STEPS_MAX)
    }

    /// The codes of a set, if it takes no more steps to list them.
    pub(super) fn expand_within(&self, set: &Set, steps: usize) -> Result<Expansion, Unexpandable> {
        let mut expansion = Expansion::default();
        self.expand_into(set, &mut expansion, &mut HashSet::new(), Walk::new(&Cell::new(steps)))?;
        Ok(expansion)
    }

    fn expand_into(
        &self,
        set: &Set,
        expansion: &mut Expansion,
        seen: &mut HashSet<(String, String)>,
        at: Walk<'_>,
    ) -> Result<(), Unexpandable> {
        for part in &set.includes {
            if !at.goes_on() {
                return Err(if at.is_spent() { Unexpandable::TooCostly } else { Unexpandable::TooDeep });
            }
            for code in self.part(part, expansion, at)? {
                let mut is_excluded = false;
                for exclude in &set.excludes {
                    match exclude.has(self, Some(&code.system), &code.code, at) {
                        Member::Yes => is_excluded = true,
                        Member::Unknown if at.is_spent() => return Err(Unexpandable::TooCostly),
                        Member::Unknown => return Err(Unexpandable::NoSystem(exclude.system.clone())),
                        Member::No => {}
                    }
                }
                if is_excluded || !seen.insert((code.system.clone(), code.code.clone())) {
                    continue;
                }
                if expansion.codes.len() >= CODES_MAX {
                    return Err(Unexpandable::TooMany);
                }
                expansion.codes.push(code);
            }
        }
        Ok(())
    }

    /// The codes of one part.
    fn part(&self, part: &Part, expansion: &mut Expansion, at: Walk<'_>) -> Result<Vec<Code>, Unexpandable> {
        let codes = if part.system.is_empty() {
            let Some((first, _)) = part.sets.split_first() else { return Ok(Vec::new()) };
            let set = self.set(first).ok_or_else(|| Unexpandable::NoSet(first.clone()))?;
            let mut inner = Expansion::default();
            self.expand_into(&set, &mut inner, &mut HashSet::new(), at.deeper())?;
            inner.used.into_iter().for_each(|system| note(&mut expansion.used, system));
            inner.codes
        } else {
            self.of_system(part, expansion, at)?
        };
        if !at.spend(codes.len()) {
            return Err(Unexpandable::TooCostly);
        }
        let mut kept = Vec::with_capacity(codes.len());
        for code in codes {
            let mut is_in = true;
            for url in &part.sets {
                match self.member_at(url, Some(&code.system), &code.code, at.deeper()) {
                    Member::Yes => {}
                    Member::No => is_in = false,
                    Member::Unknown if at.is_spent() => return Err(Unexpandable::TooCostly),
                    Member::Unknown => return Err(Unexpandable::NoSet(url.clone())),
                }
            }
            if is_in {
                kept.push(code);
            }
        }
        Ok(kept)
    }

    fn of_system(&self, part: &Part, expansion: &mut Expansion, at: Walk<'_>) -> Result<Vec<Code>, Unexpandable> {
        let known = self.system(&part.system);
        note(
            &mut expansion.used,
            match &known {
                Some(known) if !known.version.is_empty() => format!("{}|{}", part.system, known.version),
                _ => part.system.clone(),
            },
        );
        let code = |code: &str, display: &str, is_abstract| Code {
            system: part.system.clone(),
            code: code.to_owned(),
            display: display.to_owned(),
            is_abstract,
        };
        if let Some(listed) = &part.listed {
            let one = |(own, display): &(String, String)| {
                let concept = known.as_ref().and_then(|known| known.concept(own));
                let display = if display.is_empty() { concept.map_or("", |concept| &concept.display) } else { display };
                code(own, display, concept.is_some_and(|concept| concept.is_abstract))
            };
            return Ok(listed.iter().map(one).collect());
        }
        let known = known.ok_or_else(|| Unexpandable::NoSystem(part.system.clone()))?;
        if !known.is_complete {
            return Err(Unexpandable::PartOnly(part.system.clone()));
        }
        if part.filters.iter().any(|filter| filter.by == By::Other) {
            return Err(Unexpandable::Filter(part.system.clone()));
        }
        let mut codes = Vec::new();
        for concept in &known.concepts {
            if !at.spend(1) {
                return Err(Unexpandable::TooCostly);
            }
            if part.filters.iter().all(|filter| filter.takes(&known, concept, at) == Member::Yes) {
                codes.push(code(&concept.code, &concept.display, concept.is_abstract));
            }
        }
        // What a filter could not find out may not be left out in silence.
        if at.is_spent() { Err(Unexpandable::TooCostly) } else { Ok(codes) }
    }
}

fn note(used: &mut Vec<String>, system: String) {
    if !used.contains(&system) {
        used.push(system);
    }
}
