//! From words to a tree: a small reader by binding strength, with a bound on depth.
//! Follows <https://hl7.org/fhirpath/N1/#grammar>.

use super::Error;
use super::functions::Function;
use super::kinds;
use super::texts;
use super::token::{Token, tokens};
use super::tree::{KIND_STRENGTH, Kind, Link, Operator, Space, Step, Tree};
use super::unit;

/// How deep brackets, calls and operators may nest.
pub const DEPTH_MAX: usize = 64;

/// How many bytes an expression may have.
pub const LENGTH_MAX: usize = 64 * 1024;

/// How many regular expressions may be written out in an expression: each takes memory, and time to make it ready.
pub const PATTERNS_MAX: usize = 16;

/// Reads an expression; tells also how many regular expressions are written out in it.
pub(super) fn parse(text: &str) -> Result<(Tree, usize), Error> {
    if text.len() > LENGTH_MAX {
        return Err(Error::Bound("length of the expression"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.len(), depth: 0, patterns: 0 };
    let tree = parser.expression(0)?;
    if parser.at < parser.tokens.len() {
        return Err(parser.fault("the expression should end here"));
    }
    Ok((tree, parser.patterns))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    depth: usize,
    patterns: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn fault(&self, why: &str) -> Error {
        let at = self.tokens.get(self.at).map_or(self.end, |(at, _)| *at);
        Error::Syntax { at, why: why.to_owned() }
    }

    fn take(&mut self, symbol: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn require(&mut self, symbol: &'static str) -> Result<(), Error> {
        if self.take(symbol) { Ok(()) } else { Err(self.fault(&format!("a {symbol} is missing here"))) }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(Error::Bound("depth of the expression"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn operator(&self) -> Option<Operator> {
        match self.peek()? {
            Token::Symbol(symbol) => Operator::of(symbol),
            Token::Name(name) => Operator::of(name),
            _ => None,
        }
    }

    fn expression(&mut self, strength: u8) -> Result<Tree, Error> {
        self.deeper(|parser| {
            let first = parser.unary()?;
            let mut links = Vec::new();
            loop {
                if let Some(is) = parser.kind_operator().filter(|_| KIND_STRENGTH > strength) {
                    parser.at += 1;
                    let kind = parser.kind()?;
                    links.push(if is { Link::Is(kind) } else { Link::As(kind) });
                } else if let Some(operator) = parser.operator().filter(|operator| operator.strength() > strength) {
                    parser.at += 1;
                    links.push(Link::Binary(operator, parser.expression(operator.strength())?));
                } else {
                    return Ok(if links.is_empty() { first } else { Tree::Chain(Box::new(first), links) });
                }
            }
        })
    }

    /// Whether `is` (true) or `as` (false) comes next.
    fn kind_operator(&self) -> Option<bool> {
        match self.peek() {
            Some(Token::Name(name)) if name == "is" => Some(true),
            Some(Token::Name(name)) if name == "as" => Some(false),
            _ => None,
        }
    }

    fn unary(&mut self) -> Result<Tree, Error> {
        if self.take("-") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Tree::Negated(Box::new(inner)));
        }
        if self.take("+") {
            return self.deeper(Self::unary);
        }
        self.path()
    }

    /// A term and the dots and brackets behind it.
    fn path(&mut self) -> Result<Tree, Error> {
        let mut steps = Vec::new();
        let head = if matches!(self.peek(), Some(Token::Name(name)) if name != "true" && name != "false")
            || matches!(self.peek(), Some(Token::Quoted(_)))
        {
            steps.push(self.step()?);
            None
        } else {
            Some(Box::new(self.term()?))
        };
        loop {
            if self.take(".") {
                steps.push(self.step()?);
            } else if self.take("[") {
                steps.push(Step::At(self.expression(0)?));
                self.require("]")?;
            } else {
                return Ok(match head {
                    Some(head) if steps.is_empty() => *head,
                    head => Tree::Path(head, steps),
                });
            }
        }
    }

    fn term(&mut self) -> Result<Tree, Error> {
        let Some(token) = self.peek().cloned() else { return Err(self.fault("an expression is missing here")) };
        self.at += 1;
        Ok(match token {
            Token::Text(text) => Tree::Text(text),
            Token::Integer(value) => self.quantity(Tree::Integer(value)),
            Token::Decimal(value) => self.quantity(Tree::Decimal(value)),
            Token::Temporal(value) => Tree::Temporal(value.0),
            Token::Variable(name) => Tree::Variable(name),
            Token::Dollar(name) => match name.as_str() {
                "this" => Tree::This,
                "index" => Tree::Index,
                "total" => Tree::Total,
                _ => return Err(self.fault("only $this, $index and $total exist")),
            },
            Token::Name(name) => Tree::Boolean(name == "true"),
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.require(")")?;
                inner
            }
            Token::Symbol("{") => {
                self.require("}")?;
                Tree::Empty
            }
            Token::Quoted(_) | Token::Symbol(_) => {
                self.at -= 1;
                return Err(self.fault("an expression is missing here"));
            }
        })
    }

    /// A number with a unit behind it is a quantity.
    fn quantity(&mut self, number: Tree) -> Tree {
        let (unit, is_calendar) = match self.peek() {
            // A word of the calendar stays one between quotes; UCUM has no such codes.
            Some(Token::Text(unit)) => (unit.clone(), unit::calendar(unit).is_some()),
            Some(Token::Name(word)) if unit::calendar(word).is_some() => (word.clone(), true),
            _ => return number,
        };
        let value = match number {
            Tree::Integer(value) => value.into(),
            Tree::Decimal(value) => value,
            other => return other,
        };
        self.at += 1;
        Tree::Quantity(value, unit, is_calendar)
    }

    fn step(&mut self) -> Result<Step, Error> {
        let name = match self.peek() {
            Some(Token::Name(name) | Token::Quoted(name)) => name.clone(),
            _ => return Err(self.fault("a name is missing here")),
        };
        if !self.tokens.get(self.at + 1).is_some_and(|(_, token)| *token == Token::Symbol("(")) {
            self.at += 1;
            return Ok(Step::Member(name));
        }
        let Some(function) = Function::of(&name) else { return Err(self.fault(&format!("there is no function {name}()"))) };
        self.at += 2;
        let mut arguments = self.arguments(function)?;
        let (least, most) = function.arity();
        if arguments.len() < least || arguments.len() > most {
            return Err(self.fault(&format!("{name}() takes {least} to {most} arguments")));
        }
        if let Some(Tree::Text(text)) = arguments.first()
            && function.takes_pattern()
        {
            self.patterns += 1;
            if self.patterns > PATTERNS_MAX {
                return Err(Error::Bound("number of regular expressions"));
            }
            let pattern = texts::pattern(text, function).map_err(|_| self.fault("this is no regular expression"))?;
            arguments[0] = Tree::Pattern(Box::new(pattern));
        }
        Ok(Step::Call(function, arguments))
    }

    fn arguments(&mut self, function: Function) -> Result<Vec<Tree>, Error> {
        let mut all = Vec::new();
        if self.take(")") {
            return Ok(all);
        }
        loop {
            let argument = if function.takes_kind() { Tree::Kind(self.kind()?) } else { self.expression(0)? };
            all.push(argument);
            if self.take(")") {
                return Ok(all);
            }
            self.require(",")?;
        }
    }

    /// `Patient`, `FHIR.Patient`, `System.String`; a type that does not exist is a fault of the expression.
    fn kind(&mut self) -> Result<Kind, Error> {
        let first = self.kind_name()?;
        let space = match first.as_str() {
            "System" => Some(Space::System),
            "FHIR" => Some(Space::Fhir),
            _ => None,
        };
        let name = match space {
            Some(_) => {
                self.require(".")?;
                self.kind_name()?
            }
            None => first,
        };
        let kind = Kind { space, name };
        if kinds::exists(&kind) {
            return Ok(kind);
        }
        self.at -= 1;
        Err(self.fault(&format!("there is no type {}", kind.name)))
    }

    fn kind_name(&mut self) -> Result<String, Error> {
        match self.peek() {
            Some(Token::Name(name) | Token::Quoted(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.fault("the name of a type is missing here")),
        }
    }
}
