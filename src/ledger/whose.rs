//! Whose a resource is, found inside the batch: persons by what names them, and who is one with whom by what Patients say.
//!
//! Everything is filed under the person that its own reference leads to, also after a union. So a union moves no row, and taking
//! it back moves none.

use std::collections::BTreeMap;

use super::chain::Statement;
use super::record::Batch;
use super::unions::{self, Said};
use super::{Bond, Change, Draft, Error, Event, How, Line, Person, Scope, Stored, Subject, Unit};
use super::{bonds, events, people};
use crate::fhir::kinds;

impl Batch<'_, '_> {
    /// Whose the resource is; makes a placeholder person for a reference or an identifier never seen.
    pub(super) async fn person(&mut self, unit: &Unit, change: &Change, draft: &Draft, is_new: bool) -> Result<Person, Error> {
        match &draft.subject {
            Subject::Itself => self.patient(unit, change, draft, is_new).await,
            subject => self.named(&unit.scope, subject).await,
        }
    }

    async fn named(&mut self, scope: &Scope, subject: &Subject) -> Result<Person, Error> {
        match subject {
            Subject::Nobody | Subject::Itself => Ok(Person::NOBODY),
            Subject::Known(person) => Ok(*person),
            Subject::Both(reference, system, value) => self.named_twice(scope, reference, (system, value)).await,
            named => self.person_of_keys(scope, &keys(named)).await,
        }
    }

    /// Whom a reference names that says an identifier beside. The reference counts; where nobody has that name yet, it is another name
    /// of whom the identifier leads to, unless that one has a name here already: then it is somebody who is not known yet.
    async fn named_twice(&mut self, scope: &Scope, reference: &str, identifier: (&str, &str)) -> Result<Person, Error> {
        let literal = (people::LITERAL, reference);
        if let Some(person) = self.known(scope, &[literal]).await? {
            return Ok(person);
        }
        let Some(person) = self.known(scope, &[identifier]).await? else {
            return self.person_of_keys(scope, &[literal, identifier]).await;
        };
        let is_ours = reference.starts_with(people::PATIENT);
        if is_ours && people::has_name(&mut self.transaction, &scope.tenant, person).await? {
            return self.person_of_keys(scope, &[literal]).await;
        }
        people::keep_identifier(&mut self.transaction, &scope.tenant, literal, person).await?;
        Ok(person)
    }

    /// The person of the first key that is known; else a new placeholder to which all of them lead.
    async fn person_of_keys(&mut self, scope: &Scope, keys: &[(&str, &str)]) -> Result<Person, Error> {
        if let Some(person) = self.known(scope, keys).await? {
            return Ok(person);
        }
        let person = self.new_person(scope).await?;
        for key in keys {
            people::keep_identifier(&mut self.transaction, &scope.tenant, *key, person).await?;
        }
        Ok(person)
    }

    async fn known(&mut self, scope: &Scope, keys: &[(&str, &str)]) -> Result<Option<Person>, Error> {
        for (system, value) in keys {
            let person = people::named(&mut self.transaction, &scope.tenant, system, value).await?;
            if person.is_some() {
                return Ok(person);
            }
        }
        Ok(None)
    }

    async fn new_person(&mut self, scope: &Scope) -> Result<Person, Error> {
        let person = Person(self.numbers.person(&mut self.transaction).await?);
        people::add(&mut self.transaction, &scope.tenant, person, self.stamp).await?;
        Ok(person)
    }

