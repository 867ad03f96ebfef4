//! XML both ways, and what is refused of it.

use serde_json::{Value, json};

use super::*;

const NS: &str = "xmlns=\"http://hl7.org/fhir\"";

fn taken(xml: &str) -> Value {
    let read = read(xml.as_bytes()).unwrap_or_else(|issues| panic!("{xml}: {issues:?}"));
    assert!(read.faults.is_empty(), "{xml}: {:?}", read.faults);
    read.value
}

/// The keys and places of everything that is wrong.
fn faults(xml: &str) -> Vec<(&'static str, String)> {
    let issues = match read(xml.as_bytes()) {
        Ok(read) => read.faults,
        Err(issues) => issues,
    };
    issues.into_iter().map(|issue| (issue.key, issue.expression)).collect()
}

fn returns(resource: &Value) {
    let xml = write(&resource.to_string(), false).unwrap_or_else(|| panic!("{resource}"));
    assert_eq!(taken(&xml), *resource, "{xml}");
    assert_eq!(taken(&write(&resource.to_string(), true).unwrap()), *resource);
}

#[test]
fn a_resource_is_read_as_the_same_in_json() {
    let xml = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><!-- a word --><Patient {NS} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
            xsi:schemaLocation="http://hl7.org/fhir a.xsd"><id value="a"/><!-- another --><active value=" true "/>
          <contained><Organization><id value="o"/><name value="A &amp; B"/></Organization></contained>
          <extension url="urn:x"><valueDecimal value="1.50"/></extension>
          <name id="n"><given value="One"/><given><extension url="urn:y"><valueInteger value="+7"/></extension></given></name>
          <multipleBirthInteger value="2"></multipleBirthInteger></Patient>"#
    );
    let expected = json!({"resourceType": "Patient", "id": "a", "active": true,
        "contained": [{"resourceType": "Organization", "id": "o", "name": "A & B"}],
        "extension": [{"url": "urn:x", "valueDecimal": serde_json::from_str::<Value>("1.50").unwrap()}],
        "name": [{"id": "n", "given": ["One", null], "_given": [null, {"extension": [{"url": "urn:y", "valueInteger": 7}]}]}],
        "multipleBirthInteger": 2});
    assert_eq!(taken(&xml), expected);
    returns(&expected);
}

