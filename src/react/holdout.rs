//! A rule may leave out a share of those it could contact, drawn by lot, so that it can be told what it does for the others.

use serde_json::Value;
use uuid::Uuid;

use super::json::{extension, number};
use super::plan::Plan;
use super::read::EXTENSIONS;
use super::turn::{Candidate, Turn};
use super::{outputs, zones};
use crate::ledger::{Arm, Mark, Person};

/// The most that may be left out: nobody learns more from leaving out the greater part.
pub(super) const SHARE_MAX: f64 = 0.5;

/// Why nothing was said.
pub(super) const WHY: &str =
    "The lot left the person out: the rule contacts only a part of those it could, to learn what it does.";

/// What a rule leaves out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holdout {
    /// The share, above 0 and at most [`SHARE_MAX`].
    share: f64,
    /// Another one draws the lots anew.
    salt: String,
}

impl Holdout {
    /// What a plan says of it; a sentence tells what is wrong.
    pub(super) fn read(plan: &Value, is_clinical: bool) -> Result<Option<Self>, String> {
        let Some(said) = extension(plan, &format!("{EXTENSIONS}plan-holdout")) else { return Ok(None) };
        let share = number(said).filter(|share| (0.0..=SHARE_MAX).contains(share));
        let share = share.ok_or_else(|| format!("plan-holdout is the share that is not contacted, from 0 to {SHARE_MAX}"))?;
        if share == 0.0 {
            return Ok(None);
        }
        if is_clinical {
            return Err(String::from("a rule of clinical priority holds nobody out: plan-holdout is not for it"));
        }
        let salt = extension(plan, &format!("{EXTENSIONS}plan-holdout-salt")).and_then(Value::as_str).unwrap_or_default();
        Ok(Some(Self { share, salt: salt.to_owned() }))
    }

    /// Whether the lot leaves a person out: always the same for the same rule, person and salt.
    fn leaves_out(&self, rule: &str, tenant: &str, person: Person) -> bool {
        let name = [rule, tenant, &person.0.to_string(), &self.salt].join("\n");
        let drawn = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).into_bytes();
        let drawn = u32::from_be_bytes([drawn[0], drawn[1], drawn[2], drawn[3]]);
        f64::from(drawn) < self.share * 4_294_967_296.0
    }
}

/// Whether a candidate that could be said now is left out; where its rule leaves out anybody, it is kept to which part the person
/// belongs. Only who passed every gate takes part, so that the parts differ by the lot alone.
pub(super) fn is_held_out(turn: &mut Turn, candidate: &Candidate) -> bool {
    if candidate.plan.holdout.is_none() {
        return false;
    }
    let story = turn.story;
    let is_held_out = leaves_out(turn, candidate);
    let day = zones::day(story.now, &outputs::store(turn, candidate).zone);
    let arm = Arm {
        person: known_as(turn),
        rule: candidate.plan.canonical(),
        episode: candidate.episode.clone(),
        is_contacted: !is_held_out,
        day,
        since: candidate.fill.as_ref().map_or(day - 1, |fill| fill.handed.max(day - 1)),
        product: candidate.detail.product.clone(),
    };
    turn.reaction.marks.push(Mark::Assigned(arm));
    is_held_out
}

/// Whether the lot leaves the person out.
pub(super) fn leaves_out(turn: &Turn, candidate: &Candidate) -> bool {
    let Plan { url, holdout: Some(holdout), .. } = candidate.plan else { return false };
    holdout.leaves_out(url, &turn.story.tenant, known_as(turn))
}

/// Whoever was united is one person, under whichever record they are looked at.
fn known_as(turn: &Turn) -> Person {
    turn.story.united.iter().copied().fold(turn.story.person, Person::min)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(share: &Value) -> Value {
        json!({"extension": [{"url": format!("{EXTENSIONS}plan-holdout"), "valueDecimal": share}]})
    }

    #[test]
    fn a_share_is_at_most_half_and_never_of_a_clinical_rule() {
        for (share, is_clinical, fine) in [
            (json!(0.1), false, true),
            (json!(0.5), false, true),
            (json!(0), true, true),
            (json!(0.51), false, false),
            (json!(-0.1), false, false),
            (json!("x"), false, false),
            (json!(0.1), true, false),
        ] {
            assert_eq!(Holdout::read(&plan(&share), is_clinical).is_ok(), fine, "{share} {is_clinical}");
        }
        assert_eq!(Holdout::read(&plan(&json!(0)), false), Ok(None));
        assert_eq!(Holdout::read(&json!({}), true), Ok(None));
    }

    #[test]
    fn the_lot_falls_the_same_each_time_and_leaves_out_about_the_share() {
        let holdout = Holdout { share: 0.2, salt: String::new() };
        let drawn = |holdout: &Holdout, rule: &str| -> Vec<bool> {
            (0..5_000).map(|person| holdout.leaves_out(rule, "t", Person(person))).collect()
        };
        let lots = drawn(&holdout, "rule");
        let out = lots.iter().filter(|out| **out).count();
        // Four standard deviations around a thousand.
        assert!((887..=1_113).contains(&out), "{out}");
        assert_eq!(drawn(&holdout, "rule"), lots);
        assert_ne!(drawn(&holdout, "other"), lots);
        assert_ne!(drawn(&Holdout { salt: String::from("again"), ..holdout.clone() }, "rule"), lots);
        let more = drawn(&Holdout { share: 0.4, ..holdout }, "rule");
        assert!(lots.iter().zip(&more).all(|(few, more)| !few || *more), "who is out of a small share is out of a greater one");
    }
}
