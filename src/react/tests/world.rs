//! Generated histories of a few persons, and what an onlooker knows of them: kept apart from the engine, so that both would have to be
//! wrong in the same way for a fault to pass.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{dispense, store};
use crate::ledger::{How, Person};
use crate::react::rehearsal::Rehearsal;
use crate::react::{Rules, Settings, Unasked};

pub(super) const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// Persons of one history; the first two may share a telephone.
const PERSONS: i64 = 3;
const PHONES: [&str; 3] = ["+1 555 010 0001", "+1 555 010 0002", "+1 555 010 0003"];

/// Chance that can be had again (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i64::try_from((mixed ^ (mixed >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one_in(&mut self, sides: i64) -> bool {
        self.roll(sides) == 0
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.roll(i64::try_from(all.len()).unwrap())).unwrap()]
    }
}

/// What is known of one record of a person.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "an onlooker knows several things that are so or not so")]
#[expect(clippy::option_option, reason = "there is no guardian, or one without a telephone")]
pub(super) struct Record {
    pub(super) is_known: bool,
    pub(super) is_dead: bool,
    pub(super) is_active: bool,
    pub(super) is_minor: bool,
    pub(super) phone: Option<&'static str>,
    pub(super) state: Option<&'static str>,
    pub(super) guardian: Option<Option<&'static str>>,
    /// The word that counts, and when it was said, for treatment and for offers.
    pub(super) treatment: Option<(i64, bool)>,
    pub(super) offers: Option<(i64, bool)>,
    /// The telephones that were theirs when they said STOP; nothing after START.
    pub(super) refuses: Option<Vec<&'static str>>,
    pub(super) is_allergic: bool,
}

/// A fact about somebody.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) of: Person,
    value: Value,
    /// Whether something may be said because of it.
    pub(super) stands: bool,
    /// Whether it was heard as it happened.
    pub(super) is_live: bool,
}

/// A few persons in a house whose engine hears of them, and what an onlooker knows.
pub(super) struct World<'r> {
    pub(super) house: Rehearsal<'r>,
    pub(super) dice: Dice,
    pub(super) records: Vec<Record>,
    /// Who is one with whom: the place of the first.
    pub(super) first: Vec<usize>,
    /// By reference.
    pub(super) facts: BTreeMap<String, Fact>,
    made: usize,
    /// Whether the same is mostly told of two records, which are united and parted.
    is_of_doubles: bool,
}

impl<'r> World<'r> {
    pub(super) fn new(rules: &'r Rules, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let treatment = if dice.one_in(3) { Unasked::Held } else { Unasked::Allowed };
        let settings = Settings { treatment, ..Settings::default() };
        let begin = super::at("2026-01-05T15:00:00Z") + dice.roll(360) * DAY_MS;
        let record = Record {
            is_known: false,
            is_dead: false,
            is_active: true,
            is_minor: false,
            phone: None,
            state: Some("NY"),
            guardian: None,
            treatment: None,
            offers: None,
            refuses: None,
            is_allergic: false,
        };
        let house = Rehearsal::new(rules, settings, store(), begin);
        let mut world = Self {
            house,
            dice,
            records: vec![record; 3],
            first: vec![0, 1, 2],
            facts: BTreeMap::new(),
            made: 0,
            is_of_doubles: false,
        };
        for at in 0..3 {
            let record = &mut world.records[at];
            (record.is_known, record.phone) = (true, Some(PHONES[at % 2]));
            world.tell_patient(at);
        }
        world
    }

    /// A world in which the same is mostly told of two records, which are united and parted.
    pub(super) fn of_doubles(rules: &'r Rules, seed: u64) -> Self {
        Self { is_of_doubles: true, ..Self::new(rules, seed) }
    }

    /// Those who are one with this record.
    pub(super) fn one(&self, at: usize) -> impl Iterator<Item = (usize, &Record)> {
        self.records.iter().enumerate().filter(move |(other, _)| self.first[*other] == self.first[at])
    }

