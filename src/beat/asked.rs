//! What is kept of a question to the rules, so that they can be asked it again.

use super::decide::Question;
use crate::flow::Seen;
use crate::ledger::{Asked, Mark, Turn};
use crate::react::{self, Occasion, Reaction, Story};

/// The turn of this question. A call or a due that came to nothing leaves none: calls are many.
pub(super) fn turn(question: &Question, story: &Story, seen: Seen, reaction: &Reaction) -> Option<Mark> {
    let asked = match &question.occasion {
        Occasion::Heard(heard) => {
            let (since, until) = question.learned;
            Asked::Heard { since, until, count: i64::try_from(heard.len()).unwrap_or(i64::MAX) }
        }
        _ if reaction.marks.is_empty() && reaction.outputs.is_empty() => return None,
        Occasion::Due(due) => Asked::Due(due.output.clone()),
        Occasion::Called(call) => Asked::Called(react::kept_call(call)),
    };
    Some(Mark::Turn(Turn { person: story.person, at: story.now, stamp: 0, seen, asked }))
}
