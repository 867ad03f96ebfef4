//! JSON and XML are two ways to say the same: whatever is asked, in either. Follows <https://hl7.org/fhir/R4/http.html#mime-type>.

use serde_json::{Value, json};
use signa::fhir::xml;

use crate::answer::Answer;
use crate::builders::{dispense, patient};
use crate::house::House;

const FHIR_XML: &str = "application/fhir+xml";

/// What an answer in XML says, as JSON; the story ends here when it is not XML.
#[track_caller]
fn said(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), FHIR_XML, "{}", answer.text);
    let read = xml::read(answer.text.as_bytes()).unwrap_or_else(|issues| panic!("{}: {issues:?}", answer.text));
    assert!(read.faults.is_empty(), "{}: {:?}", answer.text, read.faults);
    read.value
}

// A patient comes in XML with everything that JSON says in another way, and is read in both.
#[tokio::test(flavor = "multi_thread")]
async fn a_resource_comes_and_goes_in_xml() {
    let house = House::new().await;
    let sent = r#"<?xml version="1.0" encoding="UTF-8"?>
        <Patient xmlns="http://hl7.org/fhir"><!-- from the ward --><id value="ada"/>
          <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">Ada <b>Byron</b> lives.
            <br/></div></text>
          <extension url="https://example.org/height"><valueDecimal value="1.50"/></extension>
          <name><given><extension url="https://example.org/nick"><valueBoolean value="true"/></extension></given><given value="Ada"/></name>
          <birthDate id="b" value="1975-02-03"/><deceasedBoolean id="d" value="false"/><multipleBirthInteger id="m" value="2"/>
        </Patient>"#;
    let made = house.ask("PUT", "Patient/ada").body(FHIR_XML, sent).await.is(201);
    assert_eq!((said(&made)["id"].as_str(), made.header("etag")), (Some("ada"), "W/\"1\""));
    let read = house.get("Patient/ada").await.is(200);
    assert_eq!(read.header("content-type"), "application/fhir+json");
    assert!(read.text.contains(r#""valueDecimal":1.50"#), "{}", read.text);
    assert_eq!(
        read.at("/name/0"),
        json!({"given": [null, "Ada"], "_given": [{"extension": [{"url": "https://example.org/nick", "valueBoolean": true}]}, null]})
    );
    for (name, id) in [("_birthDate", "b"), ("_deceasedBoolean", "d"), ("_multipleBirthInteger", "m")] {
        assert_eq!(read.at(&format!("/{name}")), json!({"id": id}));
    }
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\">Ada <b>Byron</b> lives.\n            <br/></div>";
    assert_eq!(read.at("/text/div"), json!(div));
    for path in ["Patient/ada?_format=xml", "Patient/ada?_format=application/fhir+xml", "Patient/ada/_history/1?_format=text/xml"]
    {
        let again = house.get(path).await.is(200);
        assert_eq!(said(&again), read.json(), "{path}");
        assert!(again.text.contains(div), "{}", again.text);
    }
    let head = house.ask("HEAD", "Patient/ada").header("Accept", FHIR_XML).send().await.is(200);
    let whole = house.ask("GET", "Patient/ada").header("Accept", FHIR_XML).send().await.is(200);
    assert_eq!((head.text.as_str(), head.header("content-length")), ("", whole.text.len().to_string().as_str()));
    let pretty = house.get("Patient/ada?_pretty=true").await.is(200);
    assert_eq!((pretty.json(), pretty.text.lines().count() > 20), (read.json(), true));
    // What was read in XML can be sent back as it is.
    house.ask("PUT", "Patient/ada").body(FHIR_XML, whole.text.clone()).await.is(200);
    house.ask("POST", "Patient").header("Accept", "application/json").body("text/xml", sent).await.is(201).id();
}

// Searchset, history, batch and transaction answers, the statement and the ledger are said in XML, too, and mean the same.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_is_said_in_xml() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    house.put(&dispense("d", "ada", "2026-06-01")).await.is(201);
    house.put(&patient("ada")).await.is(200);
    house.beat().await;
    for path in [
        "Patient/ada",
        "MedicationDispense?patient=ada",
        "Patient?_count=1&shoe=9",
        "Patient/ada/_history",
        "metadata",
        "Patient/ada/$ledger",
    ] {
        let in_json = house.get(path).await.is(200);
        let in_xml = house.ask("GET", path).header("Accept", FHIR_XML).send().await.is(200);
        assert_eq!(said(&in_xml), in_json.json(), "{path}");
    }
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:3f0c1f3a-7f0e-4c6b-9b7e-0a5a1d1f1c1d", "resource": {"resourceType": "Patient", "active": true},
            "request": {"method": "POST", "url": "Patient"}},
        {"request": {"method": "GET", "url": "Patient/ada"}},
    ]});
    let sent = xml::write(&bundle.to_string(), true).unwrap();
    let answer = said(&house.ask("POST", "").body(FHIR_XML, sent).await.is(200));
    assert_eq!(
        (&answer["type"], &answer["entry"][0]["response"]["status"]),
        (&json!("transaction-response"), &json!("201 Created"))
    );
    assert_eq!(answer["entry"][1]["resource"]["id"], "ada");
}