    /// The record that stands for a person.
    pub(super) fn standing(&self, at: usize) -> Option<(usize, &Record)> {
        self.one(at).find(|(_, record)| record.is_known && record.is_active)
    }

    /// Where the recipient lives.
    pub(super) fn zone(record: &Record) -> TimeZone {
        TimeZone::get(if record.state == Some("CA") { "America/Los_Angeles" } else { "America/New_York" }).unwrap()
    }

    /// One thing happens, or time passes.
    pub(super) fn step(&mut self) {
        let at = usize::try_from(self.dice.roll(PERSONS)).unwrap();
        if self.is_of_doubles {
            return self.step_of_doubles(at);
        }
        match self.dice.roll(30) {
            0..10 => {
                let hours = if self.dice.one_in(4) { 24 + self.dice.roll(120) } else { 1 + self.dice.roll(20) };
                let to = self.house.now + hours * HOUR_MS + self.dice.roll(HOUR_MS);
                self.house.advance(to);
            }
            10..15 => self.fill(at),
            15..18 => self.correct(),
            18..20 => self.diagnosis(at),
            20 => self.report(at),
            21..24 => self.change_patient(at),
            24 => self.consent(at),
            25 => self.word(at),
            26 => self.guardian(at),
            27 => self.work(),
            28 => self.order(at),
            _ => self.rare(at),
        }
    }

    fn step_of_doubles(&mut self, at: usize) {
        let at = at % 2;
        match self.dice.roll(20) {
            0..9 => {
                let to = self.house.now + self.dice.roll(30 * HOUR_MS);
                self.house.advance(to);
            }
            9 => self.same_fill(),
            10..13 => self.unite(at),
            13..17 if self.first[at] != at => self.part(at),
            17 => self.correct(),
            18 => self.change_patient(at),
            _ => self.work(),
        }
        // No two things happen at one moment: whether something was done while two were one is told by its time.
        self.house.advance(self.house.now + 1);
    }

    /// The same is handed over to both records, and soon used up.
    fn same_fill(&mut self) {
        let (day, days) = (self.house.now / DAY_MS - 5 - self.dice.roll(3), 8 + self.dice.roll(2));
        let handed = Timestamp::from_millisecond(day * DAY_MS).unwrap().to_string();
        let code = self.dice.of(&["860975", "197361"]);
        for at in 0..2 {
            if !self.dice.one_in(4) {
                let mut fill = dispense(&self.name("d"), &handed[..10], days);
                fill["subject"] = Self::subject(at);
                fill["medicationCodeableConcept"]["coding"][0]["code"] = json!(code);
                self.carry(&fill, true);
                self.tell(at, fill, How::Live, true);
            }
        }
    }

