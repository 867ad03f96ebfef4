//! The parameters of every type, read once from what is built in, with their expressions made ready.
//! Follows <https://hl7.org/fhir/R4/searchparameter-registry.html>.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};

use crate::fhir::definitions;
use crate::fhir::path::{Expression, Route};

use super::compartment::Member;
use super::leaf::Leaf;

/// The kinds of search parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// A code, with or without its system.
    Token,
    /// The beginning of a text.
    String,
    /// A moment or a stretch of time.
    Date,
    /// Another resource.
    Reference,
    /// A web address, compared as it is.
    Uri,
    /// A number.
    Number,
    /// A number with a unit.
    Quantity,
    /// Several parameters at once.
    Composite,
    /// With rules of its own.
    Special,
}

/// A search parameter of one type.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the parameter, and none excludes another")]
#[derive(Debug)]
pub struct Parameter {
    /// The name in a query: `birthdate`, `_tag`.
    pub code: &'static str,
    /// Its kind.
    pub kind: ParameterKind,
    /// The resource types that a reference parameter may name; empty means any.
    pub targets: Vec<&'static str>,
    /// The canonical address of its definition.
    pub url: &'static str,
    /// The key of its rows, stable over versions of the program: from the SHA-256 of `Type.code`.
    pub number: u32,
    /// Whether it can be searched by.
    pub supported: bool,
    /// Whether the store answers it from a column of its own (`_id`, `_lastUpdated`) and there are no rows.
    pub is_column: bool,
    /// Whether its tokens never have a system, so that one given in a query is not compared.
    pub is_systemless: bool,
    /// Whether a resource has one value of it at most.
    pub is_single: bool,
    /// Whether it is a token that every resource of the type must have. One without it has the row [`NONE`] instead, so that
    /// the rows of a parameter like this lead to all resources.
    ///
    /// [`NONE`]: super::NONE
    pub is_required: bool,
    /// The parameter whose rows it shares; a query asks that one with [`Self::targets`] as types.
    pub alias_of: Option<u32>,
    /// The parameters that a composite joins.
    pub components: Vec<Component>,
    /// The FHIRPath expression; `None` if it has none.
    pub expression: Option<&'static str>,
    pub(super) plan: Plan,
}

/// One of the parameters that a composite joins.
#[derive(Debug)]
pub struct Component {
    /// The code of the parameter that says how its part of a value is read.
    pub code: &'static str,
    /// Where it is found in the element in which the components meet; `None` if that cannot be read.
    pub(super) expression: Option<Expression>,
}

/// How a parameter's values are found in a resource.
#[derive(Debug)]
pub(super) enum Plan {
    /// Not at all.
    None,
    /// Straight through the JSON.
    Routes(Vec<(Route, Leaf)>),
    /// By the FHIRPath engine.
    Engine(Box<Expression>),
}

impl Parameter {
    /// Whether all that it finds are canonical addresses.
    pub(super) fn is_canonical(&self) -> bool {
        matches!(&self.plan, Plan::Routes(routes) if !routes.is_empty() && routes.iter().all(|(_, leaf)| matches!(leaf, Leaf::Canonical)))
    }
}

/// The parameters of a resource type, those of all types among them, by code; none for what is no resource type.
#[must_use]
pub fn parameters(kind: &str) -> &'static [Parameter] {
    TABLE.by_kind.get(kind).map_or(&[], Vec::as_slice)
}

/// The parameter of this code.
#[must_use]
pub fn parameter(kind: &str, code: &str) -> Option<&'static Parameter> {
    let all = parameters(kind);
    all.binary_search_by(|parameter| parameter.code.cmp(code)).ok().and_then(|at| all.get(at))
}

/// The parameter of this number.
#[must_use]
pub fn numbered(kind: &str, number: u32) -> Option<&'static Parameter> {
    parameters(kind).iter().find(|parameter| parameter.number == number)
}

/// The type and code of each parameter that cannot be searched by, those of all types under `Resource`.
#[must_use]
pub fn unsupported() -> &'static [(&'static str, &'static str)] {
    &TABLE.unsupported
}

