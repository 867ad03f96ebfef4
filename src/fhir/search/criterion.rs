//! Reads one parameter that narrows a search: a plain one, a composite, a chain over references, or `_has`.
//! Follows <https://hl7.org/fhir/R4/search.html#chaining>, `#has` and `#composite`.

use super::compartment::compartment;
use super::parse::{ALTERNATIVES_MAX, CHAINS_MAX, HOPS_MAX, is_served};
use super::query::{Chain, Criterion, Hop, Sight, Word};
use super::value::{self, Fault, invalid};
use super::{Parameter, ParameterKind, number, parameter};
use crate::fhir::definitions::{is_resource, node};

/// What must hold for a parameter of this name, all of it; nothing for an empty value, `None` if the type does not have it.
pub(super) fn read(kind: &str, name: &str, text: &str) -> Result<Option<Vec<Criterion>>, Fault> {
    read_at(kind, name, text, 0)
}

/// What must hold for a resource of this type to lie in a compartment; `None` if none of the type ever does.
#[must_use]
pub fn within(of: &str, id: &str, kind: &str) -> Option<Criterion> {
    // Whose compartment it is lies in it, whether the definition says so (`{def}`) or not.
    let itself = (of == kind).then(|| Criterion::Id(vec![id.to_owned()]));
    let mut any: Vec<Criterion> = itself.into_iter().collect();
    for code in compartment(of, kind) {
        let Some(parameter) = parameter(kind, code) else { continue };
        let one = Criterion::Word { parameter: rows_of(parameter), any: vec![Word::Is(format!("{of}/{id}"))] };
        if !any.contains(&one) {
            any.push(one);
        }
    }
    match any.len() {
        0 => None,
        1 => any.pop(),
        _ => Some(Criterion::Either(any)),
    }
}

/// The parameter whose rows are asked.
fn rows_of(parameter: &Parameter) -> u32 {
    parameter.alias_of.unwrap_or(parameter.number)
}

fn read_at(kind: &str, name: &str, text: &str, hops: usize) -> Result<Option<Vec<Criterion>>, Fault> {
    if let Some(rest) = name.strip_prefix("_has:") {
        return has(rest, text, deeper(hops)?);
    }
    if let Some((head, rest)) = name.split_once('.') {
        return chain(kind, head, rest, text, deeper(hops)?);
    }
    let (code, modifier) = match name.split_once(':') {
        Some((code, modifier)) => (code, Some(modifier)),
        None => (name, None),
    };
    if modifier == Some("missing") && matches!(code, "_id" | "_lastUpdated") {
        // Every resource has both.
        let none = value::flag(text)?;
        return Ok(Some(vec![Criterion::Updated(value::dates(if none { "lt0001" } else { "ge0001" })?)]));
    }
    match code {
        "_id" => {
            let ids = value::ids(modifier, text)?;
            bounded(ids.len())?;
            return Ok(Some(if ids.is_empty() { Vec::new() } else { vec![Criterion::Id(ids)] }));
        }
        "_lastUpdated" => {
            value::no_modifier(modifier)?;
            let any = value::dates(text)?;
            bounded(any.len())?;
            return Ok(Some(if any.is_empty() { Vec::new() } else { vec![Criterion::Updated(any)] }));
        }
        "_has" => return Err(invalid("invalid-chain", "it is written _has:Type:parameter:parameter=value")),
        _ => {}
    }
    let Some(parameter) = parameter(kind, code).filter(|parameter| is_served(parameter)) else { return Ok(None) };
    plain(kind, parameter, modifier, text).map(Some)
}

fn deeper(hops: usize) -> Result<usize, Fault> {
    if hops >= HOPS_MAX {
        return Err(value::too_costly(&format!("a chain has up to {HOPS_MAX} steps")));
    }
    Ok(hops + 1)
}

fn bounded(alternatives: usize) -> Result<(), Fault> {
    if alternatives > ALTERNATIVES_MAX {
        return Err(value::too_costly(&format!("up to {ALTERNATIVES_MAX} alternatives are searched at once")));
    }
    Ok(())
}