    fn hear(&mut self, at: usize, value: Value, how: How) {
        let person = Person(i64::try_from(at).unwrap() + 1);
        self.house.hear_of(person, value, how, "client");
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}{}", self.made)
    }

    fn subject(at: usize) -> Value {
        json!({"reference": format!("Patient/p{at}")})
    }

    fn tell_patient(&mut self, at: usize) {
        let record = &self.records[at];
        if !record.is_known {
            return;
        }
        let mut patient = json!({"resourceType": "Patient", "id": format!("p{at}"), "active": record.is_active,
            "birthDate": if record.is_minor { "2018-03-04" } else { "1970-01-01" }});
        if let Some(phone) = record.phone {
            patient["telecom"] = json!([{"system": "phone", "value": phone}]);
        }
        if let Some(state) = record.state {
            patient["address"] = json!([{"country": "US", "state": state}]);
        }
        if record.is_dead {
            patient["deceasedBoolean"] = json!(true);
        }
        self.hear(at, patient, How::Live);
    }

    fn change_patient(&mut self, at: usize) {
        let phone = usize::try_from(self.dice.roll(4)).unwrap();
        let record = &mut self.records[at];
        match self.dice.roll(10) {
            0 => record.is_dead = !record.is_dead,
            1 => record.is_active = !record.is_active,
            2 => record.is_minor = !record.is_minor,
            3..6 => record.phone = PHONES.get(phone).copied(),
            6 => record.state = None,
            7 => record.state = Some("CA"),
            _ => record.state = Some("NY"),
        }
        self.tell_patient(at);
    }

    fn fill(&mut self, at: usize) {
        let (day, id) = (self.house.now / DAY_MS - self.dice.roll(12), self.name("d"));
        let handed = Timestamp::from_millisecond(day * DAY_MS).unwrap().to_string();
        let days = if self.dice.one_in(6) { 0 } else { 5 + self.dice.roll(30) };
        let mut fill = dispense(&id, &handed[..10], days);
        fill["subject"] = Self::subject(at);
        fill["medicationCodeableConcept"]["coding"][0]["code"] = json!(self.dice.of(&["860975", "197361", "nothing"]));
        if days == 0 {
            fill.as_object_mut().unwrap().shift_remove("daysSupply");
        }
        if self.dice.one_in(3) {
            let mut orders = self
                .facts
                .iter()
                .filter(|(name, fact)| name.starts_with("MedicationRequest/") && fact.of.0 - 1 == i64::try_from(at).unwrap());
            if let Some((order, _)) = orders.next_back() {
                fill["authorizingPrescription"] = json!([{"reference": order}]);
            }
        }
        let how = if self.dice.one_in(10) { How::Import } else { How::Live };
        let is_carried = self.carry(&fill, how == How::Live);
        self.tell(at, fill, how, how == How::Live || is_carried);
    }

    /// An imported fill of the same product and day is one with a live one, whichever came first, and carries on what that set off.
    /// Whether there is another of the same.
    fn carry(&mut self, fill: &Value, is_live: bool) -> bool {
        let mut any = false;
        let house = &self.house;
        for (name, fact) in self.facts.iter_mut().filter(|(name, _)| name.starts_with("MedicationDispense/")) {
            let same = ["medicationCodeableConcept", "whenHandedOver"].iter().all(|name| fact.value[*name] == fill[*name]);
            let is_there = house.resource(name).is_some_and(|one| !one.deleted);
            fact.stands |= same && is_live && is_there && fact.value["status"] == "completed";
            any |= same;
        }
        any
    }

    /// Whether the same was handed over to the same person later on: who calls about a supply calls about its newest fill.
    pub(super) fn is_continued(&self, name: &str) -> bool {
        let Some(fill) = self.facts.get(name) else { return false };
        let record = |fact: &Fact| self.first[usize::try_from(fact.of.0 - 1).unwrap()];
        let is_later = |fact: &Fact| {
            let same = fact.value["medicationCodeableConcept"] == fill.value["medicationCodeableConcept"];
            same && fact.value["whenHandedOver"].as_str() > fill.value["whenHandedOver"].as_str()
        };
        // Also one of the past, of which nothing was said.
        let is_deleted = |name: &str| self.house.resource(name).is_none_or(|fact| fact.deleted);
        let supplies = |name: &str, fact: &Fact| fact.value["status"] == "completed" && !is_deleted(name);
        let is_next = |(name, fact): (&String, &Fact)| record(fact) == record(fill) && is_later(fact) && supplies(name, fact);
        self.facts.iter().any(is_next)
    }

    /// A fact becomes known, or changes.
    fn tell(&mut self, at: usize, value: Value, how: How, stands: bool) {
        let of = Person(i64::try_from(at).unwrap() + 1);
        let name = format!("{}/{}", value["resourceType"].as_str().unwrap(), value["id"].as_str().unwrap());
        self.facts.insert(name, Fact { of, value: value.clone(), stands, is_live: how == How::Live });
        self.hear(at, value, how);
    }

    /// Something that was said of a fact is corrected or taken back.
    fn correct(&mut self) {
        let dispenses: Vec<String> = self.facts.keys().filter(|name| name.starts_with("MedicationDispense/")).cloned().collect();
        let Some(name) = dispenses.iter().rev().nth(usize::try_from(self.dice.roll(6)).unwrap()) else { return };
        let Fact { of, mut value, is_live, .. } = self.facts[name].clone();
        let at = usize::try_from(of.0 - 1).unwrap();
        match self.dice.roll(5) {
            0 => {
                self.facts.insert(name.clone(), Fact { of, value, stands: false, is_live });
                self.house.delete(name);
                return;
            }
            1 | 2 => value["status"] = json!(self.dice.of(&["entered-in-error", "cancelled", "stopped"])),
            3 => {
                value["daysSupply"] =
                    json!({"value": 1 + self.dice.roll(60), "code": "d", "system": "http://unitsofmeasure.org"});
            }
            _ => value["status"] = json!("completed"),
        }
        let stands = value["status"] == "completed";
        if stands {
            self.carry(&value, true);
        }
        self.tell(at, value, How::Live, stands);
    }

    fn diagnosis(&mut self, at: usize) {
        let id = format!("c{at}-{}", self.dice.roll(2));
        let (clinical, verification) = (
            self.dice.of(&["active", "active", "resolved", "relapse"]),
            self.dice.of(&["confirmed", "confirmed", "provisional", "refuted"]),
        );
        let condition = json!({"resourceType": "Condition", "id": id, "subject": Self::subject(at),
            "clinicalStatus": {"coding": [{"code": clinical}]}, "verificationStatus": {"coding": [{"code": verification}]},
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "Z51.11"}]}});
        self.tell(at, condition, How::Live, clinical != "resolved" && verification == "confirmed");
    }

    fn report(&mut self, at: usize) {
        let status = self.dice.of(&["preliminary", "final", "amended", "entered-in-error"]);
        let id = format!("r{at}-{}", self.dice.roll(3));
        let report = json!({"resourceType": "DiagnosticReport", "id": id, "status": status, "subject": Self::subject(at),
            "code": {"coding": [{"system": "http://loinc.org", "code": "38269-7"}]},
            "conclusionCode": [{"coding": [{"system": "http://snomed.info/sct", "code": "64859006"}]}]});
        self.tell(at, report, How::Live, status == "final" || status == "amended");
    }

    fn consent(&mut self, at: usize) {
        let (is_given, is_offer, id) = (self.dice.one_in(2), self.dice.one_in(3), self.name("k"));
        let now = self.house.now;
        let consent = json!({"resourceType": "Consent", "id": id, "status": "active", "patient": Self::subject(at),
            "dateTime": Timestamp::from_millisecond(now).unwrap().to_string(),
            "provision": {"type": if is_given { "permit" } else { "deny" }, "purpose": [{"code": if is_offer { "HMARKT" } else { "TREAT" }}]}});
        let word = if is_offer { &mut self.records[at].offers } else { &mut self.records[at].treatment };
        // Of two at one time the refusal counts.
        let is_given = is_given && !word.is_some_and(|(known, was_given)| known == now && !was_given);
        *word = Some((now, is_given));
        self.hear(at, consent, How::Live);
    }

    /// STOP or START. START frees who is one with the one who says it.
    fn word(&mut self, at: usize) {
        let (is_stop, id) = (self.dice.one_in(2), self.name("w"));
        let phones: Vec<&'static str> = self.one(at).filter_map(|(_, record)| record.phone).collect();
        let all: Vec<usize> = self.one(at).map(|(other, _)| other).collect();
        if is_stop {
            self.records[at].refuses = Some(phones);
        } else {
            for other in all {
                self.records[other].refuses = None;
            }
        }
        let said = json!({"resourceType": "Communication", "id": id, "status": "completed", "subject": Self::subject(at),
            "sender": Self::subject(at), "payload": [{"contentString": if is_stop { "Stop!" } else { "start" }}]});
        self.hear(at, said, How::Live);
    }

    fn guardian(&mut self, at: usize) {
        let phone = usize::try_from(self.dice.roll(4)).unwrap();
        let phone = PHONES.get(phone).copied();
        self.records[at].guardian = Some(phone);
        let mut mother = json!({"resourceType": "RelatedPerson", "id": format!("m{at}"), "patient": Self::subject(at),
            "relationship": [{"coding": [{"code": "MTH"}]}]});
        if let Some(phone) = phone {
            mother["telecom"] = json!([{"system": "phone", "value": phone}]);
        }
        self.hear(at, mother, How::Live);
    }

    /// Somebody at the store works on a Task.
    fn work(&mut self) {
        let open: Vec<(Person, Value)> = self
            .house
            .resources()
            .filter(|one| one.kind == "Task" && matches!(one.value["status"].as_str(), Some("requested" | "accepted")))
            .map(|one| (one.person, one.value.as_ref().clone()))
            .collect();
        let Some((person, mut task)) = open.into_iter().next() else { return };
        task["status"] = json!(self.dice.of(&["accepted", "completed", "cancelled"]));
        self.house.hear_of(person, task, How::Live, "store");
        self.tick();
    }

    fn order(&mut self, at: usize) {
        let id = format!("o{at}-{}", self.dice.roll(2));
        let status = self.dice.of(&["active", "active", "on-hold", "stopped"]);
        let order = json!({"resourceType": "MedicationRequest", "id": id, "status": status, "intent": "order", "subject": Self::subject(at),
            "medicationCodeableConcept": {"text": "tablets"}});
        self.tell(at, order, How::Live, status == "active");
    }

    /// A record turns out to be of somebody else than was thought. Who said STOP for all their telephones did so for their own.
    fn part(&mut self, at: usize) {
        let first = std::mem::replace(&mut self.first[at], at);
        let phones = |world: &Self, at: usize| -> Vec<&'static str> {
            world.one(at).flat_map(|(_, record)| record.phone.into_iter().chain(record.guardian.flatten())).collect()
        };
        for (own, other) in [(first, at), (at, first)] {
            let (own_phones, others) = (phones(self, own), phones(self, other));
            let records: Vec<usize> = self.one(own).map(|(record, _)| record).collect();
            for record in records {
                if let Some(refused) = self.records[record].refuses.as_mut() {
                    refused.retain(|phone| own_phones.contains(phone) || !others.contains(phone));
                }
            }
        }
        let person = |at: usize| Person(i64::try_from(at).unwrap() + 1);
        self.house.part(person(first), person(at));
        self.tell_patient(at);
        self.tick();
    }

    /// Two records turn out to be of one person, or of two after all; or an allergy becomes known.
    fn rare(&mut self, at: usize) {
        if self.first[at] != at && self.dice.one_in(2) {
            return self.part(at);
        }
        if self.dice.one_in(2) {
            self.records[at].is_allergic = true;
            let allergy = json!({"resourceType": "AllergyIntolerance", "id": format!("a{at}"), "patient": Self::subject(at),
                "clinicalStatus": {"coding": [{"code": "active"}]},
                "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "26225"}]}});
            return self.hear(at, allergy, How::Live);
        }
        self.unite(at);
    }

    /// Whether something was done while two were one is told by its time: it is not done at the moment at which that changes.
    fn tick(&mut self) {
        self.house.advance(self.house.now + 1);
    }

    /// A record turns out to be of the same person as another.
    fn unite(&mut self, at: usize) {
        let persons = if self.is_of_doubles { 2 } else { PERSONS };
        let other = usize::try_from(self.dice.roll(persons)).unwrap();
        let (one, other) = (self.first[at].min(self.first[other]), self.first[at].max(self.first[other]));
        for first in self.first.iter_mut().filter(|first| **first == other) {
            *first = one;
        }
        let (one, other) = (Person(i64::try_from(one).unwrap() + 1), Person(i64::try_from(other).unwrap() + 1));
        self.house.unite(one, other);
        self.tell_patient(at);
    }
}
