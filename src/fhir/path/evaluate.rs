//! The engine: walks the tree of an expression over a resource, within a bound on its work.
//! Follows <https://hl7.org/fhirpath/N1/>.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::Error;
use super::budget::Budget;
use super::context::{Context, constant};
use super::functions::Function as F;
use super::item::{Collection, Item, Quantity};
use super::node::Node;
use super::tree::{Link, Operator, Step, Tree};
use super::{convert, fhir, kinds, lambdas, numbers, operators, sets, texts};

/// One evaluation.
pub(super) struct Machine<'m, 'a> {
    pub(super) context: &'m Context<'a>,
    pub(super) root: Node<'a>,
    pub(super) budget: &'m Budget,
}

/// What `$this`, `$index` and `$total` are, and where a path begins.
#[derive(Clone, Copy)]
pub(super) struct Frame<'f, 'a> {
    pub(super) focus: &'f [Item<'a>],
    pub(super) index: Option<usize>,
    pub(super) total: Option<&'f [Item<'a>]>,
}

impl<'a> Machine<'_, 'a> {
    /// Counts work; an error once it is too much.
    pub(super) fn charge(&self, work: usize) -> Result<(), Error> {
        self.budget.charge(work)
    }

    /// Counts what was copied.
    fn copied(&self, items: Collection<'a>) -> Result<Collection<'a>, Error> {
        self.budget.items(&items)?;
        Ok(items)
    }

    /// The items that the tree gives.
    pub(super) fn eval(&self, tree: &'a Tree, frame: &Frame<'_, 'a>) -> Result<Collection<'a>, Error> {
        self.charge(0)?;
        Ok(match tree {
            Tree::Empty | Tree::Kind(_) | Tree::Pattern(_) => Vec::new(),
            Tree::Boolean(value) => vec![Item::Boolean(*value)],
            Tree::Integer(value) => vec![Item::Integer(*value)],
            Tree::Decimal(value) => vec![Item::Decimal(*value)],
            Tree::Text(text) => vec![Item::Text(Cow::Borrowed(text))],
            Tree::Temporal(value) => vec![Item::Temporal(*value)],
            Tree::Quantity(value, unit, is_calendar) => {
                vec![Item::Quantity(Box::new(Quantity { value: *value, unit: Cow::Borrowed(unit), is_calendar: *is_calendar }))]
            }
            Tree::This => self.copied(frame.focus.to_vec())?,
            Tree::Index => frame.index.and_then(|index| i64::try_from(index).ok()).map(Item::Integer).into_iter().collect(),
            Tree::Total => self.copied(frame.total.unwrap_or_default().to_vec())?,
            Tree::Variable(name) => self.copied(self.variable(name)?)?,
            Tree::Path(head, steps) => return self.path(head.as_deref(), steps, frame),
            Tree::Chain(first, links) => return self.chain(first, links, frame),
            Tree::Negated(inner) => {
                let inner = self.eval(inner, frame)?;
                single(&inner)?.map(negated).transpose()?.into_iter().collect()
            }
        })
    }

    fn variable(&self, name: &str) -> Result<Collection<'a>, Error> {
        if let Some(items) = self.context.variable(name) {
            return Ok(items);
        }
        match name {
            "resource" | "rootResource" | "context" => Ok(vec![Item::Node(self.root)]),
            _ => match constant(name) {
                Some(text) => Ok(vec![Item::text(text)]),
                None => Err(Error::Meaning(format!("nobody set %{name}"))),
            },
        }
    }

    fn path(&self, head: Option<&'a Tree>, steps: &'a [Step], frame: &Frame<'_, 'a>) -> Result<Collection<'a>, Error> {
        let mut rest = steps.iter();
        let mut current = match (head, rest.as_slice().first()) {
            (Some(head), _) => self.eval(head, frame)?,
            (None, Some(first)) => {
                rest.next();
                self.step(frame.focus, first, frame, true)?
            }
            (None, None) => Vec::new(),
        };
        for step in rest {
            current = self.step(&current, step, frame, false)?;
        }
        Ok(current)
    }

    fn step(&self, input: &[Item<'a>], step: &'a Step, frame: &Frame<'_, 'a>, first: bool) -> Result<Collection<'a>, Error> {
        let out = match step {
            Step::Member(name) => return self.member(input, name, first),
            Step::Call(function, arguments) => self.call(*function, input, arguments, frame)?,
            Step::At(index) => match single(&self.eval(index, frame)?)?.map(Item::plain) {
                Some(Item::Integer(index)) => {
                    usize::try_from(index).ok().and_then(|index| input.get(index)).cloned().into_iter().collect()
                }
                Some(_) => return Err(Error::Meaning(String::from("an index is a whole number"))),
                None => Vec::new(),
            },
        };
        self.copied(out)
    }

    /// The children of this name; at the beginning of a path also the type's own name, which stays where it is.
    fn member(&self, input: &[Item<'a>], name: &str, first: bool) -> Result<Collection<'a>, Error> {
        let mut out = Vec::new();
        let may_be_kind = first && name.starts_with(|letter: char| letter.is_ascii_uppercase());
        for item in input {
            let before = out.len();
            match item {
                Item::Node(node) if may_be_kind && kinds::is_a(node.kind_name(), name) => out.push(item.clone()),
                Item::Node(node) => {
                    if self.context.is_strict && node.lacks(name) {
                        return Err(Error::Meaning(format!("{} has no element {name}", node.kind_name())));
                    }
                    node.each_child(name, |child| out.push(Item::Node(child)));
                }
                Item::Kind(space, _) if name == "namespace" => out.push(Item::Text(Cow::Borrowed(space))),
                Item::Kind(_, kind) if name == "name" => out.push(Item::Text(kind.clone())),
                _ => {}
            }
            // A step at least, and at once: a resource may stand in the input many times over.
            self.charge((out.len() - before).saturating_sub(1))?;
        }
        Ok(out)
    }

    fn chain(&self, first: &'a Tree, links: &'a [Link], frame: &Frame<'_, 'a>) -> Result<Collection<'a>, Error> {
        let mut left = self.eval(first, frame)?;
        let mut links = links.iter();
        while let Some(link) = links.next() {
            left = match link {
                Link::Binary(Operator::Union, right) => {
                    // A row of them is gathered once, not copied at each bar.
                    let mut seen = sets::Seen::of(self, &left)?;
                    seen.extend(self, &self.eval(right, frame)?)?;
                    while let Some(Link::Binary(Operator::Union, right)) = links.as_slice().first() {
                        links.next();
                        seen.extend(self, &self.eval(right, frame)?)?;
                    }
                    seen.items
                }
                Link::Binary(operator, right) => self.binary(*operator, &left, right, frame)?,
                Link::Is(kind) => {
                    single(&left)?.map(|item| Item::Boolean(kinds::matches(item, kind, false))).into_iter().collect()
                }
                Link::As(kind) => single(&left)?.filter(|item| kinds::matches(item, kind, true)).cloned().into_iter().collect(),
            };
        }
        Ok(left)
    }

    fn binary(
        &self,
        operator: Operator,
        left: &[Item<'a>],
        right: &'a Tree,
        frame: &Frame<'_, 'a>,
    ) -> Result<Collection<'a>, Error> {
        use Operator as O;
        if matches!(operator, O::And | O::Or | O::Xor | O::Implies) {
            return self.logic(operator, left, right, frame);
        }
        let right = self.eval(right, frame)?;
        self.charge(left.len().min(right.len()))?;
        let budget = self.budget;
        let truth = match operator {
            O::Equal => operators::all_equal(budget, left, &right),
            O::NotEqual => operators::all_equal(budget, left, &right).map(|same| !same),
            O::Equivalent => Some(operators::all_equivalent(budget, left, &right)?),
            O::NotEquivalent => Some(!operators::all_equivalent(budget, left, &right)?),
            O::In => self.member_of(left, &right)?,
            O::Contains => self.member_of(&right, left)?,
            O::Join => return self.joined(&text_of(left)?.unwrap_or_default(), &text_of(&right)?.unwrap_or_default()),
            O::Less | O::LessOrEqual | O::Greater | O::GreaterOrEqual => {
                let (Some(left), Some(right)) = (single(left)?, single(&right)?) else { return Ok(Vec::new()) };
                operators::order(budget, left, right)?.map(|order| decides(operator, order))
            }
            _ => {
                let (Some(left), Some(right)) = (single(left)?, single(&right)?) else { return Ok(Vec::new()) };
                if let (O::Plus, Item::Text(left), Item::Text(right)) = (operator, &left.plain(), &right.plain()) {
                    return self.joined(left, right);
                }
                return Ok(operators::arithmetic(operator, left, right)?.into_iter().collect());
            }
        };
        Ok(truth.map(Item::Boolean).into_iter().collect())
    }

    /// Logic with three values; what the left side already decides leaves the right side alone.
    fn logic(
        &self,
        operator: Operator,
        left: &[Item<'a>],
        right: &'a Tree,
        frame: &Frame<'_, 'a>,
    ) -> Result<Collection<'a>, Error> {
        let left = truth(left)?;
        let early = match (operator, left) {
            (Operator::And, Some(false)) => Some(false),
            (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => Some(true),
            _ => None,
        };
        if let Some(early) = early {
            return Ok(vec![Item::Boolean(early)]);
        }
        let right = truth(&self.eval(right, frame)?)?;
        let all = match operator {
            Operator::And => match (left, right) {
                (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Operator::Or => match (left, right) {
                (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Operator::Implies => match (left, right) {
                (_, Some(true)) => Some(true),
                (Some(true), Some(false)) => Some(false),
                _ => None,
            },
            _ => left.zip(right).map(|(left, right)| left != right),
        };
        Ok(all.map(Item::Boolean).into_iter().collect())
    }

    fn call(
        &self,
        function: F,
        input: &[Item<'a>],
        arguments: &'a [Tree],
        frame: &Frame<'_, 'a>,
    ) -> Result<Collection<'a>, Error> {
        match function {
            F::Where | F::Select | F::All | F::Exists | F::Repeat | F::Aggregate | F::Iif | F::Sort | F::Trace => {
                lambdas::call(self, function, input, arguments, frame)
            }
            F::Is | F::As | F::OfType | F::Type => fhir::kind_call(function, input, arguments),
            F::Extension | F::HasExtension | F::HasValue | F::GetValue | F::Resolve | F::ConformsTo | F::HtmlChecks => {
                fhir::call(self, function, input, arguments, frame)
            }
            F::MemberOf | F::Subsumes | F::SubsumedBy | F::ElementDefinition | F::Slice => {
                Err(Error::Unsupported(function.name()))
            }
            F::Now | F::Today | F::TimeOfDay => self.clock(function),
            F::Abs
            | F::Ceiling
            | F::Exp
            | F::Floor
            | F::Ln
            | F::Log
            | F::Power
            | F::Round
            | F::Sqrt
            | F::Truncate
            | F::LowBoundary
            | F::HighBoundary
            | F::Precision
            | F::Comparable => numbers::call(self, function, input, arguments, frame),
            F::Contains
            | F::EndsWith
            | F::IndexOf
            | F::Length
            | F::Lower
            | F::Matches
            | F::MatchesFull
            | F::Replace
            | F::ReplaceMatches
            | F::StartsWith
            | F::Substring
            | F::ToChars
            | F::Upper
            | F::Trim
            | F::Split
            | F::Join
            | F::Encode
            | F::Decode
            | F::Escape
            | F::Unescape => texts::call(self, function, input, arguments, frame),
            F::ToBoolean
            | F::ToDate
            | F::ToDateTime
            | F::ToDecimal
            | F::ToInteger
            | F::ToQuantity
            | F::ToString
            | F::ToTime
            | F::ConvertsToBoolean
            | F::ConvertsToDate
            | F::ConvertsToDateTime
            | F::ConvertsToDecimal
            | F::ConvertsToInteger
            | F::ConvertsToQuantity
            | F::ConvertsToString
            | F::ConvertsToTime => convert::call(self, function, input, arguments, frame),
            _ => sets::call(self, function, input, arguments, frame),
        }
    }

    fn member_of(&self, one: &[Item<'a>], all: &[Item<'a>]) -> Result<Option<bool>, Error> {
        let Some(one) = single(one)? else { return Ok(None) };
        for other in all {
            self.charge(0)?;
            if operators::equal(self.budget, one, other) == Some(true) {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }

    fn joined(&self, left: &str, right: &str) -> Result<Collection<'a>, Error> {
        self.budget.text(left.len() + right.len())?;
        Ok(vec![Item::text(format!("{left}{right}"))])
    }

    fn clock(&self, function: F) -> Result<Collection<'a>, Error> {
        let now = self.context.now().ok_or_else(|| Error::Meaning(format!("{}() needs a clock", function.name())))?;
        Ok(match function {
            F::Now => vec![Item::Temporal(now)],
            F::Today => vec![Item::Temporal(now.date())],
            _ => now.time().map(Item::Temporal).into_iter().collect(),
        })
    }

    /// A text argument; `None` if it is empty.
    pub(super) fn text(&self, tree: &'a Tree, frame: &Frame<'_, 'a>) -> Result<Option<Cow<'a, str>>, Error> {
        text_of(&self.eval(tree, frame)?)
    }

    /// A whole number argument; `None` if it is empty.
    pub(super) fn integer(&self, tree: &'a Tree, frame: &Frame<'_, 'a>) -> Result<Option<i64>, Error> {
        match single(&self.eval(tree, frame)?)?.map(Item::plain) {
            None => Ok(None),
            Some(Item::Integer(value)) => Ok(Some(value)),
            Some(other) => Err(Error::Meaning(format!("a whole number is asked for, not {}", other.kind_name()))),
        }
    }
}

/// The one item, or none; more than one is an error.
pub(super) fn single<'i, 'a>(items: &'i [Item<'a>]) -> Result<Option<&'i Item<'a>>, Error> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        more => Err(Error::Meaning(format!("one item is asked for where there are {}", more.len()))),
    }
}

/// The one text, or none.
pub(super) fn text_of<'a>(items: &[Item<'a>]) -> Result<Option<Cow<'a, str>>, Error> {
    let Some(item) = single(items)? else { return Ok(None) };
    match item {
        Item::Text(text) => Ok(Some(text.clone())),
        Item::Node(node) => match node.value() {
            Some(serde_json::Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            None => Ok(None),
            Some(_) => Err(Error::Meaning(format!("a text is asked for, not {}", node.kind_name()))),
        },
        other => Err(Error::Meaning(format!("a text is asked for, not {}", other.kind_name()))),
    }
}

/// The truth of a collection: empty is undecided, a single item that is no boolean counts as true.
pub(super) fn truth(items: &[Item<'_>]) -> Result<Option<bool>, Error> {
    Ok(single(items)?.map(|item| item.as_boolean().unwrap_or(true)))
}

fn negated<'a>(item: &Item<'a>) -> Result<Item<'a>, Error> {
    match item.plain() {
        Item::Integer(value) => value.checked_neg().map(Item::Integer).ok_or(Error::Bound("size of a number")),
        Item::Decimal(value) => Ok(Item::Decimal(value.negated())),
        Item::Quantity(quantity) => Ok(Item::Quantity(Box::new(Quantity { value: quantity.value.negated(), ..*quantity }))),
        other => Err(Error::Meaning(format!("{} has no negative", other.kind_name()))),
    }
}

fn decides(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        _ => order.is_ge(),
    }
}
