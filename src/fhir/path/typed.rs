//! What an expression can come to, told by the types alone: elements that are not there, and comparisons that never hold.
//! Follows <https://hl7.org/fhir/R4/fhirpath.html#types>.
//!
//! Where a type is not known for certain nothing is said: what is found here is wrong for every resource.

use crate::fhir::definitions::{self, Flavour};

use super::functions::Function as F;
use super::kinds;
use super::tree::{Kind, Link, Operator, Space, Step, Tree};

/// What stands at a place of an expression.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// An element or a resource of this type.
    Typed(&'static definitions::Node),
    /// What has these parts and no others, with its name.
    Parts(&'static str, &'static [(&'static str, Form)]),
    /// True or false.
    Boolean,
    /// A number.
    Number,
    /// A text.
    Text,
    /// Something of which nothing more is known.
    Other,
}

/// All that may stand at a place; nothing where that is not known.
pub type Forms = Option<Vec<Form>>;

/// What can be compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Boolean,
    Number,
    Text,
    /// What has elements, and is no value itself.
    Structure,
}

impl Form {
    /// A type or a resource by its name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        definitions::node(name).map_or(Self::Other, Self::Typed)
    }

    fn class(self) -> Option<Class> {
        match self {
            Self::Boolean => Some(Class::Boolean),
            Self::Number => Some(Class::Number),
            Self::Text => Some(Class::Text),
            Self::Other => None,
            Self::Typed(node) if node.flavour == Flavour::Primitive => match node.name {
                "boolean" => Some(Class::Boolean),
                name if kinds::is_a(name, "integer") || name == "decimal" => Some(Class::Number),
                name if kinds::is_a(name, "string") || kinds::is_a(name, "uri") => Some(Class::Text),
                _ => None,
            },
            // A quantity may have a number's worth.
            Self::Typed(node) if kinds::is_a(node.name, "Quantity") || node.flavour == Flavour::Abstract => None,
            Self::Typed(_) | Self::Parts(..) => Some(Class::Structure),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Typed(node) => node.name,
            Self::Parts(name, _) => name,
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Other => "something",
        }
    }

    fn said(self) -> String {
        match self {
            Self::Parts(name, _) => format!("%{name}"),
            other => other.name().to_owned(),
        }
    }

    fn is_same(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other) && self.name() == other.name()
    }
}

/// What may be several things may be each of them: a union of a union with itself is no more than it was.
fn each_once(forms: impl Iterator<Item = Form>) -> Vec<Form> {
    let mut found: Vec<Form> = Vec::new();
    for form in forms {
        if !found.iter().any(|known| known.is_same(form)) {
            found.push(form);
        }
    }
    found
}

/// Reads a tree and notes what can never be.
pub(super) struct Typing<'n> {
    root: Forms,
    names: &'n dyn Fn(&str) -> Forms,
    found: Vec<String>,
}

/// Everything that can never be, where the expression stands on one of these; `names` tells what a `%name` is.
pub(super) fn misfits(tree: &Tree, root: &Forms, names: &dyn Fn(&str) -> Forms) -> Vec<String> {
    let mut typing = Typing { root: root.clone(), names, found: Vec::new() };
    let told = typing.forms(tree, root);
    if matches!(tree, Tree::Boolean(false)) {
        typing.found.push(String::from("it never holds"));
    }
    if class(&told).is_some_and(|class| class != Class::Boolean) {
        let what = first(&told);
        typing.found.push(format!("it gives {what}, which is neither true nor false; say exists() if it shall be there"));
    }
    typing.found.dedup();
    typing.found
}

/// The first of these, in words.
fn first(forms: &Forms) -> String {
    forms.iter().flatten().next().map_or_else(|| String::from("something"), |form| form.said())
}

/// The one class of all that may be there.
fn class(forms: &Forms) -> Option<Class> {
    let mut classes = forms.iter().flatten().map(|form| form.class());
    let first = classes.next().flatten()?;
    classes.all(|other| other == Some(first)).then_some(first)
}

