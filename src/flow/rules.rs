//! Rules that are kept as resources: checked before they are recorded, and taken in before anything is decided by them.
//! Follows <https://hl7.org/fhir/R4/plandefinition.html>.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::aim::{Aim, Plan};
use super::interaction::Interaction;
use super::{Derived, Flow, Output, Refused, Sender, broken, criteria};
use crate::fhir::kinds::ARTEFACTS;
use crate::ledger::{self, How, Person, Precondition, Scope, Stored};
use crate::react::{Artefact, Intended, Kept};

/// Resources of rules that are read at once.
const PAGE: i64 = 500;
/// Versions of one rule that are remembered.
const VERSIONS_MAX: i64 = 100;

/// Whether rules are made of such a resource.
fn is_artefact(kind: &str) -> bool {
    ARTEFACTS.contains(&kind)
}

impl Flow {
    /// Takes in the rules of all tenants, as they are kept.
    pub async fn load_rules(&self) -> Result<(), ledger::Error> {
        for scope in self.ledger.scopes().await? {
            let mut kept = Vec::new();
            let mut after = String::new();
            loop {
                let page = self.ledger.kept(&scope, "PlanDefinition", &after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after.clone_from(&last.id);
                for stored in &page {
                    kept.extend(self.versions(&scope, stored).await?);
                }
            }
            for (kind, url) in self.rules.replaceable() {
                if let Some(stored) = self.by_url(&scope, &kind, &url).await? {
                    kept.extend(self.versions(&scope, &stored).await?);
                }
            }
            self.take_in(&scope, kept).await?;
        }
        Ok(())
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
            let derived = Derived { scope: scope.clone(), person, depth: 0, outputs, marks, expects, united: Vec::new() };
            match self.record_derived(derived).await {
                Ok(_) | Err(Refused::Exists) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(())
    }

    /// Resources of rules have changed: what is decided from now on is decided by what they say now.
    pub async fn learn_rules(&self, scope: &Scope, changed: &BTreeSet<(String, String)>) -> Result<(), ledger::Error> {
        let mut kept = Vec::new();
        for (kind, id) in changed {
            if let Some(stored) = self.ledger.read(scope, kind, id).await? {
                kept.extend(self.versions(scope, &stored).await?);
            }
        }
        self.take_in(scope, kept).await
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
            if let Some(stored) = self.by_url(scope, kind, &url).await? {
                kept.extend(self.versions(scope, &stored).await?);
            }
        }
        self.rules.learn(&scope.tenant, kept);
        Ok(())
    }

    /// All versions of a resource that act, as rules look at them. What was imported acts only when it is sent again: an import contacts
    /// nobody, and neither does it change or end what runs.
    async fn versions(&self, scope: &Scope, newest: &Stored) -> Result<Option<Kept>, ledger::Error> {
        let mut versions: Vec<Artefact> = Vec::new();
        let mut history = self.ledger.acting(scope, newest, VERSIONS_MAX).await?;
        history.reverse();
        let is_gone = history.last().is_some_and(|version| version.deleted);
        for stored in history {
            let value = if stored.deleted {
                let Some(before) = versions.last() else { continue };
                gone(&before.value)
            } else {
                stored.value()
            };
            versions.push(Artefact { value: Arc::new(value), since: stored.updated });
        }
        if versions.is_empty() {
            return Ok(None);
        }
        let (kind, id) = (newest.kind.clone(), newest.id.clone());
        Ok(Some(Kept { kind, id, versions, is_gone }))
    }

    pub(super) async fn by_url(&self, scope: &Scope, kind: &str, url: &str) -> Result<Option<Stored>, ledger::Error> {
        // What cannot be written into a search is not the url of anything that was kept.
        if url.contains(['&', '=', '#', ' ', ',']) {
            return Ok(None);
        }
        let Ok(query) = criteria::read(kind, &format!("url={url}"), "", self.clock.now()) else { return Ok(None) };
        match self.ledger.find(scope, &query).await?.first() {
            Some(id) => self.ledger.read(scope, kind, id).await,
            None => Ok(None),
        }
    }

    /// Refuses what would be a rule with faults, or would take away what a rule rests on.
    pub(super) async fn admit_rules(&self, sender: &Sender, wishes: &[Interaction], plan: &Plan) -> Result<(), Refused> {
        if sender.how == How::Import || !wishes.iter().any(|wish| is_artefact(&wish.kind)) {
            return Ok(());
        }
        let tenant = &sender.scope.tenant;
        let mut beside: Vec<Value> =
            wishes.iter().filter(|wish| is_artefact(&wish.kind)).filter_map(|wish| wish.resource.clone()).collect();
        for (wish, aim) in wishes.iter().zip(&plan.aims).filter(|(wish, _)| is_artefact(&wish.kind)) {
            let Aim::Write { id, .. } = aim else { continue };
            for (kind, url) in wish.resource.iter().flat_map(|value| self.rules.unknown(tenant, value)) {
                let found = self.by_url(&sender.scope, kind, &url).await.map_err(broken)?;
                beside.extend(found.map(|stored| stored.value()));
            }
            let beside: Vec<&Value> = beside.iter().collect();
            let intended = Intended { kind: &wish.kind, id, value: wish.resource.as_ref() };
            let faults = self.rules.faults(tenant, intended, &beside, self.clock.now());
            if !faults.is_empty() {
                return Err(wish.refused(Refused::Rule(faults)));
            }
        }
        Ok(())
    }
}

/// What stands for a resource that was deleted.
fn gone(before: &Value) -> Value {
    json!({"resourceType": before.get("resourceType"), "url": before.get("url"), "status": "retired"})
}
