//! What the engine answers, on a small patient of our own; and that what is hostile only fails.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use proptest::proptest;
use serde_json::{Value, json};

use super::{Context, Error, Expression, Item, Node};
use crate::fhir::definitions;

fn patient() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/path/patient.json")).unwrap()
}

/// The answers as texts, split by bars.
fn answer(text: &str, value: &Value, context: &Context<'_>) -> String {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let items = expression.evaluate(context, value).unwrap_or_else(|error| panic!("{text}: {error}"));
    items.iter().map(|item| item.plain().to_string()).collect::<Vec<_>>().join("|")
}

#[test]
fn every_case_of_our_own_gives_what_it_says() {
    let patient = patient();
    let cases = include_str!("../../../tests/data/path/cases.txt");
    let mut faults = Vec::new();
    for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (text, wanted) = line.split_once(" => ").unwrap();
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let utc = TimeZone::UTC;
        let context = Context::new().with_clock(1_790_000_000_000, &utc);
        let found = match expression.evaluate(&context, &patient) {
            Ok(items) => items.iter().map(|item| item.plain().to_string()).collect::<Vec<_>>().join("|"),
            Err(_) => String::from("!"),
        };
        if found != wanted {
            faults.push(format!("{text}: {found}, wanted {wanted}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_no_expression_says_where() {
    for (text, at) in
        [("", 0), ("name.", 5), ("name..given", 5), ("1 +", 3), ("a = 'x", 5), ("nope()", 0), ("x is Banana", 5), ("#", 0)]
    {
        assert!(matches!(Expression::parse(text), Err(Error::Syntax { at: found, .. }) if found == at), "{text}");
    }
    assert!(Expression::parse("name.where()").is_err());
    assert!(Expression::parse("'a'.matches('(')").is_err());
    // Each of these signs repeats the one before: to make it ready would take the stack.
    let nested = format!("'2024-01-01'.replaceMatches('(\\\\d+)-(\\\\d{})', '$2.$1')", "+".repeat(200));
    assert!(Expression::parse(&nested).is_err());
}

#[test]
fn hostile_expressions_only_fail() {
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(Expression::parse(&deep), Err(Error::Bound(_))));
    assert!(matches!(Expression::parse(&"-".repeat(10_000)), Err(Error::Bound(_))));
    assert!(matches!(Expression::parse(&"x".repeat(100_000)), Err(Error::Bound(_))));
    let value = patient();
    let long = format!("1{}", "+1".repeat(10_000));
    let long = Expression::parse(&long).unwrap();
    assert!(long.evaluate(&Context::new(), &value).is_ok());
    let path = Expression::parse(&format!("name{}", ".first()".repeat(5_000))).unwrap();
    assert!(path.evaluate(&Context::new(), &value).is_ok());
    let growing = format!("'x'{}", ".replace('', 'xxxxxxxxxxxxxxxx')".repeat(100));
    let growing = Expression::parse(&growing).unwrap();
    assert!(matches!(growing.evaluate(&Context::new(), &value), Err(Error::Bound(_))));
    let endless = Expression::parse("(1).repeat($this + 1)").unwrap();
    assert!(matches!(endless.evaluate(&Context::new(), &value), Err(Error::Bound(_))));
    let doubling = format!("descendants(){}", ".select($this | %resource.descendants())".repeat(20));
    let doubling = Expression::parse(&doubling).unwrap();
    assert!(matches!(doubling.evaluate(&Context::new(), &value), Err(Error::Bound(_))));
}

#[test]
fn the_deepest_expression_fits_on_a_small_stack() {
    let value = patient();
    for (open, close) in [("where(", ")"), ("(", ")"), ("iif(true, ", ")"), ("select(true and ", ")"), ("-", "")] {
        let depth = (1..super::DEPTH_MAX).rev().find_map(|depth| {
            let text = format!("{}name.exists(){}", open.repeat(depth), close.repeat(depth));
            Expression::parse(&text).ok()
        });
        let expression = depth.unwrap();
        let answer = std::thread::scope(|scope| {
            let small = std::thread::Builder::new().stack_size(1 << 20);
            let run = || expression.evaluate(&Context::new(), &value).map(|items| items.len());
            small.spawn_scoped(scope, run).unwrap().join().unwrap()
        });
        assert!(!matches!(answer, Err(Error::Bound(_))), "{open}");
    }
}

proptest! {
    /// Words thrown together at random parse or not, and give an answer or an error, but never a panic.
    #[test]
    fn random_expressions_never_panic(words in proptest::collection::vec(0..WORDS.len(), 1..24), text in "\\PC{0,24}") {
        let value = patient();
        let _ = Expression::parse(&text);
        let text: String = words.into_iter().map(|at| WORDS[at]).collect::<Vec<_>>().join(" ");
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.evaluate(&Context::new().with_clock(0, &TimeZone::UTC), &value);
        }
    }

    /// The same of chains that always parse.
    #[test]
    fn random_chains_never_panic(heads in proptest::collection::vec((0..HEADS.len(), 0..CALLS.len(), 0..OPERATORS.len()), 1..6)) {
        let value = patient();
        let part = |(head, call, operator): (usize, usize, usize)| format!("{}{} {} ", HEADS[head], CALLS[call], OPERATORS[operator]);
        let text = format!("{}1", heads.into_iter().map(part).collect::<String>());
        let expression = Expression::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let _ = expression.evaluate(&Context::new().with_clock(0, &TimeZone::UTC), &value);
    }
}

const WORDS: &[&str] = &[
    "name",
    "given",
    ".",
    "(",
    ")",
    "[",
    "]",
    "{}",
    "where",
    "'x'",
    "1",
    "-1.5",
    "@2024-02",
    "@T10",
    "1 'mg'",
    "3 days",
    "and",
    "is",
    "as",
    "Patient",
    "String",
    "$this",
    "%resource",
    "|",
    "=",
    "<",
    "+",
    "-",
    "&",
    ",",
    "exists",
    "matches",
    "'('",
    "%",
    "$",
    "`",
    "//",
    "/*",
];

const HEADS: &[&str] = &[
    "name",
    "birthDate",
    "'aé|b'",
    "5",
    "1.50",
    "9223372036854775807",
    "123456789012345678901234567890.5",
    "@2024-02-29",
    "@2024",
    "@T10:30",
    "@9999-12-31T23:59:59Z",
    "@0001-01-01",
    "2 'mg'",
    "3 days",
    "{}",
    "active",
    "telecom.rank",
    "descendants()",
    "(1 | 2 | 2.0 | 'a')",
    "%resource",
];

const CALLS: &[&str] = &[
    "",
    ".substring(1, 9)",
    ".round(2)",
    ".lowBoundary()",
    ".highBoundary(4)",
    ".toString()",
    ".toQuantity()",
    ".toDecimal()",
    ".toDateTime()",
    ".power(70)",
    ".sqrt()",
    ".ln()",
    ".abs()",
    ".first()",
    ".skip(9)",
    ".distinct()",
    ".type()",
    ".split('|')",
    ".join('-')",
    ".encode('hex')",
    ".decode('base64')",
    ".unescape('json')",
    ".matches('[a-z]')",
    ".replaceMatches('.', '$1')",
    ".aggregate($total | $this)",
    ".sort(-$this)",
    ".repeat(children())",
    ".precision()",
    ".exp()",
    ".truncate()",
    ".resolve()",
    ".indexOf('b')",
    ".combine(name)",
    ".ofType(Quantity)",
];

const OPERATORS: &[&str] =
    &["+", "-", "*", "/", "div", "mod", "=", "!=", "~", "<", ">=", "|", "&", "and", "or", "xor", "implies", "in", "contains"];

#[test]
fn a_function_that_is_not_there_is_named() {
    let expression = Expression::parse("code.memberOf('http://x')").unwrap();
    assert_eq!(expression.evaluate(&Context::new(), &patient()).map(|_| ()), Err(Error::Unsupported("memberOf")));
}

#[test]
fn names_and_references_come_from_the_context() {
    let value = patient();
    let other = json!({"resourceType": "Organization", "id": "1", "name": "Acme"});
    let resolver = HashMap::from([(String::from("Organization/1"), other)]);
    let context = Context::new().with_resolver(&resolver).with("limit", vec![Item::Integer(2)]);
    assert_eq!(answer("managingOrganization.resolve().name", &value, &context), "Acme");
    assert_eq!(answer("%limit + 1", &value, &context), "3");
    assert_eq!(answer("generalPractitioner.resolve().name.family", &value, &context), "Careful");
    let unknown = Expression::parse("%nobody").unwrap();
    assert!(matches!(unknown.evaluate(&context, &value), Err(Error::Meaning(_))));
    let guess = Context::new().guessing_targets();
    assert_eq!(answer("managingOrganization.where(resolve() is Organization).exists()", &value, &guess), "true");
    assert_eq!(answer("managingOrganization.where(resolve() is Patient).exists()", &value, &guess), "false");
}

#[test]
fn an_element_can_be_the_focus() {
    let period = json!({"start": "2024-05-02", "end": "2024-05-01"});
    let rule = Expression::parse("start.hasValue().not() or end.hasValue().not() or (start <= end)").unwrap();
    assert_eq!(rule.allows(&Context::new(), Node::element(&period, "Period")), Ok(false));
    let vague = json!({"start": "2024-05-02", "end": "2024-05"});
    assert_eq!(rule.allows(&Context::new(), Node::element(&vague, "Period")), Ok(true));
    assert_eq!(rule.holds(&Context::new(), Node::element(&vague, "Period")), Ok(false));
    let extra = json!({"extension": [{"url": "http://x", "valueCode": "y"}]});
    let given = Expression::parse("hasValue() or (children().count() > id.count())").unwrap();
    assert_eq!(given.holds(&Context::new(), Node::primitive(None, Some(&extra), "date")), Ok(true));
    assert_eq!(given.holds(&Context::new(), Node::primitive(None, None, "date")), Ok(false));
}

#[test]
fn a_slip_is_found_when_asked_to_be_strict() {
    let value = patient();
    let slip = Expression::parse("Patient.nmae.given").unwrap();
    assert!(slip.evaluate(&Context::new(), &value).is_ok_and(|items| items.is_empty()));
    assert!(matches!(slip.evaluate(&Context::new().strictly(), &value), Err(Error::Meaning(_))));
}

#[test]
fn every_invariant_of_the_standard_is_read() {
    let faults: Vec<String> = definitions::invariants()
        .iter()
        .filter_map(|invariant| Expression::parse(invariant.expression).err().map(|error| format!("{}: {error}", invariant.key)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
