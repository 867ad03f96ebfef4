//! A sample year of generated patients: fills on time, early and late, doubled, corrected and taken back; diagnoses that come and go;
//! consents and refusals, STOP and START; deaths, moves and merges; rules that change. The same seed gives the same year.

use serde_json::{Value, json};

use crate::builders::{Purpose, With, bone_density, condition, consent, dispense, patient, reply, snomed, store};

const DAY_MS: i64 = 86_400_000;
const ICD: &str = "http://hl7.org/fhir/sid/icd-10-cm";
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
/// Lisinopril, metformin, simvastatin, warfarin, and something that no table knows.
const PRODUCTS: [&str; 5] = ["314076", "860975", "314231", "855332", "999999"];
/// Chemotherapy, asthma, osteoporosis.
const DIAGNOSES: [&str; 3] = ["Z51.11", "J45.909", "M81.0"];

/// Chance that can be had again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides` (SplitMix64).
    pub(crate) fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i64::try_from((mixed ^ (mixed >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, sides: i64) -> bool {
        self.roll(sides) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.roll(i64::try_from(all.len()).unwrap())).unwrap()]
    }
}

/// What is sent at a time.
pub(crate) enum Sent {
    Put(Value),
    Delete(String),
    /// Whoever works at the store does something about one of the Tasks that wait.
    Work(i64),
}

/// A year in the making.
pub(crate) struct Year {
    start: i64,
    dice: Dice,
    pub(crate) sent: Vec<(i64, Sent)>,
}

impl Year {
    /// A year of so many persons, in the order in which it is told.
    pub(crate) fn of(start: i64, seed: u64, persons: usize) -> Vec<(i64, Sent)> {
        let mut year = Self { start, dice: Dice::new(seed), sent: Vec::new() };
        year.house();
        let names: Vec<String> = (0..persons).map(|at| format!("p{at}")).collect();
        for (at, name) in names.iter().enumerate() {
            year.person(at, name);
        }
        // Two records turn out to be of one person.
        for pair in names.chunks(4).filter(|pair| pair.len() > 1) {
            let merged = patient(&pair[0]).with(
                "identifier",
                json!([{"system": crate::builders::MEMBERS, "value": pair[0]}, {"system": crate::builders::MEMBERS, "value": pair[1]}]),
            );
            let day = 120 + year.dice.roll(120);
            year.put(day, merged);
        }
        for day in 5..360 {
            let what = year.dice.roll(4);
            year.at(day, Sent::Work(what));
        }
        year.sent.sort_by_key(|(at, _)| *at);
        // No two at one moment: each is heard before the next is sent.
        let mut last = 0;
        for (at, _) in &mut year.sent {
            last = (*at).max(last + 1);
            *at = last;
        }
        year.sent
    }

    /// At some time of this day.
    fn at(&mut self, day: i64, what: Sent) {
        let at = self.start + day * DAY_MS + self.dice.roll(DAY_MS);
        self.sent.push((at, what));
    }

    fn put(&mut self, day: i64, value: Value) {
        self.at(day, Sent::Put(value));
    }

    fn date(&self, day: i64) -> String {
        jiff::Timestamp::from_millisecond(self.start + day * DAY_MS).unwrap().to_string().chars().take(10).collect()
    }