impl Typing<'_> {
    fn forms(&mut self, tree: &Tree, focus: &Forms) -> Forms {
        let one = |form| Some(vec![form]);
        match tree {
            Tree::Boolean(_) => one(Form::Boolean),
            Tree::Integer(_) | Tree::Decimal(_) | Tree::Index => one(Form::Number),
            Tree::Text(_) => one(Form::Text),
            Tree::Temporal(_) | Tree::Quantity(..) => one(Form::Other),
            Tree::This => focus.clone(),
            Tree::Variable(name) => match name.as_str() {
                "context" | "rootResource" => self.root.clone(),
                name => (self.names)(name),
            },
            Tree::Path(head, steps) => {
                let mut at = head.as_ref().map_or_else(|| focus.clone(), |head| self.forms(head, focus));
                for (number, step) in steps.iter().enumerate() {
                    at = self.step(&at, step, focus, number == 0 && head.is_none());
                }
                at
            }
            Tree::Chain(first, links) => {
                let mut left = self.forms(first, focus);
                for link in links {
                    left = self.link(left, link, focus);
                }
                left
            }
            Tree::Negated(inner) => self.forms(inner, focus),
            Tree::Empty | Tree::Total | Tree::Pattern(_) | Tree::Kind(_) => None,
        }
    }

    fn link(&mut self, left: Forms, link: &Link, focus: &Forms) -> Forms {
        let (operator, other) = match link {
            Link::Is(_) => return Some(vec![Form::Boolean]),
            Link::As(kind) => return narrowed(left, kind),
            Link::Binary(operator, other) => (*operator, other),
        };
        let right = self.forms(other, focus);
        if is_comparing(operator) {
            self.compared(&left, &right);
            return Some(vec![Form::Boolean]);
        }
        match operator {
            Operator::Implies | Operator::Or | Operator::Xor | Operator::And | Operator::In | Operator::Contains => {
                Some(vec![Form::Boolean])
            }
            Operator::Union => left.zip(right).map(|(left, right)| each_once(left.into_iter().chain(right))),
            Operator::Join => Some(vec![Form::Text]),
            _ => None,
        }
    }

    /// What is never equal, and never more or less than the other.
    fn compared(&mut self, left: &Forms, right: &Forms) {
        let Some((_, other)) = class(left).zip(class(right)).filter(|(one, other)| one != other) else { return };
        let (one, other) = if other == Class::Structure { (right, left) } else { (left, right) };
        self.found.push(format!("{} is compared with {}, which never holds", first(one), first(other)));
    }

    fn step(&mut self, input: &Forms, step: &Step, focus: &Forms, first: bool) -> Forms {
        match step {
            Step::Member(name) => self.member(input, name, first),
            Step::Call(function, arguments) => self.call(input, *function, arguments, focus),
            Step::At(index) => {
                self.forms(index, focus);
                input.clone()
            }
        }
    }

    /// The elements of this name; that none of all that may be there has one is told.
    fn member(&mut self, input: &Forms, name: &str, first: bool) -> Forms {
        let input = input.as_ref().filter(|input| !input.is_empty())?;
        let may_be_kind = first && name.starts_with(|letter: char| letter.is_ascii_uppercase());
        let mut found: Vec<Form> = Vec::new();
        let mut add = |form: Form| {
            if !found.iter().any(|known| known.is_same(form)) {
                found.push(form);
            }
        };
        for form in input {
            match form {
                Form::Typed(node) if may_be_kind && kinds::is_a(node.name, name) => add(*form),
                Form::Typed(node) if node.flavour == Flavour::Abstract => return None,
                Form::Typed(node) => node.choices(name).iter().for_each(|key| add(Form::Typed(key.node()))),
                Form::Parts(_, parts) => parts.iter().filter(|(known, _)| *known == name).for_each(|(_, form)| add(*form)),
                Form::Boolean | Form::Number | Form::Text | Form::Other => return None,
            }
        }
        if !found.is_empty() {
            return Some(found);
        }
        self.found.push(lacking(input, name));
        None
    }

    fn call(&mut self, input: &Forms, function: F, arguments: &[Tree], focus: &Forms) -> Forms {
        let inner = match function {
            F::Where | F::Exists | F::All | F::Select | F::Sort | F::Iif => input.clone(),
            F::Repeat | F::Aggregate | F::Trace => None,
            _ => focus.clone(),
        };
        let told: Vec<Forms> = arguments.iter().map(|argument| self.forms(argument, &inner)).collect();
        match function {
            F::Select => told.into_iter().next().flatten(),
            F::OfType | F::As => match arguments.first() {
                Some(Tree::Kind(kind)) => narrowed(input.clone(), kind),
                _ => None,
            },
            F::Extension => Some(vec![Form::of("Extension")]),
            _ if SOME_OF_IT.contains(&function) => input.clone(),
            _ => GIVEN.iter().find(|(_, functions)| functions.contains(&function)).map(|(form, _)| vec![*form]),
        }
    }
}

/// Functions that give some of what they are asked of.
const SOME_OF_IT: &[F] = &[
    F::Where,
    F::First,
    F::Last,
    F::Tail,
    F::Skip,
    F::Take,
    F::Single,
    F::Distinct,
    F::Sort,
    F::Trace,
    F::Exclude,
    F::Intersect,
];

/// What functions give, whatever they are asked of; nothing is known of those that do not stand here.
const GIVEN: &[(Form, &[F])] = &[
    (Form::Number, &[F::Count, F::Length, F::IndexOf, F::ToInteger, F::ToDecimal]),
    (Form::Text, &[F::ToString, F::Upper, F::Lower, F::Trim, F::Substring, F::Replace, F::ReplaceMatches, F::Join]),
    (Form::Boolean, &[F::All, F::AllTrue, F::AllFalse, F::AnyTrue, F::AnyFalse, F::Empty, F::Exists, F::Not, F::Is, F::HasValue]),
    (Form::Boolean, &[F::Contains, F::StartsWith, F::EndsWith, F::Matches, F::MatchesFull, F::IsDistinct, F::SubsetOf]),
    (Form::Other, &[F::Now, F::Today, F::TimeOfDay, F::ToDate, F::ToDateTime]),
];