    /// The person of a Patient resource; all whom its identifiers and links lead to are one with it from now on, and whom its links
    /// lead to no longer are not, unless somebody else says so.
    async fn patient(&mut self, unit: &Unit, change: &Change, draft: &Draft, is_new: bool) -> Result<Person, Error> {
        let (tenant, literal) = (unit.scope.tenant.as_ref(), format!("Patient/{}", change.id));
        let own = people::named(&mut self.transaction, tenant, people::LITERAL, &literal).await?;
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for (system, value) in &draft.identifiers {
            match people::named(&mut self.transaction, tenant, system, value).await? {
                Some(person) => found.push(person),
                None => unknown.push((system.as_str(), value.as_str())),
            }
        }
        if own.is_none() {
            unknown.push((people::LITERAL, &literal));
        }
        let mut same = found.iter().min().copied();
        for link in draft.links.iter().filter(|_| own.is_none()) {
            // One that says by a link that it is another's record, too, is a record beside it: else the link could not be taken back.
            if same.is_some() && self.known(&unit.scope, &keys(link)).await? == same {
                same = None;
            }
        }
        let own = match own.or(same) {
            Some(person) => person,
            None => self.new_person(&unit.scope).await?,
        };
        for key in unknown {
            people::keep_identifier(&mut self.transaction, tenant, key, own).await?;
        }
        let mut others: Vec<(Person, bool)> = found.into_iter().map(|other| (other, false)).collect();
        for link in &draft.links {
            others.push((self.named(&unit.scope, link).await?, true));
        }
        others.retain(|(other, _)| *other != own && *other != Person::NOBODY);
        if !is_new || !others.is_empty() {
            self.relate(unit, &change.id, own, &others).await?;
        }
        Ok(own)
    }

    /// Takes in with whom a Patient says that it is one: by identifiers, or by links.
    async fn relate(&mut self, unit: &Unit, patient: &str, own: Person, others: &[(Person, bool)]) -> Result<(), Error> {
        let (tenant, stamp) = (unit.scope.tenant.as_ref(), self.stamp);
        let known = unions::of_patient(&mut self.transaction, tenant, own, patient).await?;
        let says = |one: &Said| others.contains(&(one.other, one.is_link));
        let gone: Vec<Said> = known.iter().filter(|one| one.stands && !says(one)).copied().collect();
        for gone in &gone {
            unions::set(&mut self.transaction, tenant, patient, &Said { stands: false, ..*gone }).await?;
        }
        for (other, is_link) in others.iter().copied() {
            let said = Said { person: own, other, is_link, stands: true, at: stamp };
            let is_known = |one: &Said| one.stands && (one.other, one.is_link) == (other, is_link);
            if !known.iter().any(is_known) {
                unions::set(&mut self.transaction, tenant, patient, &said).await?;
            }
            self.unite(unit, own, other).await?;
        }
        if gone.is_empty() { Ok(()) } else { self.part(unit, own).await }
    }

    /// Unites two persons, the older of whom both are known as: both chains say so, nothing is rewritten.
    async fn unite(&mut self, unit: &Unit, one: Person, other: Person) -> Result<(), Error> {
        let tenant = unit.scope.tenant.as_ref();
        let known_as = (
            people::known_as(&mut self.transaction, tenant, one).await?,
            people::known_as(&mut self.transaction, tenant, other).await?,
        );
        let (survivor, given_up) = (known_as.0.min(known_as.1), known_as.0.max(known_as.1));
        if survivor == given_up {
            return Ok(());
        }
        let bond = Bond { person: given_up, other: survivor, since: self.stamp };
        bonds::add(&mut self.transaction, tenant, bond).await?;
        people::unite(&mut self.transaction, tenant, survivor, given_up).await?;
        self.united = true;
        self.joints.retain(|joint| *joint != (Line::Linked, one));
        self.joints.push((Line::Linked, one));
        self.tell_both(unit, Line::Linked, (survivor, given_up)).await
    }

