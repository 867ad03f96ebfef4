//! What a rule demands of the facts: a FHIRPath expression and the facts it names.
//! Follows <https://hl7.org/fhir/R4/plandefinition-definitions.html#PlanDefinition.action.condition>.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use super::facts::{Ask, FACTS, Fact, Tells};
use crate::fhir::path::{Collection, Context, Expression, Form, Forms, Item, Names, Node};

/// What a condition may not do: what a reference leads to need not be loaded, and would pass for nothing.
const RESOLVE: &str = "resolve()";

/// Facts that are told by the resource alone.
const OWN: &[&str] = &["resource", "conclusions"];

/// Functions that ask what time it is.
const CLOCK: &[&str] = &["now(", "today(", "timeOfDay("];

/// Facts that are counted from all that was handed over.
const COUNTED: &[&str] = &["supplies", "adherence"];

/// An expression, read and ready.
#[derive(Debug)]
pub(crate) struct Condition {
    expression: Expression,
    facts: Vec<&'static Fact>,
    /// Those of its parts that the resource itself answers.
    own: Vec<Own>,
}

/// A part that must hold, and is answered by the resource it stands on.
#[derive(Debug)]
struct Own {
    expression: Expression,
    asks_time: bool,
}

impl Condition {
    /// Reads it; a sentence says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let expression = Expression::parse(text).map_err(|error| error.to_string())?;
        let packed: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        if packed.contains(RESOLVE) {
            return Err(String::from(
                "resolve() leads nowhere: a condition sees the resource itself and the facts that it names with %",
            ));
        }
        Ok(Self { expression, facts: named(text)?, own: own(text) })
    }

    /// What of it can never be, where it is asked of a resource of one of these types; each is a sentence.
    pub(super) fn misfits(&self, kinds: &[&str]) -> Vec<String> {
        let root = || -> Forms { (!kinds.is_empty()).then(|| kinds.iter().map(|kind| Form::of(kind)).collect()) };
        let names = |name: &str| {
            let fact = self.facts.iter().find(|fact| fact.name == name)?;
            match fact.tells {
                Tells::Trigger => root(),
                Tells::Resource(kind) => Some(vec![Form::of(kind)]),
                Tells::Parts(parts) => Some(vec![Form::Parts(fact.name, parts)]),
            }
        };
        self.expression.misfits(&root(), &names)
    }

    /// Whether it asks for the fact of this name.
    pub(super) fn names(&self, fact: &str) -> bool {
        self.facts.iter().any(|known| known.name == fact)
    }

    /// Kinds of resource that must be loaded for it.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.facts.iter().flat_map(|fact| fact.kinds.iter().copied())
    }

    /// Whether something of this kind may change what it says of the person. What was handed over is not loaded for it, but counted.
    pub(crate) fn reads(&self, kind: &str) -> bool {
        let counted = || kind == "MedicationDispense" && self.facts.iter().any(|fact| COUNTED.contains(&fact.name));
        self.kinds().any(|known| known == kind) || counted()
    }

    /// Whether it can be answered from a resource of this type alone, whatever else is known of the person.
    pub(crate) fn is_of_one(&self, kind: &str) -> bool {
        let own = |fact: &&Fact| is_own(fact) || (kind == "Patient" && ["patient", "age"].contains(&fact.name));
        self.facts.iter().all(own)
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        self.expression.text()
    }

    /// Whether it holds; what cannot be answered does not hold.
    pub(crate) fn holds(&self, ask: &Ask) -> bool {
        self.holds_by(&Answers::to(ask))
    }

    /// The same, by answers that other conditions share.
    pub(crate) fn holds_by(&self, answers: &Answers) -> bool {
        holds(&self.expression, answers, answers.ask.story.now)
    }

    /// The first of its parts that the resource itself does not meet, as of `then`: what else is known of the person is not asked. Where
    /// that time is not known, a part that asks the clock is passed over: time alone would make it fail.
    pub(crate) fn broken(&self, ask: &Ask, then: Option<i64>) -> Option<&str> {
        let mut told = self.own.iter().filter(|part| then.is_some() || !part.asks_time);
        let answers = Answers::to(ask);
        let broken = told.find(|part| !holds(&part.expression, &answers, then.unwrap_or(ask.story.now)))?;
        Some(broken.expression.text())
    }

    /// Whether it asks the resource itself for this status by its name, and has it so: what it asks of others, and what it shuts out, is
    /// not meant.
    pub(crate) fn means_status(&self, ask: &Ask, status: &str) -> bool {
        let literal = format!("'{status}'");
        let names = |part: &&Own| part.expression.text().contains("status") && part.expression.text().contains(&literal);
        self.own.iter().filter(names).any(|part| holds(&part.expression, &Answers::to(ask), ask.story.now))
    }
}

fn is_own(fact: &Fact) -> bool {
    OWN.contains(&fact.name)
}

/// Whether all of these hold.
pub(crate) fn all_hold<'c>(conditions: impl IntoIterator<Item = &'c Condition>, ask: &Ask) -> bool {
    let answers = Answers::to(ask);
    conditions.into_iter().all(|condition| condition.holds_by(&answers))
}

