//! Rules that are kept as resources: checked before they are recorded, and taken in before anything is decided by them.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::aim::{Aim, Plan};
use super::interaction::Interaction;
use super::{Derived, Flow, Output, Refused, Sender, broken, criteria};
use crate::fhir::kinds::ARTEFACTS;
use crate::fhir::outcome::Issue;
use crate::ledger::{self, Basis, How, Person, Precondition, Scope, Stored};
use crate::react::{Artefact, Faulty, Intended, Kept};

/// Resources of rules that are read at once.
const PAGE: i64 = 500;
/// Versions of one rule that are remembered.
const VERSIONS_MAX: i64 = 100;
/// Resources of one url that are looked at.
const URL_MAX: u32 = 100;

/// Whether rules are made of such a resource.
fn is_artefact(kind: &str) -> bool {
    ARTEFACTS.contains(&kind)
}

impl Flow {
    /// Takes in the rules of all tenants, as they are kept. Returns those that cannot be read, by tenant, type and id.
    pub async fn load_rules(&self) -> Result<Vec<(Arc<str>, (String, String))>, ledger::Error> {
        let mut unread = Vec::new();
        for scope in self.ledger.scopes().await? {
            let mut kept = Vec::new();
            for kind in ["PlanDefinition", "ActivityDefinition"] {
                let mut after = String::new();
                loop {
                    let page = self.ledger.kept(&scope, kind, &after, PAGE).await?;
                    let Some(last) = page.last() else { break };
                    after.clone_from(&last.id);
                    for stored in &page {
                        match self.readable(self.versions(&scope, stored).await).await? {
                            Some(found) => kept.extend(found),
                            None => unread.push((Arc::clone(&scope.tenant), (stored.kind.clone(), stored.id.clone()))),
                        }
                    }
                }
            }
            // Of those a tenant may keep thousands, which are nobody's rules.
            let urls = self.rules.urls(&kept);
            for kind in ["ValueSet", "ConceptMap"] {
                kept.extend(self.deleted(&scope, kind, &urls).await?);
            }
            for (kind, url) in self.rules.replaceable() {
                kept.extend(self.readable(self.named(&scope, &kind, &url).await).await?.unwrap_or_default());
            }
            self.take_in(&scope, kept).await?;
        }
        Ok(unread)
    }

    /// What was deleted of a kind and bore one of these urls: what was decided by it is found out again by it.
    async fn deleted(&self, scope: &Scope, kind: &str, urls: &BTreeSet<String>) -> Result<Vec<Kept>, ledger::Error> {
        let (mut kept, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.ledger.deleted(scope, kind, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(kept) };
            after.clone_from(&last.id);
            for stored in &page {
                let newest = self.ledger.acting(scope, stored, 2).await?;
                let before = newest.iter().find(|version| !version.deleted).map(Stored::value).unwrap_or_default();
                if before.get("url").and_then(Value::as_str).is_some_and(|url| urls.contains(url)) {
                    kept.extend(self.readable(self.versions(scope, stored).await).await?.flatten());
                }
            }
        }
    }