pub(super) struct Table {
    by_kind: HashMap<&'static str, Vec<Parameter>>,
    unsupported: Vec<(&'static str, &'static str)>,
    pub(super) members: Vec<Member>,
}

/// One line of the built-in table.
struct Line {
    base: &'static str,
    code: &'static str,
    kind: ParameterKind,
    targets: &'static str,
    url: &'static str,
    expression: &'static str,
    components: &'static str,
}

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let (mut lines, mut members) = (Vec::new(), Vec::new());
    for line in unpack(include_bytes!("../../../profiles/r4/search.tsv.gz")).lines() {
        let columns: Vec<&'static str> = line.split('\t').collect();
        match columns.as_slice() {
            ["P", base, code, kind, targets, url, expression, components] => {
                let kind = read_kind(kind);
                lines.push(Line { base, code, kind, targets, url, expression, components });
            }
            ["C", compartment, kind, codes] => members.push(Member { compartment, kind, codes: codes.split(' ').collect() }),
            _ => {}
        }
    }
    members.sort_by_key(|member| (member.compartment, member.kind));
    let mut by_kind = HashMap::new();
    let mut unsupported = Vec::new();
    for kind in definitions::resource_names() {
        let mine = lines.iter().filter(|line| line.base == kind || is_everywhere(line.base));
        let mut all: Vec<Parameter> = mine.map(|line| parameter_of(kind, line)).collect();
        all.sort_by_key(|parameter| parameter.code);
        share(&mut all);
        for at in 0..all.len() {
            let broken = all.get(at).filter(|one| one.kind == ParameterKind::Composite).is_some_and(|one| !is_whole(one, &all));
            if let Some(composite) = all.get_mut(at).filter(|_| broken) {
                composite.supported = false;
            }
        }
        let missing = all.iter().filter(|parameter| !parameter.supported && !parameter.code.starts_with('_'));
        unsupported.extend(missing.map(|parameter| (kind, parameter.code)));
        by_kind.insert(kind, all);
    }
    let everywhere = by_kind.get("Basic").into_iter().flatten();
    let missing = everywhere.filter(|parameter| !parameter.supported && parameter.code.starts_with('_'));
    unsupported.extend(missing.map(|parameter| ("Resource", parameter.code)));
    unsupported.sort_unstable();
    Table { by_kind, unsupported, members }
});

fn is_everywhere(base: &str) -> bool {
    matches!(base, "Resource" | "DomainResource")
}

fn read_kind(text: &str) -> ParameterKind {
    match text {
        "token" => ParameterKind::Token,
        "string" => ParameterKind::String,
        "date" => ParameterKind::Date,
        "reference" => ParameterKind::Reference,
        "uri" => ParameterKind::Uri,
        "number" => ParameterKind::Number,
        "quantity" => ParameterKind::Quantity,
        "composite" => ParameterKind::Composite,
        _ => ParameterKind::Special,
    }
}

fn parameter_of(kind: &'static str, line: &Line) -> Parameter {
    let is_column = matches!(line.code, "_id" | "_lastUpdated");
    let plan = if is_column { Plan::None } else { plan(kind, line) };
    let is_single = matches!(&plan, Plan::Routes(routes) if Route::are_single(routes.iter().map(|(route, _)| route)));
    let is_required = line.kind == ParameterKind::Token
        && matches!(&plan, Plan::Routes(routes) if routes.iter().any(|(route, _)| route.is_required()));
    let is_systemless = matches!(&plan, Plan::Routes(routes) if routes.iter().all(|(_, leaf)| leaf.is_systemless()));
    Parameter {
        code: line.code,
        kind: line.kind,
        targets: line.targets.split(' ').filter(|target| !target.is_empty()).collect(),
        url: line.url,
        number: number(kind, line.code),
        supported: is_column || !matches!(plan, Plan::None),
        is_column,
        is_single,
        is_required,
        is_systemless: is_systemless && line.kind == ParameterKind::Token,
        alias_of: None,
        components: line.components.split(';').filter_map(|part| part.split_once('=')).map(component).collect(),
        expression: Some(line.expression).filter(|text| !text.is_empty()),
        plan,
    }
}