/// Whether an expression holds at this time.
fn holds(expression: &Expression, answers: &Answers, at: i64) -> bool {
    let ask = &answers.ask;
    let zone = super::supply::zone(ask.story, ask.resource);
    let context = Context::new().with_clock(at, zone).with_names(answers);
    expression.holds(&context, ask.resource).unwrap_or(false)
}

/// The parts of an expression that the resource itself answers; of one that cannot be taken apart, the whole or nothing.
fn own(text: &str) -> Vec<Own> {
    let read = |part: &&str| Expression::parse(part).ok().zip(named(part).ok());
    let parts = conjuncts(text);
    let parts = if parts.iter().all(|part| read(part).is_some()) { parts } else { vec![text] };
    let read = parts.iter().filter_map(|part| Some((*part, read(part)?)));
    let own = read.filter(|(_, (_, facts))| facts.iter().all(|fact| is_own(fact)));
    let asks_time = |part: &str| CLOCK.iter().any(|name| part.contains(name));
    own.map(|(part, (expression, _))| Own { expression, asks_time: asks_time(part) }).collect()
}

/// What stands between the outermost `and`s; the whole where something else joins it.
fn conjuncts(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut parts, mut from, mut at, mut depth) = (Vec::new(), 0, 0, 0_usize);
    while let Some(letter) = bytes.get(at) {
        match letter {
            b'\'' | b'`' | b'"' => {
                at += 1;
                while bytes.get(at).is_some_and(|inner| inner != letter) {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            letter if letter.is_ascii_alphabetic() => {
                let end = bytes[at..].iter().position(|letter| !letter.is_ascii_alphanumeric() && *letter != b'_');
                let end = end.map_or(bytes.len(), |length| at + length);
                match &bytes[at..end] {
                    b"or" | b"xor" | b"implies" if depth == 0 => return vec![text],
                    b"and" if depth == 0 => {
                        parts.push(text[from..at].trim());
                        from = end;
                    }
                    _ => {}
                }
                at = end - 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(text[from..].trim());
    parts
}

/// What the facts of conditions are for a candidate: each is found out when an expression comes to it, and once.
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    ask: Ask<'a>,
    /// One for each of [`FACTS`].
    told: [OnceCell<Vec<Cow<'a, Value>>>; FACTS.len()],
}

impl<'a> Answers<'a> {
    /// What is answered to this.
    pub(crate) fn to(ask: &Ask<'a>) -> Self {
        Self { ask: *ask, told: [const { OnceCell::new() }; FACTS.len()] }
    }
}

impl Names for Answers<'_> {
    fn items(&self, name: &str) -> Option<Collection<'_>> {
        let (fact, values) = FACTS.iter().zip(&self.told).find(|(fact, _)| fact.name == name)?;
        let values = values.get_or_init(|| (fact.value)(&self.ask));
        Some(values.iter().map(|value| Item::Node(Node::resource(value))).collect())
    }
}

/// The facts an expression names; a name that is neither ours nor the standard's is a fault.
fn named(text: &str) -> Result<Vec<&'static Fact>, String> {
    const STANDARD: &[&str] = &["context", "rootResource", "ucum", "sct", "loinc"];
    let mut facts = Vec::new();
    for piece in text.split('%').skip(1) {
        let name: String = piece.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
        match FACTS.iter().find(|fact| fact.name == name) {
            Some(fact) => facts.push(fact),
            None if STANDARD.contains(&name.as_str()) => {}
            None => return Err(format!("%{name} is no fact that rules may ask for")),
        }
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_taken_apart_where_all_parts_must_hold() {
        for (text, expected) in [
            ("a = 1", vec!["a = 1"]),
            (
                "a = 1 and b.where(x = 'and' or y).exists() and (c and d)",
                vec!["a = 1", "b.where(x = 'and' or y).exists()", "(c and d)"],
            ),
            ("a and b or c", vec!["a and b or c"]),
            ("a and b implies c", vec!["a and b implies c"]),
            (r"a = 'it\'s (' and band", vec![r"a = 'it\'s ('", "band"]),
            ("b = '骨' and c", vec!["b = '骨'", "c"]),
        ] {
            assert_eq!(conjuncts(text), expected);
        }
    }

    #[test]
    fn what_the_resource_answers_is_told_from_what_else_is_read() {
        let own = |text: &str| -> Vec<(String, bool)> {
            own(text).iter().map(|part| (part.expression.text().to_owned(), part.asks_time)).collect()
        };
        let timeless = |text: &str| (text.to_owned(), false);
        assert_eq!(own("status = 'final' and %said.empty()"), [timeless("status = 'final'")]);
        assert_eq!(own("%resource.status = 'unknown'"), [timeless("%resource.status = 'unknown'")]);
        assert_eq!(own("issued > now() - 1 day and %age.years > 3"), [(String::from("issued > now() - 1 day"), true)]);
        assert_eq!(own("status = 'final' or %said.empty()"), []);
    }
}
