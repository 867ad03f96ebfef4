//! What a query string is read as, and what is refused.

use super::parse::{
    ALTERNATIVES_MAX, COUNT_DEFAULT, COUNT_MAX, HOPS_MAX, INCLUDES_MAX, PARAMETERS_MAX, Parsed, SORT_KEYS_MAX, parse,
};
use super::query::{By, Compare, Criterion, Hop, Key, Sight, Sort, Word};
use super::shape::Shape;

fn read(kind: &str, query: &str) -> Parsed {
    parse(kind, &super::pairs(query).unwrap(), 0)
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
        ("Patient", r"identifier=a\b", "invalid-escape"),
        ("Patient", "identifier:in=urn:set", "invalid-modifier"),
        ("Patient", "identifier:of-type=urn:x%7CMR", "invalid-token"),
        ("Patient", "identifier:exact=1", "invalid-modifier"),
        ("Patient", "family:not=a", "invalid-modifier"),
        ("Condition", "code:below=1", "invalid-modifier"),
        ("Condition", "subject:above=1", "invalid-modifier"),
        ("Observation", "value-quantity=abc", "invalid-prefix"),
        ("Observation", "value-quantity=5%7Cmg", "invalid-quantity"),
        ("RiskAssessment", "probability=0.5%7C%7Cx", "invalid-number"),
        ("Observation", "code-value-quantity=1", "invalid-composite"),
        ("Observation", "code-value-quantity=1$", "invalid-composite"),
        ("Observation", "code-value-quantity=1$x", "invalid-prefix"),
        ("Observation", "code-value-quantity:missing=true", "search-not-supported"),
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
        ("Patient", "_has:Condition:patient=1", "invalid-chain"),
        ("Patient", "_has:Banana:patient:code=1", "invalid-chain"),
        ("Patient", "_has:Condition:code:code=1", "invalid-chain"),
        ("Patient", "_has=1", "invalid-chain"),
        ("Condition", "code.identifier=1", "invalid-chain"),
        ("Condition", "subject:Medication.identifier=1", "invalid-modifier"),
        ("Condition", "patient.birthdate=soon", "invalid-prefix"),
        ("Task", "focus.status=1", "too-many-alternatives"),
        ("Condition", "patient.organization.partof.partof.partof.name=1", "too-many-alternatives"),
        ("Patient", "_include=Patient", "invalid-include"),
        ("Patient", "_include=Banana:x", "invalid-include"),
        ("Patient", "_include=Patient:name", "invalid-include"),
        ("Patient", "_include:wrong=Patient:organization", "invalid-modifier"),
        ("Patient", "_revinclude=Condition:subject:Group", "invalid-include"),
        ("Patient", "_summary=text&_include=Patient:organization", "invalid-summary"),
        ("Patient", "_elements=a b", "invalid-elements"),
        ("Patient", "_contained=true", "search-not-supported"),
        ("Patient", "_text=x", "search-not-supported"),
        ("Patient", "_content=x", "search-not-supported"),
        ("Patient", "_list=x", "search-not-supported"),
        ("Condition", "patient=Group/1", "invalid-reference"),
        ("Condition", "subject:Medication=1", "invalid-modifier"),
        ("Condition", "subject=a/b/c", "invalid-reference"),
        ("Condition", "subject:Patient=Group/1", "invalid-reference"),
        ("Condition", "subject:identifier=urn:x%7C", "invalid-token"),
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
    let query =
        "shoe=9&shoe=10&identifier=&identifier=,&_format=json&value-quantity=1&_include=Patient:shoe&_elements=shoe&x.y=1";
    let parsed = read("Patient", query);
    assert_eq!(parsed.unknown, ["shoe", "value-quantity", "_include=Patient:shoe", "_elements=shoe", "x.y"]);
    assert_eq!(parsed.used, [(String::from("_format"), String::from("json"))]);
    assert_eq!((parsed.query.criteria.len(), parsed.issues.len()), (0, 0));
}

#[test]
fn how_to_answer_is_read() {
    let parsed = read("Patient", "_count=5000&_sort=-birthdate,shoe,_id&_total=accurate");
    let Sort::Keys(keys) = &parsed.query.sort else { panic!("{:?}", parsed.query.sort) };
    assert!(
        matches!(keys.as_slice(), [Key { by: By::Date(_), descending: true }, Key { by: By::Id, descending: false }]),
        "{keys:?}"
    );
    assert_eq!((parsed.query.count, parsed.query.total), (COUNT_MAX, true));
    assert_eq!(parsed.unknown, ["_sort=shoe"]);
    assert!(parsed.used.contains(&(String::from("_sort"), String::from("-birthdate,_id"))));
    for query in ["_count=0", "_summary=count"] {
        let parsed = read("Patient", query);
        assert!(parsed.summary_count && parsed.query.total && parsed.query.count > 0, "{query}");
    }
    assert!(read("Patient", "_total=none").total_unwanted);
    assert_eq!(read("Patient", "_sort=_lastUpdated").query.sort, Sort::Keys(vec![Key { by: By::Updated, descending: false }]));
    assert_eq!(read("Patient", "_sort=-_id").query.sort, Sort::Keys(vec![Key { by: By::Id, descending: true }]));
    assert_eq!(read("Patient", "").query.count, COUNT_DEFAULT);
}