/// A component of a composite. `DateTime` is the engine's own type; what is meant is the standard's `dateTime`.
fn component((code, expression): (&'static str, &'static str)) -> Component {
    Component { code, expression: Expression::parse(&expression.replace("as(DateTime)", "as(dateTime)")).ok() }
}

/// Whether all that a composite joins can be searched by.
fn is_whole(composite: &Parameter, all: &[Parameter]) -> bool {
    let part = |part: &Component| {
        let of = all.iter().find(|parameter| parameter.code == part.code);
        part.expression.is_some() && of.is_some_and(|of| of.supported && of.kind != ParameterKind::Composite)
    };
    composite.components.len() > 1 && composite.components.iter().all(part)
}

/// The key of a parameter's rows.
fn number(kind: &str, code: &str) -> u32 {
    let digest = digest(&SHA256, format!("{kind}.{code}").as_bytes());
    let first = digest.as_ref().iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    first & 0x7fff_ffff
}

fn plan(kind: &str, line: &Line) -> Plan {
    if line.kind == ParameterKind::Special || line.expression.is_empty() {
        return Plan::None;
    }
    let Ok(expression) = Expression::parse(line.expression) else { return Plan::None };
    if line.kind == ParameterKind::Composite {
        return Plan::Engine(Box::new(expression));
    }
    let Some(routes) = expression.routes(kind) else { return Plan::Engine(Box::new(expression)) };
    let known = |route: Route| Leaf::of(line.kind, route.kind().name).map(|leaf| (route, leaf));
    let routes: Vec<(Route, Leaf)> = routes.into_iter().filter_map(known).collect();
    if routes.is_empty() { Plan::None } else { Plan::Routes(routes) }
}

/// Lets a reference parameter that only narrows another one's targets, as `patient` does `subject`, share its rows.
fn share(all: &mut [Parameter]) {
    for at in 0..all.len() {
        let found = all.iter().enumerate().find_map(|(other_at, other)| {
            let parameter = all.get(at).filter(|_| other_at != at)?;
            let both = parameter.kind == ParameterKind::Reference && other.kind == ParameterKind::Reference;
            if !both || other.alias_of.is_some() {
                return None;
            }
            let (Plan::Routes(mine), Plan::Routes(theirs)) = (&parameter.plan, &other.plan) else { return None };
            narrowing(mine, theirs).map(|target| (other.number, target))
        });
        if let (Some((number, target)), Some(parameter)) = (found, all.get_mut(at)) {
            parameter.alias_of = Some(number);
            if let Some(target) = target {
                parameter.targets = vec![target];
            }
        }
    }
}

/// The one type that the first routes keep of the second ones; `Some(None)` if they are the same.
#[expect(clippy::option_option, reason = "not alike, alike, and alike but for a type are three answers")]
fn narrowing(mine: &[(Route, Leaf)], theirs: &[(Route, Leaf)]) -> Option<Option<&'static str>> {
    if mine.len() != theirs.len() || mine.is_empty() {
        return None;
    }
    let pairs = || mine.iter().zip(theirs).map(|((mine, _), (theirs, _))| (mine, theirs));
    if pairs().all(|(mine, theirs)| mine.is_like(theirs)) {
        return Some(None);
    }
    let mut targets = pairs().map(|(mine, theirs)| mine.narrows(theirs));
    let first = targets.next()??;
    targets.all(|target| target == Some(first)).then_some(())?;
    definitions::node(first).map(|node| Some(node.name))
}

/// The text of the table, kept for the life of the program so that names can be slices of it.
#[expect(clippy::expect_used, reason = "the bytes are part of the binary and the tests read all of them")]
pub(super) fn unpack(packed: &[u8]) -> &'static str {
    let mut text = String::with_capacity(packed.len() * 16);
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("the built-in table is whole");
    text.leak()
}