    /// The stores, one of which moves to another zone, the pharmacist, and rules of the house that change and are retired.
    fn house(&mut self) {
        self.put(0, store("store-1"));
        self.put(200, store("store-1").with("address", json!([{"state": "CA", "country": "US"}])));
        self.put(0, json!({"resourceType": "Practitioner", "id": "kim", "name": [{"text": "Dr. Kim"}]}));
        self.put(0, json!({"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": RXNORM, "code": "860975"}]}}));
        for (day, version, status) in [(40, "1", "active"), (150, "2", "active"), (280, "2", "retired")] {
            let mut rule = crate::rules::rule("gout", version, "drink");
            rule["status"] = json!(status);
            rule["action"][0]["trigger"][0]["data"][0]["codeFilter"][0]["code"][0]["code"] = json!(DIAGNOSES[1]);
            if day == 40 {
                self.put(day, crate::rules::message("drink", "Drink."));
            }
            self.put(day + 1, rule);
        }
    }

    fn person(&mut self, at: usize, name: &str) {
        let born = if at % 7 == 3 { "2015-02-03" } else { "1961-04-12" };
        let mut person = patient(name).with("birthDate", born);
        if at % 5 == 4 {
            // Two share a telephone.
            person["telecom"] = patient("p0")["telecom"].clone();
        } else if self.dice.one_in(8) {
            person = person.with("telecom", Value::Null);
        }
        let known = if self.dice.one_in(6) { self.dice.roll(60) } else { 0 };
        self.put(known, person.clone());
        if at % 7 == 3 && self.dice.one_in(2) {
            self.put(30, json!({"resourceType": "RelatedPerson", "id": format!("mother-{name}"), "patient": {"reference": format!("Patient/{name}")},
                "relationship": [{"coding": [{"code": "MTH"}]}], "telecom": [{"system": "phone", "value": format!("+1 212 555 9{at:03}")}]}));
        }
        if self.dice.one_in(2) {
            self.put(0, json!({"resourceType": "CareTeam", "id": format!("team-{name}"), "status": "active", "subject": {"reference": format!("Patient/{name}")},
                "participant": [{"role": [{"coding": [{"code": "pharmacist"}]}], "member": {"reference": "Practitioner/kim"}}]}));
        }
        self.will(name);
        let products = 1 + self.dice.roll(3);
        for product in 0..products {
            self.fills(name, usize::try_from(product).unwrap());
        }
        self.diagnoses(name);
        if self.dice.one_in(5) {
            let day = 60 + self.dice.roll(280);
            let died = self.date(day);
            self.put(day, person.with("deceasedDateTime", died));
        } else if self.dice.one_in(3) {
            let day = self.dice.roll(350);
            self.put(day, person.with("address", json!([{"state": "CA", "country": "US"}])));
        }
    }

    /// What they want.
    fn will(&mut self, name: &str) {
        if !self.dice.one_in(5) {
            let purposes: &[Purpose] =
                if self.dice.one_in(2) { &[Purpose::Treatment, Purpose::Marketing] } else { &[Purpose::Treatment] };
            let given = consent(&format!("yes-{name}"), name, purposes);
            let day = if self.dice.one_in(4) { self.dice.roll(90) } else { 0 };
            self.put(day, given.clone());
            if self.dice.one_in(6) {
                let day = 150 + self.dice.roll(150);
                self.put(day, given.with("status", "inactive"));
            }
        }
        if self.dice.one_in(3) {
            let day = 50 + self.dice.roll(200);
            self.put(day, reply(&format!("stop-{name}"), name, "STOP"));
            if self.dice.one_in(2) {
                let later = day + 5 + self.dice.roll(60);
                self.put(later, reply(&format!("start-{name}"), name, "START"));
            }
        }
    }

    /// Fills of one product through the year.
    fn fills(&mut self, name: &str, product: usize) {
        let code = *self.dice.of(&PRODUCTS);
        let order = self.dice.one_in(2).then(|| format!("order-{name}-{product}"));
        let mut ordered = Value::Null;
        if let Some(order) = &order {
            ordered = json!({"resourceType": "MedicationRequest", "id": order, "status": "active", "intent": "order",
                "subject": {"reference": format!("Patient/{name}")}, "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": code}]},
                "authoredOn": self.date(0), "dispenseRequest": {"numberOfRepeatsAllowed": 8, "quantity": {"value": 30, "unit": "tablet"},
                "expectedSupplyDuration": {"value": 30, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}}});
            self.put(0, ordered.clone());
        }
        let mut day = self.dice.roll(40);
        let mut number = 0;
        while day < 355 {
            number += 1;
            let id = format!("d-{name}-{product}-{number}");
            let mut fill = dispense(&id, name, &self.date(day));
            fill["medicationCodeableConcept"]["coding"][0]["code"] = json!(code);
            if let Some(order) = &order {
                fill = fill.with("authorizingPrescription", json!([{"reference": format!("MedicationRequest/{order}")}]));
            }
            match self.dice.roll(9) {
                0 => fill = fill.with("daysSupply", Value::Null),
                1 => {
                    fill = fill
                        .with("medicationCodeableConcept", Value::Null)
                        .with("medicationReference", json!({"reference": "Medication/m"}));
                }
                _ => {}
            }
            let told = if self.dice.one_in(12) { day + self.dice.roll(20) } else { day };
            self.put(told, fill.clone());
            self.second_thoughts(&id, name, told, &fill);
            day += if self.dice.one_in(9) { 60 } else { 22 + self.dice.roll(14) };
        }
        if self.dice.one_in(3) && !ordered.is_null() {
            let day = 100 + self.dice.roll(200);
            let status = *self.dice.of(&["stopped", "on-hold", "completed"]);
            self.put(day, ordered.with("status", status));
        }
    }

    /// What becomes of a fill after it was told.
    fn second_thoughts(&mut self, id: &str, name: &str, told: i64, fill: &Value) {
        let later = told + self.dice.roll(28);
        match self.dice.roll(24) {
            0 => self.put(later, fill.clone().with("status", "entered-in-error")),
            1 => self.at(later, Sent::Delete(format!("MedicationDispense/{id}"))),
            2 => self.put(later, fill.clone().with("id", format!("{id}-again"))),
            3 => self.put(
                later,
                fill.clone()
                    .with("daysSupply", json!({"value": 90, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"})),
            ),
            4 => self.put(later, fill.clone().with("subject", json!({"reference": "Patient/p2"}))),
            5 => {
                let moved = self.date(told - 5);
                self.put(later, fill.clone().with("whenHandedOver", format!("{moved}T09:00:00-04:00")));
            }
            6 => {
                let taken = fill.clone().with("id", format!("{id}-undone")).with("status", "entered-in-error");
                self.put(later, taken);
            }
            7 => {
                // Asked by the store about its own fill: nothing that a rule knows.
                self.put(later, json!({"resourceType": "Observation", "id": format!("o-{id}"), "status": "final", "code": snomed("75367002", "Blood pressure"),
                    "subject": {"reference": format!("Patient/{name}")}, "interpretation": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "HH"}]}]}));
            }
            _ => {}
        }
    }

    fn diagnoses(&mut self, name: &str) {
        for code in DIAGNOSES {
            if self.dice.one_in(2) {
                continue;
            }
            let id = format!("c-{name}-{}", code.replace('.', "-"));
            let mut day = 20 + self.dice.roll(200);
            let found = condition(&id, name, &json!({"coding": [{"system": ICD, "code": code}]}));
            let clinical = |value: &str| json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": value}]});
            self.put(day, found.clone().with("recordedDate", self.date(day)));
            for status in ["resolved", "active"] {
                day += self.dice.roll(90);
                if day < 355 && !self.dice.one_in(3) {
                    self.put(day, found.clone().with("recordedDate", self.date(day)).with("clinicalStatus", clinical(status)));
                }
            }
        }
        if self.dice.one_in(2) {
            let day = 10 + self.dice.roll(300);
            let report = bone_density(&format!("r-{name}"), name);
            self.put(day, report.clone().with("status", "preliminary"));
            self.put(day + 1, report.clone());
            if self.dice.one_in(2) {
                self.put(day + 3, report.with("status", "entered-in-error"));
            }
        }
    }
}