fn is_comparing(operator: Operator) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Equal | O::NotEqual | O::Equivalent | O::NotEquivalent | O::Less | O::LessOrEqual | O::Greater | O::GreaterOrEqual
    )
}

/// What of these is of the type; nothing is known of what only may be.
fn narrowed(forms: Forms, kind: &Kind) -> Forms {
    if kind.space == Some(Space::System) {
        return None;
    }
    let is_of = |form: &Form| match form {
        Form::Typed(node) => kinds::is_a(node.name, &kind.name),
        _ => false,
    };
    forms.map(|forms| forms.into_iter().filter(is_of).collect::<Vec<_>>()).filter(|kept| !kept.is_empty())
}

/// The sentence about an element that none of these has.
fn lacking(input: &[Form], name: &str) -> String {
    let mut names: Vec<&str> = input.iter().map(|form| form.name()).collect();
    names.sort_unstable();
    names.dedup();
    let choice = input.iter().find_map(|form| match form {
        Form::Typed(node) => node.key(name).map(|key| (node.element_of(key).name, key.kind)),
        _ => None,
    });
    if let Some((element, kind)) = choice {
        return format!("{} has no element {name}: it is called {element}.ofType({kind})", names.join(" or "));
    }
    if let [Form::Parts(of, parts)] = input {
        let parts: Vec<&str> = parts.iter().map(|(part, _)| *part).collect();
        return format!("%{of} has no part {name}, but {}", parts.join(", "));
    }
    format!("{} has no element {name}", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::path::Expression;

    const PARTS: &[(&str, Form)] = &[("days", Form::Number), ("step", Form::Text)];

    fn misfits(kind: &str, text: &str) -> Vec<String> {
        let names = |name: &str| (name == "supply").then(|| vec![Form::Parts("supply", PARTS)]);
        Expression::parse(text).unwrap().misfits(&Some(vec![Form::of(kind)]), &names)
    }

    #[test]
    fn what_can_never_be_is_told() {
        for (kind, text, expected) in [
            ("DiagnosticReport", "stauts = 'final'", "DiagnosticReport has no element stauts"),
            ("Observation", "code.coding.where(sytem = 'x').exists()", "Coding has no element sytem"),
            (
                "Observation",
                "valueQuantity.value > 3",
                "Observation has no element valueQuantity: it is called value.ofType(Quantity)",
            ),
            ("Observation", "code = '38269-7'", "CodeableConcept is compared with a text, which never holds"),
            ("Observation", "'38269-7' != code", "CodeableConcept is compared with a text, which never holds"),
            (
                "Observation",
                "code.coding.code",
                "it gives code, which is neither true nor false; say exists() if it shall be there",
            ),
            ("Observation", "false", "it never holds"),
            ("MedicationDispense", "%supply.dayz > 3", "%supply has no part dayz, but days, step"),
            ("MedicationDispense", "%supply.days > '3'", "a number is compared with a text, which never holds"),
            (
                "MedicationDispense",
                "subject.reference.exists() and Patient.id.exists()",
                "MedicationDispense has no element Patient",
            ),
            ("Observation", "value.ofType(Quantity).vaule > 1", "Quantity has no element vaule"),
            ("Observation", "status = 'final' and component.exists(valeu > 1)", "Observation.component has no element valeu"),
        ] {
            assert_eq!(misfits(kind, text), [expected], "{text}");
        }
    }

    #[test]
    fn what_may_be_is_passed() {
        for (kind, text) in [
            ("Observation", "status = 'final' and Observation.code.coding.exists(system = 'x' and code = 'y')"),
            ("Observation", "value > 140 or value.ofType(Quantity).value > 140 or value.coding.code = 'x'"),
            ("Observation", "value.as(Quantity).unit = 'mm' or (value as Quantity).value > 3"),
            ("Observation", "effective > today() - 30 days and issued > now() - 1 day"),
            ("Observation", "contained.where(id = 'x').anything.exists()"),
            ("Observation", "subject.resolve().name.exists()"),
            ("Observation", "extension('urn:x').value.code = 'y' or code.text.contains('x')"),
            ("MedicationDispense", "statusReason.coding.where(code = 'outofstock').exists()"),
            ("MedicationDispense", "%supply.days > 7 and %supply.step = 'own median' and %other.thing = 1"),
            ("MedicationDispense", "quantity > 30 and iif(true, status, 'x') = 'y'"),
            ("Patient", "name.select(given | family).first() = 'x' and telecom.count() > 1 and active"),
            ("Patient", "birthDate.toString().substring(0, 4) > '1990' and descendants().where(system = 'x').exists()"),
        ] {
            assert_eq!(misfits(kind, text), [] as [&str; 0], "{text}");
        }
    }

    // Each link would double what it may be: a megabyte of rule is not a gigabyte of forms.
    #[test]
    fn a_union_with_itself_is_no_more_than_it_was() {
        let links = ".select($this | $this)".repeat(64);
        assert_eq!(misfits("Observation", &format!("status{links}.exists()")), [] as [&str; 0]);
    }
}