#[test]
fn modifiers_ask_for_more_than_a_word() {
    let of = |kind, query| read(kind, query).query.criteria;
    assert!(matches!(of("Patient", "gender:not=male").as_slice(), [Criterion::Not(_)]));
    assert!(
        matches!(of("Patient", "family:exact=Berg").as_slice(), [Criterion::Word { any, .. }, Criterion::Seen { .. }] if *any == [is("berg")])
    );
    let [Criterion::Word { any, .. }, Criterion::Seen { any: seen, .. }] = &of("Patient", "name:contains=%C3%89r")[..] else {
        panic!()
    };
    assert_eq!(
        (any.as_slice(), seen.as_slice()),
        (&[Word::Holds(String::from("er"))][..], &[Sight::Contains(String::from("er"))][..])
    );
    assert!(matches!(of("Condition", "code:text=asth").as_slice(), [Criterion::Seen { .. }]));
    assert!(matches!(
        of("Patient", "identifier:of-type=urn:t%7CMR%7C1").as_slice(),
        [Criterion::Word { .. }, Criterion::Seen { .. }]
    ));
    assert!(matches!(words("Patient", "identifier=urn:x%7C").as_slice(), [Word::Ends(end)] if end.len() == 12));
    let below = words("ValueSet", "url:below=http://x/y");
    assert!(["http://x/y", "http://x/y/z"].iter().all(|found| below.iter().any(|word| word.is(found))));
    assert!(!below.iter().any(|word| word.is("http://x/yz") || word.is("http://x")));
    let above = words("ValueSet", "url:above=http://x/y/z");
    assert!(["http://x/y/z", "http://x/y", "http://x/", "http://x"].iter().all(|found| above.iter().any(|word| word.is(found))));
    assert!(!above.iter().any(|word| word.is("http://x/y/z/a") || word.is("http://")));
}

#[test]
fn chains_are_read_hop_by_hop() {
    let of = |kind, query| read(kind, query).query.criteria;
    let [Criterion::Chain(chain)] = &of("Condition", "subject:Patient.organization.name=west")[..] else { panic!() };
    assert!(matches!(chain.hops.as_slice(), [Hop::To { kind: "Patient", .. }, Hop::To { kind: "Organization", .. }]));
    assert!(matches!(of("Condition", "subject.identifier=1").as_slice(), [Criterion::Either(ways)] if ways.len() == 2));
    let nested = "_has:Observation:patient:_has:AuditEvent:entity:agent-name=ada";
    let [Criterion::Chain(chain)] = &of("Patient", nested)[..] else { panic!() };
    assert!(matches!(chain.hops.as_slice(), [Hop::From { kind: "Observation", .. }, Hop::From { kind: "AuditEvent", .. }]));
    let [Criterion::Chain(chain)] = &of("Patient", "_has:Observation:patient:performer:Practitioner.name=ada")[..] else {
        panic!()
    };
    assert!(matches!(chain.hops.as_slice(), [Hop::From { .. }, Hop::To { kind: "Practitioner", .. }]));
    assert_eq!(HOPS_MAX, 4);
}

#[test]
fn what_belongs_beside_the_matches_is_read() {
    let parsed = read(
        "MedicationDispense",
        "_include=MedicationDispense:subject:Patient&_include:iterate=Patient:organization&_revinclude=Provenance:target&_include=*",
    );
    assert_eq!((parsed.includes.len(), parsed.issues.len(), parsed.unknown.len()), (4, 0, 0), "{parsed:?}");
    assert_eq!(parsed.includes[0].target, Some("Patient"));
    assert!(parsed.includes[1].iterate && parsed.includes[2].reverse && parsed.includes[3].kind.is_none());
    assert_eq!(
        read("Patient", "_elements=name,Patient.gender").shape,
        Shape::Elements(vec![String::from("name"), String::from("gender")])
    );
    let many: Vec<_> = (0..=INCLUDES_MAX).map(|_| (String::from("_revinclude"), String::from("Condition:subject"))).collect();
    assert_eq!(parse("Patient", &many, 0).includes.len(), 1);
    let keys = ["_id"; SORT_KEYS_MAX + 1].join(",");
    assert_eq!(read("Patient", &format!("_sort={keys}")).issues.len(), 1);
}