    /// Keeps the forms that come with the program, so that they can be read where a Task names them. One that is there stays as it is.
    pub async fn keep_forms(&self, scope: &Scope, forms: Vec<Value>) -> Result<(), Refused> {
        for form in forms {
            let id = form.get("id").and_then(Value::as_str).unwrap_or_default();
            if self.ledger.read(scope, "Questionnaire", id).await.map_err(broken)?.is_some() {
                continue;
            }
            let outputs = vec![Output { resource: form, when: Precondition::Absent }];
            let (person, marks, expects) = (Person::NOBODY, Vec::new(), Vec::new());
            let derived = Derived { scope: scope.clone(), person, depth: 0, outputs, marks, expects, basis: Basis::default() };
            match self.record_derived(derived).await {
                Ok(_) | Err(Refused::Exists) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(())
    }

    /// Resources of rules have changed: what is decided from now on is decided by what they say now. Returns those that cannot be read,
    /// in whose place stays what was known of them.
    pub async fn learn_rules(
        &self,
        scope: &Scope,
        changed: &BTreeSet<(String, String)>,
    ) -> Result<BTreeSet<(String, String)>, ledger::Error> {
        let (mut kept, mut unread) = (Vec::new(), BTreeSet::new());
        for one in changed {
            match self.readable(self.changed(scope, one).await).await? {
                Some(found) => kept.extend(found),
                None => drop(unread.insert(one.clone())),
            }
        }
        self.take_in(scope, kept).await?;
        Ok(unread)
    }

    async fn changed(&self, scope: &Scope, (kind, id): &(String, String)) -> Result<Option<Kept>, ledger::Error> {
        match self.ledger.read(scope, kind, id).await? {
            Some(stored) => self.versions(scope, &stored).await,
            None => Ok(None),
        }
    }

    /// What was read of one resource; nothing where the database lives and only this cannot be read, which keeps no other from being
    /// taken in.
    async fn readable<T>(&self, read: Result<T, ledger::Error>) -> Result<Option<T>, ledger::Error> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(ledger::Error::Broken(why)) if self.ledger.ready().await => {
                tracing::error!(%why, "a resource of rules cannot be read; what was known of it stays");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn take_in(&self, scope: &Scope, mut kept: Vec<Kept>) -> Result<(), ledger::Error> {
        if kept.is_empty() {
            return Ok(());
        }
        // What the plans name was perhaps kept long before them, and was nobody's business then.
        let mut more = BTreeSet::new();
        for plan in kept.iter().filter(|one| one.kind == "PlanDefinition").flat_map(|one| &one.versions) {
            more.extend(self.rules.unknown(&scope.tenant, &plan.value));
        }
        for (kind, url) in more {
            kept.extend(self.readable(self.named(scope, kind, &url).await).await?.unwrap_or_default());
        }
        for Faulty { rule, keys } in self.rules.learn(&scope.tenant, kept) {
            tracing::warn!(tenant = %scope.tenant, rule, ?keys, "a stored rule does not run: faults are found in it");
        }
        Ok(())
    }

    /// All that bears this url now: which of them counts is the rules' matter.
    async fn named(&self, scope: &Scope, kind: &str, url: &str) -> Result<Vec<Kept>, ledger::Error> {
        let mut kept = Vec::new();
        for stored in self.by_url(scope, kind, url).await? {
            kept.extend(self.versions(scope, &stored).await?);
        }
        Ok(kept)
    }

    /// All versions of a resource that act, as rules look at them. What was imported acts only when it is sent again: an import contacts
    /// nobody, and neither does it change or end what runs.
    async fn versions(&self, scope: &Scope, newest: &Stored) -> Result<Option<Kept>, ledger::Error> {
        let mut versions: Vec<Artefact> = Vec::new();
        let mut history = self.ledger.acting(scope, newest, VERSIONS_MAX).await?;
        history.reverse();
        for stored in history {
            let value = if stored.deleted {
                let Some(before) = versions.last() else { continue };
                gone(&before.value)
            } else {
                match stored.value() {
                    // What was learned under an older one is over, or waits for the newest.
                    Value::Null if stored.version < newest.version => continue,
                    Value::Null => return Err(ledger::Error::Broken(format!("version {} is no JSON", stored.version))),
                    value => value,
                }
            };
            versions.push(Artefact { value: Arc::new(value), since: stored.updated });
        }
        if versions.is_empty() {
            return Ok(None);
        }
        Ok(Some(Kept { kind: newest.kind.clone(), id: newest.id.clone(), versions }))
    }

    /// What bears this url now.
    pub(super) async fn by_url(&self, scope: &Scope, kind: &str, url: &str) -> Result<Vec<Stored>, ledger::Error> {
        // What cannot be written into a search is not the url of anything that was kept.
        if url.contains(['&', '=', '#', ' ', ',']) {
            return Ok(Vec::new());
        }
        let Ok(query) = criteria::read(kind, &format!("url={url}"), "", self.clock.now()) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for id in self.ledger.find_many(scope, &query, URL_MAX).await? {
            found.extend(self.ledger.read(scope, kind, &id).await?.filter(|stored| !stored.deleted));
        }
        Ok(found)
    }

    /// Refuses what would be a rule with faults, or would take away what a rule rests on.
    pub(super) async fn admit_rules(&self, sender: &Sender, wishes: &[Interaction], plan: &Plan) -> Result<(), Refused> {
        if sender.how == How::Import || !wishes.iter().any(|wish| is_artefact(&wish.kind)) {
            return Ok(());
        }
        let written = wishes.iter().zip(&plan.aims).filter(|(wish, _)| is_artefact(&wish.kind));
        let (wishes, changes): (Vec<&Interaction>, Vec<Intended>) = written
            .filter_map(|(wish, aim)| {
                let Aim::Write { id, .. } = aim else { return None };
                Some((wish, Intended { kind: &wish.kind, id, value: wish.resource.as_ref() }))
            })
            .unzip();
        let known = self.known(&sender.scope, &changes).await?;
        let beside: Vec<Intended> = known.iter().filter_map(intended).chain(changes.iter().copied()).collect();
        for (wish, change) in wishes.into_iter().zip(changes) {
            let faults = self.rules.faults(&sender.scope.tenant, change, &beside, self.clock.now());
            if !faults.is_empty() {
                return Err(wish.refused(Refused::Rule(faults)));
            }
        }
        Ok(())
    }

    /// What a resource would be refused for as a rule, or as a part of one, if it were sent alone and live under this id.
    pub async fn rule_faults(&self, scope: &Scope, id: &str, value: &Value) -> Result<Vec<Issue>, Refused> {
        let kind = value.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        if !is_artefact(kind) {
            return Ok(Vec::new());
        }
        let change = Intended { kind, id, value: Some(value) };
        let known = self.known(scope, &[change]).await?;
        let beside: Vec<Intended> = known.iter().filter_map(intended).chain([change]).collect();
        Ok(self.rules.faults(&scope.tenant, change, &beside, self.clock.now()))
    }

    /// What is kept already of what these name, and was nobody's business until now.
    async fn known(&self, scope: &Scope, changes: &[Intended<'_>]) -> Result<Vec<Kept>, Refused> {
        let mut known = Vec::new();
        let values = changes.iter().filter_map(|change| change.value);
        let named: BTreeSet<_> = values.flat_map(|value| self.rules.unknown(&scope.tenant, value)).collect();
        for (kind, url) in named {
            known.extend(self.readable(self.named(scope, kind, &url).await).await.map_err(broken)?.unwrap_or_default());
        }
        Ok(known)
    }
}

/// What is kept, as it stands now.
fn intended(kept: &Kept) -> Option<Intended<'_>> {
    Some(Intended { kind: &kept.kind, id: &kept.id, value: Some(kept.versions.last()?.value.as_ref()) })
}

/// What stands for a resource that was deleted.
fn gone(before: &Value) -> Value {
    json!({"resourceType": before.get("resourceType"), "url": before.get("url"), "status": "retired"})
}