#[test]
fn every_value_may_have_an_id_and_extensions() {
    let extension = json!([{"url": "urn:y", "valueBoolean": true, "_valueBoolean": {"id": "deep"}}]);
    for (kind, name, value) in [
        ("Patient", "active", json!(true)),
        ("Patient", "deceasedBoolean", json!(false)),
        ("Patient", "multipleBirthInteger", json!(2)),
        ("Patient", "gender", json!("male")),
        ("Patient", "birthDate", json!("1970")),
        ("Appointment", "priority", json!(0)),
        ("Appointment", "minutesDuration", json!(5)),
    ] {
        for extra in [
            json!({"id": "a \"<&>"}),
            json!({"id": "true"}),
            json!({"id": "7", "extension": extension}),
            json!({"extension": extension}),
        ] {
            let sibling = format!("_{name}");
            returns(&json!({"resourceType": kind, name: value, sibling.as_str(): extra}));
            returns(&json!({"resourceType": kind, sibling.as_str(): {"id": "a", "extension": extension}}));
        }
    }
    let listed = json!({"resourceType": "Claim", "item": [{"sequence": 1, "careTeamSequence": [1, 2],
        "_careTeamSequence": [null, {"id": "b"}]}]});
    returns(&listed);
    let xml = format!(r#"<Patient {NS}><active value="true"><extension url="" id="b"/></active></Patient>"#);
    assert_eq!(faults(&xml)[0], ("empty-value", String::from("Patient.active.extension[0].url")));
}

#[test]
fn a_prefix_is_as_good_as_none() {
    let xml = r#"<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text><f:status value="generated"/>
        <h:div><h:p title='a "b"'>x <h:b>y</h:b></h:p></h:div></f:text><f:gender value="male"/></f:Patient>"#;
    let div = r#"<div xmlns="http://www.w3.org/1999/xhtml"><p title="a &quot;b&quot;">x <b>y</b></p></div>"#;
    assert_eq!(taken(xml), json!({"resourceType": "Patient", "text": {"status": "generated", "div": div}, "gender": "male"}));
    let default =
        r#"<f:Basic xmlns:f="http://hl7.org/fhir" xmlns="http://www.w3.org/1999/xhtml"><f:text><div>a</div></f:text></f:Basic>"#;
    assert_eq!(taken(default)["text"]["div"], r#"<div xmlns="http://www.w3.org/1999/xhtml">a</div>"#);
}

#[test]
fn a_narrative_returns_letter_by_letter() {
    for div in [
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">(Zithromax) <span>a</span> b\n\t <br/> c&#160;&lt;&amp; <!-- d --></div>",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"><pre>  a\n  b </pre><![CDATA[ < ]]> </div>",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\" id=\"x\" lang=\"de\">&#xE4;\u{fc}</div>",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"><a >b</a  > c</div\n>",
    ] {
        returns(&json!({"resourceType": "Basic", "text": {"status": "generated", "div": div}}));
    }
}

#[test]
fn a_narrative_of_json_is_made_true_xml() {
    let spaced = |inner: &str| format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>");
    for (sent, expected) in [
        ("<div>a</div>".to_owned(), spaced("a")),
        (spaced("a&nbsp;b"), spaced("a&#160;b")),
        (spaced("<p class='x' class='y' v:z='1'>a</p>"), spaced("<p class=\"x\">a</p>")),
        (spaced("a]]>b"), spaced("a]]&gt;b")),
        (spaced("a\u{1}b"), spaced("a\u{fffd}b")),
        (spaced("<!-- a -- b -->c"), spaced("c")),
        (spaced("a").replace("1999", "2999"), spaced("a")),
        (spaced("&#2147483648;"), spaced("This narrative is not well-formed XML; read it as JSON.")),
        (spaced("a &unheard; b"), spaced("This narrative is not well-formed XML; read it as JSON.")),
    ] {
        let resource = json!({"resourceType": "Basic", "text": {"status": "generated", "div": sent}});
        assert_eq!(taken(&write(&resource.to_string(), false).unwrap())["text"]["div"], expected, "{sent}");
    }
}

#[test]
fn values_keep_every_letter_and_every_digit() {
    returns(&json!({"resourceType": "Basic", "language": "  a\n\tb \"c\" <d> & 'e' \u{1F600}"}));
    for number in ["1.50", "0.0", "-0", "100000000000000000000000.0001", "1e-3", "66.899999999999991"] {
        let text = format!(r#"{{"resourceType":"Observation","valueQuantity":{{"value":{number}}}}}"#);
        returns(&serde_json::from_str(&text).unwrap());
    }
    let strange = write(r#"{"resourceType":"Basic","language":"a\u0001b"}"#, false).unwrap();
    assert_eq!(taken(&strange)["language"], "a\u{fffd}b");
}

#[test]
fn what_is_written_is_one_line_or_indented() {
    let json = r#"{"resourceType":"Patient","name":[{"family":"A"}],"active":true,"id":"a"}"#;
    let line = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Patient {NS}><id value="a"/><active value="true"/><name><family value="A"/></name></Patient>"#
    );
    assert_eq!(write(json, false).unwrap(), line);
    assert!(write(json, true).unwrap().contains("\n  <name>\n    <family value=\"A\"/>\n  </name>"));
}

#[test]
fn what_r4_does_not_know_is_not_written() {
    for json in [
        r#"{"resourceType":"Banana"}"#,
        r#"{"resourceType":"Patient","shoeSize":1}"#,
        r"{}",
        r"[]",
        "",
        r#"{"resourceType":"Patient","name":"x"}"#,
    ] {
        assert_eq!(write(json, false), None, "{json}");
    }
    // Empty lists make the library's own reader panic; ours are left out.
    assert!(write(r#"{"resourceType":"Patient","name":[]}"#, false).is_some());
}

#[test]
fn each_fault_has_its_key_and_place() {
    for (xml, expected) in [
        (
            format!("<Patient {NS}><shoeSize value='42'><a><b/></a></shoeSize><name><nmae value='x'/></name></Patient>"),
            &[("unknown-element", "Patient.shoeSize"), ("unknown-element", "Patient.name[0].nmae")][..],
        ),
        (
            format!("<Patient {NS}><active value='yes'/><name><family/></name></Patient>"),
            &[("wrong-format", "Patient.active"), ("empty-value", "Patient.name[0].family")],
        ),
        (format!("<Patient {NS}><multipleBirthInteger value='007'/></Patient>"), &[("wrong-format", "Patient.multipleBirth")]),
        (
            format!("<Patient {NS}>text<name value='x'><family value='a'/></name></Patient>"),
            &[("loose-text", "Patient"), ("unknown-attribute", "Patient.name[0]")],
        ),
        (format!("<Patient {NS} id='x'><id value='x'/></Patient>"), &[("unknown-attribute", "Patient")]),
        (format!("<Patient {NS}><Observation/></Patient>"), &[("unknown-element", "Patient.Observation")]),
        (format!("<Patient {NS}><resourceType value='x'/></Patient>"), &[("unknown-element", "Patient.resourceType")]),
        (
            format!("<Patient {NS}><contained><Basic><id value='a'/></Basic><Basic/></contained></Patient>"),
            &[("second-resource", "Patient.contained[0]")],
        ),
        (
            format!("<Patient {NS}><contained><Banana/></contained></Patient>"),
            &[("unknown-resource-type", "Patient.contained[0]")],
        ),
        (format!("<Banana {NS}/>"), &[("unknown-resource-type", "")]),
        ("<Patient/>".to_owned(), &[("wrong-namespace", "")]),
        ("<Patient xmlns='urn:other'/>".to_owned(), &[("wrong-namespace", "")]),
        (format!("<Patient {NS}>"), &[("not-xml", "")]),
        (format!("<Patient {NS}><name></Patient>"), &[("not-xml", "")]),
        (format!("<Patient {NS}><gender value='a&b;'/></Patient>"), &[("not-xml", "Patient.gender")]),
        (format!("<Patient {NS}><gender value='a\u{ffff}'/></Patient>"), &[("control-character", "Patient.gender")]),
        (format!("<Patient {NS}><id value='a' value='b'/></Patient>"), &[("not-xml", "")]),
        (format!("<Patient {NS}><id value='a'/></Patient><Patient {NS}/>"), &[("more-than-one-document", "")]),
        (format!("<!DOCTYPE x [<!ENTITY a 'b'>]><Patient {NS}/>"), &[("document-type", "")]),
        (format!("<?xml-stylesheet href='x'?><Patient {NS}/>"), &[("processing-instruction", "")]),
        (format!("<?xml version='1.0' encoding='latin1'?><Patient {NS}/>"), &[("not-utf-8", "")]),
        (format!("<Patient {NS}><text><div>a</div></text></Patient>"), &[("wrong-namespace", "Patient.text.div")]),
        (
            format!("<Patient {NS}><text><div xmlns='http://www.w3.org/1999/xhtml'>&nbsp;</div></text></Patient>"),
            &[("unknown-entity", "Patient.text.div")],
        ),
        (
            format!("<Patient {NS}><text><div xmlns='http://www.w3.org/1999/xhtml'>&#2147483648;</div></text></Patient>"),
            &[("control-character", "Patient.text.div")],
        ),
        (
            format!("<Patient {NS}><text><div xmlns='http://www.w3.org/1999/xhtml' title='&#1;'/></text></Patient>"),
            &[("not-xml", "Patient.text.div")],
        ),
        (
            format!("<Patient {NS}><text><div xmlns='http://www.w3.org/1999/xhtml'>a]]>b</div></text></Patient>"),
            &[("not-xml", "Patient.text.div")],
        ),
        (
            format!("<Patient {NS}><text><div xmlns='http://www.w3.org/1999/xhtml' title='&nbsp;'>a</div></text></Patient>"),
            &[("not-xml", "Patient.text.div")],
        ),
        (format!("<Patient {NS}><language value='a&nbsp;b'/></Patient>"), &[("not-xml", "Patient.language")]),
        (String::new(), &[("empty-body", "")]),
        ("{\"resourceType\":\"Patient\"}".to_owned(), &[("loose-text", ""), ("not-xml", "")]),
    ] {
        let found = faults(&xml);
        let found: Vec<(&str, &str)> = found.iter().map(|(key, place)| (*key, place.as_str())).collect();
        assert_eq!(found, expected, "{xml}");
    }
    assert_eq!(faults("\u{feff}").len(), 1);
    assert_eq!(read(b"<Patient\xff").unwrap_err()[0].key, "not-utf-8");
}

#[test]
fn a_document_of_any_depth_is_refused_and_never_overflows() {
    for depth in [DEPTH_MAX + 1, 5_000, 200_000] {
        for (open, close) in
            [("<extension url='a'>", "</extension>"), ("<a>", "</a>"), ("<contained><Basic>", "</Basic></contained>")]
        {
            let xml = format!("<Basic {NS}>{}{}</Basic>", open.repeat(depth), close.repeat(depth));
            assert!(faults(&xml).iter().any(|(key, _)| *key == "too-deep"), "{depth} {open}");
        }
        let div = format!(
            "<Basic {NS}><text><div xmlns='http://www.w3.org/1999/xhtml'>{}{}</div></text></Basic>",
            "<b>".repeat(depth),
            "</b>".repeat(depth)
        );
        assert_eq!(faults(&div)[0].0, "too-deep", "{depth}");
    }
    let attributes: Vec<String> = (0..=ATTRIBUTES_MAX).map(|number| format!(" xmlns:a{number}='b'")).collect();
    let attributes = attributes.concat();
    assert_eq!(faults(&format!("<Basic {NS}{attributes}/>"))[0].0, "too-many-attributes");
}

#[test]
fn every_element_of_every_type_keeps_its_order_and_returns() {
    use crate::fhir::definitions::{Flavour, nodes};
    for node in nodes().iter().filter(|node| node.flavour == Flavour::Resource && node.name != "Parameters") {
        let mut map = serde_json::Map::from_iter([(String::from("resourceType"), Value::from(node.name))]);
        for key in node.keys.iter().filter(|key| key.node().primitive.is_some()) {
            use crate::fhir::definitions::Primitive as P;
            let value = match key.node().primitive {
                Some(P::Boolean) => json!(true),
                Some(P::Integer | P::UnsignedInt | P::PositiveInt | P::Decimal) => json!(3),
                _ => json!("x"),
            };
            map.insert(key.name.to_owned(), if node.element_of(key).list { json!([value]) } else { value });
        }
        let value = Value::Object(map);
        let xml = write(&value.to_string(), false).unwrap_or_else(|| panic!("{}", node.name));
        assert_eq!(taken(&xml), value, "{xml}");
        let places: Vec<usize> = node.keys.iter().filter_map(|key| xml.find(&format!("<{} ", key.name))).collect();
        assert!(places.is_sorted(), "{xml}");
    }
}
