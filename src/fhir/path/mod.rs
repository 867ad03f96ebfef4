//! FHIRPath: expressions over resources, read once and evaluated many times, without copying the resource.
//! Follows <https://hl7.org/fhirpath/N1/> and <https://hl7.org/fhir/R4/fhirpath.html>.
//!
//! An expression never sees a clock, a file or the network: what it may know is its [`Context`].
//! Its size, depth and work are bounded, so that one sent by a stranger can only fail.

#[cfg(test)]
mod bounds;
mod budget;
mod context;
mod convert;
mod decimal;
mod evaluate;
mod fhir;
mod functions;
mod item;
mod kinds;
mod lambdas;
mod node;
mod numbers;
mod operators;
mod parse;
mod route;
mod sets;
#[cfg(test)]
mod suite;
mod temporal;
#[cfg(test)]
mod tests;
mod texts;
mod token;
mod tree;
mod typed;
mod unit;

pub use budget::{Budget, STEPS_MAX, TEXT_BYTES_MAX};
pub use context::{Context, Names, Resolve};
pub use decimal::Decimal;
pub use item::{Collection, Item, Quantity};
pub use node::Node;
pub use parse::{DEPTH_MAX, LENGTH_MAX, PATTERNS_MAX};
pub use route::Route;
pub use temporal::{Grain, Sort, Temporal};
pub use typed::{Form, Forms};

/// Why an expression could not be read or answered. No variant says anything of the resource's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no expression: mend it at this byte.
    #[error("at character {at}: {why}")]
    Syntax {
        /// The byte at which the fault was seen.
        at: usize,
        /// What is wrong.
        why: String,
    },
    /// The expression asks for something that makes no sense for what it met.
    #[error("{0}")]
    Meaning(String),
    /// The function is not supported here.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The expression or its work is too large.
    #[error("the {0} is over its bound")]
    Bound(&'static str),
}

/// An expression, read and ready.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    tree: tree::Tree,
    patterns: usize,
}

impl Expression {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (tree, patterns) = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), tree, patterns })
    }

    /// How many regular expressions are written out in it.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.patterns
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The plain ways through the JSON of a resource type, for work that must be fast; `None` if the expression is more than steps.
    #[must_use]
    pub fn routes(&self, kind: &str) -> Option<Vec<Route>> {
        route::routes(&self.tree, kind)
    }

    /// What of it can never be, by the types alone, where it stands on one of these; `names` tells what a `%name` is. Each is a sentence.
    #[must_use]
    pub fn misfits(&self, root: &Forms, names: &dyn Fn(&str) -> Forms) -> Vec<String> {
        typed::misfits(&self.tree, root, names)
    }

    /// What the expression gives on this resource or element.
    pub fn evaluate<'a>(&'a self, context: &Context<'a>, focus: impl Into<Node<'a>>) -> Result<Collection<'a>, Error> {
        self.evaluate_within(context, focus, &Budget::new())
    }

    /// The same, out of a budget that others spend from, too.
    pub fn evaluate_within<'a>(
        &'a self,
        context: &Context<'a>,
        focus: impl Into<Node<'a>>,
        budget: &Budget,
    ) -> Result<Collection<'a>, Error> {
        let root = focus.into();
        let machine = evaluate::Machine { context, root, budget };
        let focus = [Item::Node(root)];
        machine.eval(&self.tree, &evaluate::Frame { focus: &focus, index: None, total: None })
    }

    /// Whether it is clearly true; empty counts as false, as for a condition that must be met before something is done.
    pub fn holds<'a>(&'a self, context: &Context<'a>, focus: impl Into<Node<'a>>) -> Result<bool, Error> {
        Ok(self.truth(context, focus)? == Some(true))
    }

    /// Whether it is not clearly false; empty counts as true, as for an invariant that must not refuse what it cannot decide.
    pub fn allows<'a>(&'a self, context: &Context<'a>, focus: impl Into<Node<'a>>) -> Result<bool, Error> {
        Ok(self.truth(context, focus)? != Some(false))
    }

    /// The same, out of a budget that others spend from, too.
    pub fn allows_within<'a>(
        &'a self,
        context: &Context<'a>,
        focus: impl Into<Node<'a>>,
        budget: &Budget,
    ) -> Result<bool, Error> {
        Ok(evaluate::truth(&self.evaluate_within(context, focus, budget)?)? != Some(false))
    }

    /// The answer as one of three values; `None` is empty. A single item that is no boolean counts as true.
    pub fn truth<'a>(&'a self, context: &Context<'a>, focus: impl Into<Node<'a>>) -> Result<Option<bool>, Error> {
        evaluate::truth(&self.evaluate(context, focus)?)
    }
}