// Nulls with which a sender pads what stands beside a list are no values: in XML there is nothing in their place, and what is said
// there can be sent back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_padded_with_nulls_is_said_in_xml() {
    let house = House::new().await;
    let height = json!({"extension": [{"url": "https://example.org/nick", "valueBoolean": true}]});
    for (id, name) in [
        ("a", json!({"given": ["a"], "_given": [null, null]})),
        ("b", json!({"given": ["a", null, "b"], "_given": [null, height, null, null, null]})),
    ] {
        let sent = json!({"resourceType": "Patient", "id": id, "name": [name]});
        house.put(&sent).await.is(201);
        let shown = house.get(&format!("Patient/{id}?_format=xml")).await.is(200);
        assert_eq!(said(&shown)["name"][0]["given"], sent["name"][0]["given"]);
        house.ask("PUT", &format!("Patient/{id}")).body(FHIR_XML, shown.text.clone()).await.is(200);
    }
}

// A refusal is said in the format that is wanted, from whatever depth of the house it comes, and names the place.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_said_in_the_format_that_is_wanted() {
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for (method, path, status, code) in [
        ("GET", "Patient/none", 404, "not-found"),
        ("GET", "Banana/1", 404, "not-supported"),
        ("GET", "Patient/a%00b", 400, "invalid"),
        ("DELETE", "metadata", 405, "not-supported"),
        ("GET", "Patient?birthdate=never", 400, "invalid"),
        ("POST", "Patient", 415, "not-supported"),
    ] {
        let answer = house.ask(method, path).header("Accept", FHIR_XML).send().await.is(status);
        let outcome = said(&answer);
        assert_eq!(
            (&outcome["resourceType"], &outcome["issue"][0]["code"]),
            (&json!("OperationOutcome"), &json!(code)),
            "{path}"
        );
    }
    let large = format!("<Patient xmlns=\"http://hl7.org/fhir\"><language value=\"{}\"/></Patient>", "x".repeat(17 << 20));
    assert_eq!(said(&house.ask("POST", "Patient").body(FHIR_XML, large).await.is(413))["issue"][0]["code"], "too-long");
    let none = house.ask("GET", "Patient/ada").header("Accept", "text/csv").send().await.is(406);
    assert_eq!(none.at("/issue/0/code"), json!("not-supported"));
}

// What is wrong with the XML, and what is wrong with the resource, is told at once and at its place; nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn faults_in_xml_are_named_at_their_places() {
    let house = House::new().await;
    let refused = async |body: &str| {
        let body = body
            .replace("Patient>", "Patient xmlns=\"http://hl7.org/fhir\">")
            .replace("</Patient xmlns=\"http://hl7.org/fhir\">", "</Patient>");
        let answer = house.ask("POST", "Patient").header("Accept", "application/json").body(FHIR_XML, body).await.is(400);
        answer
            .at("/issue")
            .as_array()
            .unwrap()
            .iter()
            .map(|issue| {
                format!(
                    "{} {}",
                    issue["details"]["coding"][0]["code"].as_str().unwrap(),
                    issue["expression"][0].as_str().unwrap_or_default()
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        refused(
            "<Patient><shoeSize value='4'/><active value='yes'/><birthDate value='2023-02-30'/><gender value='lady'/></Patient>"
        )
        .await,
        [
            "unknown-element Patient.shoeSize",
            "wrong-format Patient.active",
            "wrong-format Patient.birthDate",
            "code-not-in-set Patient.gender"
        ]
    );
    assert_eq!(refused("<Patient><active value='true'/><active value='false'/></Patient>").await, ["not-single Patient.active"]);
    assert_eq!(
        refused("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><Patient><language value='&a;'/></Patient>").await,
        ["document-type "]
    );
    assert_eq!(refused("{\"resourceType\":\"Patient\"}").await, ["loose-text ", "not-xml "]);
    assert_eq!(
        refused("<Observation xmlns='http://hl7.org/fhir'><status value='final'/><code><text value='x'/></code></Observation>")
            .await,
        ["wrong-resource-type Observation"]
    );
    let deep = format!("<Patient>{}{}</Patient>", "<extension url='a'>".repeat(5_000), "</extension>".repeat(5_000));
    assert_eq!(refused(&deep).await, ["too-deep "]);
    assert_eq!(house.count("Patient").await, 0);
}

// A search that is posted says in its form how it wants to be answered; the form goes before the header, as the address does.
#[tokio::test(flavor = "multi_thread")]
async fn a_posted_search_names_its_format_in_the_form() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let house = House::new().await;
    house.put(&patient("ada")).await.is(201);
    for path in ["Patient/_search", "_search?_type=Patient", "Patient/ada/*/_search"] {
        let found = house.ask("POST", path).body(FORM, "_format=xml").await.is(200);
        assert_eq!(said(&found)["resourceType"], "Bundle", "{path}");
    }
    let ask = |accept: &'static str| house.ask("POST", "Patient/_search").header("Accept", accept);
    let encoded = ask("application/fhir+json").body(FORM, "_id=ada&_format=application%2Ffhir%2Bxml").await.is(200);
    assert_eq!(said(&encoded)["entry"][0]["resource"]["id"], "ada");
    let rescued = ask("text/csv").body(FORM, "_format=json&_pretty=true").await.is(200);
    assert_eq!((rescued.ids(), rescued.text.lines().count() > 20), (vec!["ada".to_owned()], true));
    let refused = ask("application/fhir+json").body(FORM, "_format=xml&birthdate=never").await.is(400);
    assert_eq!(said(&refused)["resourceType"], "OperationOutcome");
    ask("application/fhir+json").body(FORM, "_format=turtle").await.is(406);
    ask("text/csv").body(FORM, "_id=ada").await.is(406);
    assert_eq!(ask("application/fhir+json").body(FORM, "_id=ada").await.is(200).ids(), ["ada"]);
}