/// What a parameter without any chain looks for.
fn plain(kind: &str, parameter: &Parameter, modifier: Option<&str>, text: &str) -> Result<Vec<Criterion>, Fault> {
    if modifier == Some("missing") {
        let missing = value::flag(text)?;
        if parameter.kind == ParameterKind::Composite {
            return Err(value::not_supported(":missing is asked of its components"));
        }
        return Ok(is_missing(parameter, missing));
    }
    if parameter.kind == ParameterKind::Composite {
        value::no_modifier(modifier)?;
        return composite(kind, parameter, text);
    }
    let number = rows_of(parameter);
    let word = |any: Vec<Word>| Criterion::Word { parameter: number, any };
    let seen = |any: Vec<Sight>| Criterion::Seen { parameter: parameter.number, any };
    let criteria = match (parameter.kind, modifier) {
        (ParameterKind::Date, _) => {
            value::no_modifier(modifier)?;
            vec![Criterion::Date { parameter: number, any: value::dates(text)? }]
        }
        (ParameterKind::Number | ParameterKind::Quantity, _) => {
            value::no_modifier(modifier)?;
            let any = number::amounts(text, parameter.kind == ParameterKind::Quantity)?;
            vec![Criterion::Amount { parameter: number, any }]
        }
        (ParameterKind::Token, Some("not")) => vec![Criterion::Not(Box::new(word(value::tokens(parameter, None, text)?)))],
        (ParameterKind::Token, Some("text")) => vec![seen(value::texts(text)?.into_iter().map(Sight::Text).collect())],
        (ParameterKind::Token, Some("of-type")) => {
            let any = value::typed(text)?;
            vec![word(value::values_of(&any)), seen(any)]
        }
        (ParameterKind::Token, _) => vec![word(value::tokens(parameter, modifier, text)?)],
        (ParameterKind::String, Some("exact")) => {
            let any = value::exact(text)?;
            // The folded word leads to the text, which is then compared as it was written.
            vec![
                word(any.iter().map(|text| Word::Is(super::normalized(text))).collect()),
                seen(any.into_iter().map(Sight::Exact).collect()),
            ]
        }
        (ParameterKind::String, Some("contains")) => {
            let any = value::texts(text)?;
            let words = any.iter().map(|text| Word::Holds(super::normalized(text))).collect();
            vec![word(words), seen(any.into_iter().map(Sight::Contains).collect())]
        }
        (ParameterKind::String, _) => {
            value::no_modifier(modifier)?;
            let any = value::texts(text)?;
            let words = word(value::strings(&any));
            // Of what is longer than the words that are kept, only the text itself tells whether it goes on so.
            let is_cut = any.iter().any(|text| text.chars().count() > super::STRING_MAX);
            [words].into_iter().chain(is_cut.then(|| seen(any.into_iter().map(Sight::Begins).collect()))).collect()
        }
        (ParameterKind::Reference, _) => vec![word(value::references(parameter, modifier, text)?)],
        _ => vec![word(value::uris(parameter, modifier, text)?)],
    };
    let alternatives = criteria.iter().map(alternatives).max().unwrap_or_default();
    bounded(alternatives)?;
    Ok(if alternatives > 0 { criteria } else { Vec::new() })
}

/// `:missing`. A reference to what is contained leaves no row, for nobody can ask for it from outside; still it is there.
fn is_missing(parameter: &Parameter, missing: bool) -> Vec<Criterion> {
    let number = parameter.number;
    let row = Criterion::Missing { parameter: number, missing };
    if parameter.kind != ParameterKind::Reference {
        return vec![row];
    }
    let contained = Criterion::Seen { parameter: number, any: vec![Sight::Contained] };
    if missing { vec![row, Criterion::Not(Box::new(contained))] } else { vec![Criterion::Either(vec![row, contained])] }
}

fn alternatives(criterion: &Criterion) -> usize {
    match criterion {
        Criterion::Id(any) => any.len(),
        Criterion::Updated(any) | Criterion::Date { any, .. } => any.len(),
        Criterion::Word { any, .. } => any.len(),
        Criterion::Amount { any, .. } => any.len(),
        Criterion::Seen { any, .. } => any.len(),
        Criterion::Composite { any, .. } => any.len(),
        Criterion::Not(inner) => alternatives(inner),
        Criterion::Missing { .. } | Criterion::Either(_) | Criterion::Chain(_) => 1,
    }
}

/// `code$value`: each component is read as its own parameter; of a single alternative each is asked alone, too, since an
/// index knows it.
fn composite(kind: &str, composite: &Parameter, text: &str) -> Result<Vec<Criterion>, Fault> {
    let mut any = Vec::new();
    for alternative in value::alternatives(text) {
        let parts = value::cut(alternative, '$');
        if parts.len() != composite.components.len() || parts.iter().any(|part| part.trim().is_empty()) {
            let names: Vec<&str> = composite.components.iter().map(|component| component.code).collect();
            return Err(invalid("invalid-composite", format!("it is written {}", names.join("$"))));
        }
        let mut all = Vec::with_capacity(parts.len());
        for (component, part) in composite.components.iter().zip(parts) {
            let of = parameter(kind, component.code).ok_or_else(|| value::not_supported("a component of it is not known"))?;
            match <[Criterion; 1]>::try_from(plain(kind, of, None, part)?) {
                Ok([one]) => all.push(one),
                Err(_) => return Err(invalid("invalid-composite", "each of its parts needs a value")),
            }
        }
        any.push(all);
    }
    bounded(any.len())?;
    let mut criteria = match any.as_slice() {
        [] => return Ok(Vec::new()),
        [one] => one.clone(),
        _ => first_words(&any).into_iter().collect(),
    };
    criteria.push(Criterion::Composite { parameter: composite.number, any });
    Ok(criteria)
}