    /// Those who were one with a person and are so by nothing that is still said are persons of their own again. Both chains say
    /// so, nothing is rewritten; what was said to any of two while they were one counts for both.
    async fn part(&mut self, unit: &Unit, person: Person) -> Result<(), Error> {
        let tenant = unit.scope.tenant.as_ref();
        let known_as = people::known_as(&mut self.transaction, tenant, person).await?;
        let Some(persons) = people::all_known_as(&mut self.transaction, tenant, known_as).await? else {
            tracing::warn!(person = known_as.0, "too many records are of one person to be parted");
            return Ok(());
        };
        let said = unions::among(&mut self.transaction, tenant, known_as).await?;
        let first = unions::firsts(&persons, &said);
        let mut groups: BTreeMap<Person, Vec<Person>> = BTreeMap::new();
        for (person, first) in &first {
            groups.entry(*first).or_default().push(*person);
        }
        if groups.len() < 2 {
            return Ok(());
        }
        bonds::divide(&mut self.transaction, tenant, known_as, &first, self.stamp).await?;
        for (first, group) in groups {
            self.joints.push((Line::Parted, first));
            for other in group.into_iter().filter(|_| first != known_as) {
                people::know_as(&mut self.transaction, tenant, other, first).await?;
                self.tell_both(unit, Line::Parted, (known_as, other)).await?;
                if other != first {
                    self.tell_both(unit, Line::Linked, (first, other)).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether a version is of somebody else than the one that follows it; then the chain of whose it was says so, and the rules
    /// hear that it is gone from them. Of persons who are one it says nothing: each of them has it. What was about a person and only
    /// names them now is gone from them as well, and what only named them is new when it is about them.
    pub(super) async fn leave(&mut self, unit: &Unit, left: &Stored, to: Person, is_only_named: bool) -> Result<bool, Error> {
        let (tenant, person) = (unit.scope.tenant.as_ref(), left.person);
        let is_one = person == to
            || people::known_as(&mut self.transaction, tenant, person).await?
                == people::known_as(&mut self.transaction, tenant, to).await?;
        if (is_one && (person == Person::NOBODY || was_only_named(left, is_only_named) == is_only_named)) || left.deleted {
            return Ok(false);
        }
        let statement = Statement {
            tenant,
            person,
            ordinal: 0,
            line: Line::Left.word(),
            happened: self.stamp,
            learned: self.stamp,
            how: unit.how,
            source: &unit.source,
            store: "",
            kind: &left.kind,
            id: &left.id,
            version: left.version,
        };
        self.chain(&unit.scope, statement, "").await?;
        // What we say ourselves sets nothing off when it is said of somebody else.
        if person != Person::NOBODY && unit.how != How::Derived {
            let event = Event {
                number: self.numbers.event(&mut self.transaction).await?,
                scope: unit.scope.clone(),
                person,
                kind: left.kind.clone(),
                id: left.id.clone(),
                version: left.version,
                line: Line::Left,
                how: unit.how,
                depth: unit.depth,
                told: false,
                learned: self.stamp,
            };
            events::add(&mut self.transaction, &event).await?;
        }
        Ok(true)
    }

    /// Both chains say that two persons are one, or are no more.
    async fn tell_both(&mut self, unit: &Unit, line: Line, (one, other): (Person, Person)) -> Result<(), Error> {
        for (person, id) in [(one, other), (other, one)] {
            let id = id.0.to_string();
            let statement = Statement {
                tenant: &unit.scope.tenant,
                person,
                ordinal: 0,
                line: line.word(),
                happened: self.stamp,
                learned: self.stamp,
                how: unit.how,
                source: &unit.source,
                store: "",
                kind: "Person",
                id: &id,
                version: 0,
            };
            self.chain(&unit.scope, statement, "").await?;
        }
        Ok(())
    }
}

/// Whether a version only named the person whose it was. Most say whose they are, and say so again: only what may not is read.
fn was_only_named(left: &Stored, is_only_named: bool) -> bool {
    if is_only_named { !kinds::is_about(&left.kind, &left.value()) } else { !kinds::may_say_whose(&left.kind, &left.body) }
}

/// What leads to the person that a reference names.
fn keys(subject: &Subject) -> Vec<(&str, &str)> {
    match subject {
        Subject::Nobody | Subject::Itself | Subject::Known(_) => Vec::new(),
        Subject::Literal(reference) => vec![(people::LITERAL, reference)],
        Subject::Identifier(system, value) => vec![(system, value)],
        Subject::Both(reference, system, value) => vec![(people::LITERAL, reference), (system, value)],
    }
}
