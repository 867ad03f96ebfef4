//! Rows of reaction and delivery: what the beat remembers beside resources.

use std::fmt;
use std::sync::Arc;

use super::{Arm, Firing, Halt, HaltState, Person, Turn};

/// One row to be written with a [`super::Unit`].
#[derive(Debug, Clone)]
pub enum Mark {
    /// A candidate was decided on.
    Decided(Decision),
    /// Something must be looked at again; replaces what stood there for the same output.
    Due(Due),
    /// Nothing is due for this output any more.
    DueGone {
        /// Whose.
        person: Person,
        /// Output id.
        output: String,
    },
    /// What a dispense supplies; replaces what was known of that dispense.
    Supplied(Supply),
    /// A dispense supplies nothing any more.
    SupplyGone {
        /// Whose.
        person: Person,
        /// MedicationDispense id.
        dispense: String,
    },
    /// The notices of an event are recorded; the rules have still to look at it.
    Told {
        /// Number of the event.
        event: i64,
    },
    /// An event was reacted to.
    Settled {
        /// Number of the event.
        event: i64,
    },
    /// The rules were asked; kept, so that they can be asked again.
    Turn(Turn),
    /// A rule fired; refuses the unit when the rule may not.
    Fired(Firing),
    /// A person belongs to those whom a rule contacts, or to those it leaves out; the first time counts.
    Assigned(Arm),
    /// A rule was stopped, since it would have fired too often.
    Halted(Halt),
    /// A person said what becomes of a rule that was stopped: what waits for that is due now.
    Answered {
        /// Id of the Task that asked.
        task: String,
        /// What they said.
        state: HaltState,
    },
    /// What is due for this output waits until somebody has said what becomes of its rule.
    Withheld {
        /// Whose due.
        person: Person,
        /// `url|version` of the rule.
        rule: String,
        /// Output id.
        output: String,
    },
    /// An address said STOP.
    Stopped {
        /// Normalized number or address; `person:<number>` or `Type/id` for who said it, whatever their numbers will be.
        address: String,
        /// Who said it.
        person: Person,
    },
    /// A person said START for an address; only their own STOP ends. So does what was said in the name of somebody else.
    Started {
        /// Normalized number or address.
        address: String,
        /// Whose STOP ends.
        person: Person,
        /// Only if it was said then or later, UTC milliseconds.
        since: i64,
    },
    /// A subscription is (again) as its resource says.
    Subscribed(Subscription),
    /// The secret of a subscription is shown: the first time as it is, later made anew.
    SecretShown {
        /// Subscription id.
        subscription: String,
        /// What it is made anew with.
        fresh: Secret,
        /// Until when notices are then signed with the one before, too, UTC milliseconds.
        until: i64,
    },
    /// A subscription is gone.
    Unsubscribed {
        /// Subscription id.
        subscription: String,
    },
    /// A subscriber must be told; the writer gives the notice its number. Of an event that is told already nobody is told again.
    Notice {
        /// Number of the event.
        event: i64,
        /// Subscription id.
        subscription: String,
        /// Whose the resource is.
        person: Person,
        /// Type of the resource.
        kind: String,
        /// Its id.
        id: String,
        /// Its version.
        version: i64,
    },
    /// A notice arrived.
    Delivered {
        /// Subscription id.
        subscription: String,
        /// Number of the notice.
        number: i64,
    },
    /// A notice was refused by its receiver; `dead` after the last try.
    Refused {
        /// Subscription id.
        subscription: String,
        /// Number of the notice.
        number: i64,
        /// Refusals so far.
        attempts: i64,
        /// Whether it goes to the dead letters.
        dead: bool,
        /// How the attempt ended, without any body.
        last: String,
    },
    /// How a lane stands.
    Lane(Lane),
}