/// The words of the first components of all alternatives, where all of them are words.
fn first_words(any: &[Vec<Criterion>]) -> Option<Criterion> {
    let mut joined: Option<(u32, Vec<Word>)> = None;
    for parts in any {
        let Some(Criterion::Word { parameter, any }) = parts.first() else { return None };
        joined.get_or_insert_with(|| (*parameter, Vec::new())).1.extend(any.iter().cloned());
    }
    joined.map(|(parameter, any)| Criterion::Word { parameter, any })
}

/// `subject:Patient.identifier`, of which `head` stands before the first dot.
fn chain(kind: &str, head: &str, rest: &str, text: &str, hops: usize) -> Result<Option<Vec<Criterion>>, Fault> {
    let (code, target) = match head.split_once(':') {
        Some((code, target)) => (code, Some(target)),
        None => (head, None),
    };
    let Some(parameter) = parameter(kind, code).filter(|parameter| is_served(parameter)) else { return Ok(None) };
    if parameter.kind != ParameterKind::Reference {
        return Err(invalid("invalid-chain", "only a reference can be followed by a dot"));
    }
    by_name(parameter)?;
    let targets: Vec<&'static str> = match target {
        Some(target) => vec![value::target_of(parameter, target)?],
        None if parameter.targets.is_empty() => {
            return Err(invalid("invalid-chain", format!("it may point to any type: say which, as in {code}:Patient.{rest}")));
        }
        None => parameter.targets.clone(),
    };
    let (mut ways, mut fault) = (Vec::new(), None);
    for target in targets {
        match read_at(target, rest, text, hops) {
            Ok(Some(last)) if last.is_empty() => return Ok(Some(Vec::new())),
            Ok(Some(last)) => ways.extend(lead(&Hop::To { parameter: rows_of(parameter), kind: target }, last)),
            Ok(None) => {}
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    joined(ways, fault)
}

/// Whether a parameter refers by type and id. Canonical addresses are not followed here: nothing would be found, without a word.
fn by_name(parameter: &Parameter) -> Result<(), Fault> {
    let words = "it holds canonical addresses, which chains do not follow: search by the address, or ask for _include";
    if parameter.is_canonical() { Err(value::not_supported(words)) } else { Ok(()) }
}

/// `_has:Type:parameter:rest`, without its first word.
fn has(name: &str, text: &str, hops: usize) -> Result<Option<Vec<Criterion>>, Fault> {
    let mut parts = name.splitn(3, ':');
    let (Some(kind), Some(code), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(invalid("invalid-chain", "it is written _has:Type:parameter:parameter=value"));
    };
    let Some(kind) = node(kind).map(|node| node.name).filter(|kind| is_resource(kind)) else {
        return Err(invalid("invalid-chain", "its first part must be a resource type"));
    };
    let Some(parameter) = parameter(kind, code).filter(|parameter| is_served(parameter)) else { return Ok(None) };
    if parameter.kind != ParameterKind::Reference {
        return Err(invalid("invalid-chain", "its second part must be a reference parameter of that type"));
    }
    by_name(parameter)?;
    match read_at(kind, rest, text, hops)? {
        None => Ok(None),
        Some(last) if last.is_empty() => Ok(Some(last)),
        Some(last) => joined(lead(&Hop::From { kind, parameter: rows_of(parameter) }, last), None),
    }
}

/// Puts a step before what must hold at its end; ways that go on from there begin with it.
fn lead(hop: &Hop, last: Vec<Criterion>) -> Vec<Chain> {
    match last.as_slice() {
        [Criterion::Chain(chain)] => vec![before(hop, chain)],
        [Criterion::Either(any)] => {
            let led = |one: &Criterion| match one {
                Criterion::Chain(chain) => before(hop, chain),
                other => Chain { hops: vec![hop.clone()], last: vec![other.clone()] },
            };
            any.iter().map(led).collect()
        }
        _ => vec![Chain { hops: vec![hop.clone()], last }],
    }
}

fn before(hop: &Hop, chain: &Chain) -> Chain {
    Chain { hops: std::iter::once(hop).chain(&chain.hops).cloned().collect(), last: chain.last.clone() }
}

fn joined(ways: Vec<Chain>, fault: Option<Fault>) -> Result<Option<Vec<Criterion>>, Fault> {
    if ways.len() > CHAINS_MAX {
        return Err(value::too_costly(&format!(
            "up to {CHAINS_MAX} chains are followed at once; name the types, as in subject:Patient"
        )));
    }
    let mut ways: Vec<Criterion> = ways.into_iter().map(Criterion::Chain).collect();
    match (ways.len(), fault) {
        (0, Some(fault)) => Err(fault),
        (0, None) => Ok(None),
        (1, _) => Ok(ways.pop().map(|one| vec![one])),
        _ => Ok(Some(vec![Criterion::Either(ways)])),
    }
}
