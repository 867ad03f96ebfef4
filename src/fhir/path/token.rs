//! The words of an expression: names, numbers, texts, dates and symbols.
//! Follows <https://hl7.org/fhirpath/N1/#grammar>.

use super::Error;
use super::decimal::Decimal;
use super::temporal::{Sort, Temporal};

/// One word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A plain name or keyword.
    Name(String),
    /// A name between backticks: never a keyword.
    Quoted(String),
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Temporal(TemporalToken),
    /// `%name`
    Variable(String),
    /// `$this`, `$index`, `$total` without the dollar.
    Dollar(String),
    /// An operator or bracket.
    Symbol(&'static str),
}

/// A date, date-time or time literal; compared by how it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct TemporalToken(pub(super) Temporal);

impl PartialEq for TemporalToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

/// Symbols, longer ones first.
const SYMBOLS: &[&str] =
    &["!=", "!~", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "=", "~", "<", ">", "|", "+", "-", "&", "*", "/"];

/// The words with the byte at which each begins.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Error> {
    let mut reader = Reader { text, at: 0 };
    let mut all = Vec::new();
    loop {
        reader.skip_blank()?;
        let start = reader.at;
        match reader.next()? {
            Some(token) => all.push((start, token)),
            None => return Ok(all),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, why: &str) -> Error {
        Error::Syntax { at: self.at, why: why.to_owned() }
    }

    fn skip_blank(&mut self) -> Result<(), Error> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let end = trimmed.get(2..).and_then(|inner| inner.find("*/"));
                self.at += end.ok_or_else(|| self.fault("the comment has no end"))? + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Option<Token>, Error> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        Ok(Some(match first {
            '\'' => Token::Text(self.quoted('\'')?),
            '`' => Token::Quoted(self.quoted('`')?),
            '"' => Token::Quoted(self.quoted('"')?),
            '@' => self.temporal()?,
            '%' => self.variable()?,
            '$' => {
                self.at += 1;
                Token::Dollar(self.name().to_owned())
            }
            '0'..='9' => self.number()?,
            letter if letter.is_ascii_alphabetic() || letter == '_' => Token::Name(self.name().to_owned()),
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                let symbol = symbol.ok_or_else(|| self.fault("no expression has this character here"))?;
                self.at += symbol.len();
                Token::Symbol(symbol)
            }
        }))
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|letter| !accept(letter)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn name(&mut self) -> &'t str {
        self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    }

    fn variable(&mut self) -> Result<Token, Error> {
        self.at += 1;
        let name = match self.rest().chars().next() {
            Some(mark @ ('`' | '\'' | '"')) => self.quoted(mark)?,
            _ => self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-').to_owned(),
        };
        if name.is_empty() { Err(self.fault("after % a name must follow")) } else { Ok(Token::Variable(name)) }
    }

    fn number(&mut self) -> Result<Token, Error> {
        let start = self.at;
        self.take_while(|letter| letter.is_ascii_digit());
        let mut after = self.rest().chars();
        let is_decimal = after.next() == Some('.') && after.next().is_some_and(|letter| letter.is_ascii_digit());
        if is_decimal {
            self.at += 1;
            self.take_while(|letter| letter.is_ascii_digit());
        }
        let written = self.text.get(start..self.at).unwrap_or_default();
        let token =
            if is_decimal { Decimal::parse(written).map(Token::Decimal) } else { written.parse().ok().map(Token::Integer) };
        token.ok_or_else(|| self.fault("the number is too large"))
    }

    fn temporal(&mut self) -> Result<Token, Error> {
        self.at += 1;
        let start = self.at;
        self.take_while(|letter| letter.is_ascii_digit() || letter == '-');
        let has_clock = self.rest().starts_with('T');
        if has_clock {
            self.at += 1;
            self.clock();
        }
        let written = self.text.get(start..self.at).unwrap_or_default();
        let value = match written.strip_prefix('T') {
            Some(clock) => Temporal::parse_time(clock),
            None => Temporal::parse(written).filter(|value| (value.sort == Sort::DateTime) == has_clock),
        };
        value.map(|value| Token::Temporal(TemporalToken(value))).ok_or_else(|| self.fault("this is no date, date-time or time"))
    }

    /// The clock of a literal: a point belongs to it only before a digit, a sign only before an offset.
    fn clock(&mut self) {
        self.take_while(|letter| letter.is_ascii_digit() || letter == ':');
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|letter| letter.is_ascii_digit()) {
            self.at += 1;
            self.take_while(|letter| letter.is_ascii_digit());
        }
        let rest = self.rest().as_bytes();
        let is_offset = matches!(rest, [b'+' | b'-', h1, h2, b':', ..] if h1.is_ascii_digit() && h2.is_ascii_digit());
        if is_offset {
            self.at += 1;
            self.take_while(|letter| letter.is_ascii_digit() || letter == ':');
        } else if rest.first() == Some(&b'Z') {
            self.at += 1;
        }
    }

    fn quoted(&mut self, mark: char) -> Result<String, Error> {
        self.at += mark.len_utf8();
        let mut out = String::new();
        let mut letters = self.rest().char_indices();
        while let Some((at, letter)) = letters.next() {
            if letter == mark {
                self.at += at + mark.len_utf8();
                return Ok(out);
            }
            if letter != '\\' {
                out.push(letter);
                continue;
            }
            let escaped = match letters.next().map(|(_, letter)| letter) {
                Some('n') => Some('\n'),
                Some('r') => Some('\r'),
                Some('t') => Some('\t'),
                Some('f') => Some('\u{c}'),
                Some('u') => {
                    let code: String = letters.by_ref().take(4).map(|(_, digit)| digit).collect();
                    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
                }
                other => other,
            };
            out.push(escaped.ok_or_else(|| self.fault("after a backslash this is no escape"))?);
        }
        Err(self.fault("the text has no end"))
    }
}