/// Everything a candidate came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// About whom.
    pub person: Person,
    /// Output id (UUID).
    pub output: String,
    /// When it was decided, UTC milliseconds.
    pub at: i64,
    /// What it came to.
    pub outcome: Outcome,
    /// The gate that held or stopped it; empty when fired.
    pub gate: String,
    /// When a held one is looked at again, until when one that was dropped because of other facts is worth doing, or until when one
    /// counts for somebody who was taken for the same person; 0 otherwise.
    pub until: i64,
    /// `url|version` of the rule.
    pub rule: String,
    /// The action's id in the rule.
    pub step: String,
    /// The episode.
    pub episode: String,
    /// 1 clinical, 2 refill, 3 adherence, 4 marketing.
    pub priority: i64,
    /// Whether it counts as a message to the person (caps).
    pub spoken: bool,
    /// One sentence.
    pub reason: String,
    /// `Type/id/_history/version` of the facts it rests on, shared by all that rests on the same.
    pub facts: Arc<[String]>,
    /// `Type/id` of what was recorded; empty when nothing was.
    pub recorded: String,
}

/// What a candidate came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was said or done.
    Fired,
    /// It waits until a time.
    Held,
    /// It will not be said.
    Stopped,
    /// What was intended was taken back before it was said.
    Withdrawn,
}

impl Outcome {
    /// The word kept in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Held => "held",
            Self::Stopped => "stopped",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// From the word kept in the store.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "fired" => Self::Fired,
            "held" => Self::Held,
            "withdrawn" => Self::Withdrawn,
            _ => Self::Stopped,
        }
    }
}

/// What must be looked at again and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// About whom.
    pub person: Person,
    /// Output id (UUID).
    pub output: String,
    /// When, UTC milliseconds.
    pub due: i64,
    /// 1 clinical, 2 refill, 3 adherence, 4 marketing.
    pub priority: i64,
    /// `url|version` of the rule.
    pub rule: String,
    /// The action's id in the rule.
    pub step: String,
    /// The episode.
    pub episode: String,
    /// JSON of the engine: what the step was derived from.
    pub detail: String,
}

/// What one dispense supplies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    /// To whom.
    pub person: Person,
    /// Product group.
    pub product: String,
    /// MedicationDispense id.
    pub dispense: String,
    /// Its version.
    pub version: i64,
    /// Number of the fact; dispenses of one fact count once.
    pub fact: i64,
    /// Who sent it.
    pub source: String,
    /// Day handed over, days since 1970-01-01 in the store's zone.
    pub handed: i64,
    /// Days of supply; 0 when unknown.
    pub days: i64,
    /// Which source of days was used.
    pub step: String,
    /// Quantity as written, for sameness across sources.
    pub quantity: String,
}

/// What the writer and the deliverer need of a Subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Subscription id.
    pub id: String,
    /// Version of the resource that these were read from.
    pub version: i64,
    /// requested, active, error, off.
    pub status: String,
    /// Search string.
    pub criteria: String,
    /// Where notices go.
    pub endpoint: String,
    /// MIME type; empty for a notice without a body.
    pub payload: String,
    /// Header lines, sent as they are.
    pub headers: Vec<String>,
    /// When it ends, UTC milliseconds; 0 when open.
    pub ends: i64,
    /// What notices are signed with. That of a new one is set with it; later it is only made anew.
    pub secrets: Secrets,
    /// Number of the last notice.
    pub notices: i64,
    /// Whether it was active since it was last off, as the ledger has it.
    pub begun: bool,
}

impl Subscription {
    /// Whether what happens now is noticed for it. One that was active hears on while its client has it asked for anew and while it
    /// is in error: what it missed then nobody could tell it. Until when it hears, its end says.
    #[must_use]
    pub fn hears(&self) -> bool {
        match self.status.as_str() {
            "active" => true,
            "off" => false,
            _ => self.begun,
        }
    }
}

/// A secret in Base64. No log can show it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// The secrets of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets {
    /// The one that holds.
    pub now: Secret,
    /// The one before; empty when there was none.
    pub before: Secret,
    /// Until when notices are signed with that, too, UTC milliseconds.
    pub both_until: i64,
}

/// How an endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lane {
    /// The endpoint.
    pub endpoint: String,
    /// Probes in a row that failed.
    pub failures: i64,
    /// Since when it does not answer, UTC milliseconds; 0 while it does.
    pub down_since: i64,
    /// When it is tried again, UTC milliseconds.
    pub next_attempt: i64,
}
