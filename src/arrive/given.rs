//! The parameters of an operation, as its address holds them.
//! Follows <https://hl7.org/fhir/R4/operations.html#executing>.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use jiff::Unit;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::body;
use super::call::Call;
use super::operations::Asked;
use super::outcome::Refusal;
use crate::check;
use crate::fhir::outcome::Issue;
use crate::fhir::search::pairs;
use crate::fhir::time::{Moment, Precision, Span};

/// What is said of a parameter of which two are given: neither is passed over in silence.
pub(super) const ONCE: &str = "must be given once";

/// What was given, in its order; parameters without a value count as not given.
pub(super) struct Given {
    pairs: Vec<(String, String)>,
    /// What was given by name and is no plain value: a resource, or a Meta.
    others: Vec<(String, Value)>,
}

impl Given {
    /// Reads a query.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Refusal> {
        let mut pairs = pairs(query.unwrap_or_default()).map_err(|issue| vec![issue])?;
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self { pairs, others: Vec::new() })
    }

    /// What the address holds and, where one was sent, the body: Parameters, or a resource alone for the parameter `resource`.
    pub(super) async fn asked(call: &Call<'_>, method: &Method, body: Body) -> Result<Self, Refusal> {
        let mut given = Self::of(call.query)?;
        let bytes_max = call.door.settings.resource_bytes_max;
        let Some(bytes) = body::asked(call, method, body, bytes_max).await? else { return Ok(given) };
        let (value, issues) = check::examined(&bytes, bytes_max);
        let faults: Vec<Issue> = issues.into_iter().filter(Issue::refuses).collect();
        let Some(value) = value.filter(|_| faults.is_empty()) else { return Err(faults.into()) };
        given.take(value);
        Ok(given)
    }

    /// The same for an operation that takes plain values alone.
    pub(super) async fn plain(call: &Call<'_>, asked: Asked<'_>) -> Result<Self, Refusal> {
        let given = Self::asked(call, asked.method, asked.body).await?;
        match given.others.first() {
            Some((name, _)) => Err(wrong(name, "is none that is taken here: send Parameters with plain values")),
            None => Ok(given),
        }
    }

    fn take(&mut self, mut sent: Value) {
        if sent.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
            return self.others.push((String::from("resource"), sent));
        }
        let Some(Value::Array(parameters)) = sent.get_mut("parameter").map(Value::take) else { return };
        for parameter in parameters {
            let Value::Object(members) = parameter else { continue };
            let name = members.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            for (member, value) in members {
                match value {
                    Value::String(text) if member.starts_with("value") => self.pairs.push((name.clone(), text)),
                    Value::Bool(_) | Value::Number(_) if member.starts_with("value") => {
                        self.pairs.push((name.clone(), value.to_string()));
                    }
                    Value::Object(_) if member.starts_with("value") || member == "resource" => {
                        self.others.push((name.clone(), value));
                    }
                    _ => {}
                }
            }
        }
    }

    /// The names of what was given.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str()).chain(self.others.iter().map(|(name, _)| name.as_str()))
    }

    /// The one resource, or value with parts, of this name.
    pub(super) fn whole(&self, name: &str) -> Result<Option<&Value>, Refusal> {
        let mut values = self.others.iter().filter(|(own, _)| own == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Err(wrong(name, ONCE)),
            (value, _) => Ok(value),
        }
    }

    /// All resources, or values with parts, of this name.
    pub(super) fn wholes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.others.iter().filter(move |(own, _)| own == name).map(|(_, value)| value)
    }

    /// The first value of this name.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The one value of this name.
    pub(super) fn only(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Err(wrong(name, ONCE)),
            (value, _) => Ok(value),
        }
    }

    /// All values of this name, those that commas separate each for itself.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(own, _)| own == name)
            .flat_map(|(_, value)| value.split(','))
            .filter(|value| !value.is_empty())
    }

    /// A value that must be there.
    pub(super) fn needed(&self, name: &'static str, what: &str) -> Result<&str, Refusal> {
        self.only(name)?.ok_or_else(|| {
            let words = format!("The parameter {name} is needed: {what}.");
            Refusal {
                status: StatusCode::BAD_REQUEST,
                ..Refusal::from(vec![Issue::error("required", "missing-parameter", place(name), words)])
            }
        })
    }

    /// True or false.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        match self.only(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// A whole number from `low` on, at most `high`: a greater one is taken for `high`.
    pub(super) fn count(&self, name: &'static str, low: i64, high: i64) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.only(name)? else { return Ok(None) };
        let number = value.parse::<i64>().ok().filter(|number| *number >= low);
        number.map(|number| Some(number.min(high))).ok_or_else(|| wrong(name, &format!("must be a whole number from {low} on")))
    }

    /// The first and the last day of a date that need not name its day or month.
    pub(super) fn days(&self, name: &'static str) -> Result<Option<(Date, Date)>, Refusal> {
        let Some(value) = self.only(name)? else { return Ok(None) };
        let fault = || wrong(name, "must be a date, for example 2026-01-31");
        let moment = Moment::parse(&value.replace(' ', "+")).ok_or_else(fault)?;
        let first = moment.day();
        let last = match moment.precision {
            Precision::Year => first.last_of_year(),
            Precision::Month => first.last_of_month(),
            _ => first,
        };
        Ok(Some((first, last)))
    }

    /// The window from the first day of `start` to the last of `end`, both needed, of at most `days_max` days.
    pub(super) fn window(&self, days_max: i32) -> Result<(Date, Date), Refusal> {
        self.needed("start", "the first day of the window, for example 2026-01-01")?;
        self.needed("end", "the last day of the window, for example 2026-03-31")?;
        let (Some((from, _)), Some((_, to))) = (self.days("start")?, self.days("end")?) else {
            return Err(wrong("start", "must be a date"));
        };
        let days = from.until((Unit::Day, to)).map_or(-1, |span| span.get_days());
        if !(0..days_max).contains(&days) {
            return Err(wrong("end", &format!("must not lie before start, nor more than {days_max} days after it")));
        }
        Ok((from, to))
    }

    /// The stretch of time that a date means; where it names no zone, in UTC.
    pub(super) fn span(&self, name: &'static str) -> Result<Option<Span>, Refusal> {
        let Some(value) = self.only(name)? else { return Ok(None) };
        let moment = Moment::parse(&value.replace(' ', "+"));
        let moment = moment.ok_or_else(|| wrong(name, "must be a date, for example 2026-01-31"))?;
        Ok(Some(moment.span(&TimeZone::UTC)))
    }

    /// A moment with its zone.
    pub(super) fn instant(&self, name: &'static str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.only(name)? else { return Ok(None) };
        let moment = Moment::parse(&value.replace(' ', "+")).filter(|moment| moment.offset.is_some());
        let moment = moment.ok_or_else(|| wrong(name, "must be an instant with a zone, for example 2026-01-31T08:00:00Z"))?;
        Ok(Some(moment.span(&TimeZone::UTC).low))
    }
}

/// A parameter whose value cannot be taken.
pub(super) fn wrong(name: &str, what: &str) -> Refusal {
    let words = format!("The parameter {name} {what}.");
    Refusal {
        status: StatusCode::BAD_REQUEST,
        ..Refusal::from(vec![Issue::error("value", "invalid-parameter", place(name), words)])
    }
}

/// Where an issue about a parameter of the address has its place.
fn place(name: &str) -> String {
    format!("http.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_by_what_they_hold() {
        let given = Given::of(Some("a=1&b=x,y&b=z&c=&d=2024-02&e=2024-02-29T10:00:00%2B01:00&f=true")).ok().unwrap();
        assert_eq!((given.one("a"), given.one("c")), (Some("1"), None));
        assert_eq!(given.all("b").collect::<Vec<_>>(), ["x", "y", "z"]);
        let days = given.days("d").ok().unwrap().unwrap();
        assert_eq!((days.0.to_string(), days.1.to_string()), (String::from("2024-02-01"), String::from("2024-02-29")));
        let year = Given::of(Some("y=2024")).ok().unwrap().days("y").ok().unwrap().unwrap();
        assert_eq!((year.0.to_string(), year.1.to_string()), (String::from("2024-01-01"), String::from("2024-12-31")));
        assert_eq!(given.instant("e").ok().unwrap(), Some(1_709_197_200_000));
        assert_eq!(given.count("a", 1, 10).ok().unwrap(), Some(1));
        assert!(given.flag("f").ok().unwrap());
        let window = |query: &str| Given::of(Some(query)).ok().unwrap().window(31);
        let (from, to) = window("start=2024-02&end=2024-02").ok().unwrap();
        assert_eq!((from.to_string(), to.to_string()), (String::from("2024-02-01"), String::from("2024-02-29")));
        for refusal in [
            window("start=2024-02-01").err(),
            window("start=2024-02-02&end=2024-02-01").err(),
            window("start=2024-02-01&end=2024-03-03").err(),
            given.needed("z", "it says why").err(),
            given.count("b", 1, 2).err(),
            given.days("b").err(),
            given.instant("d").err(),
            given.flag("b").err(),
            given.only("b").err(),
        ] {
            let refusal = refusal.unwrap();
            assert_eq!(refusal.status.as_u16(), 400);
            assert!(refusal.issues[0].expression.starts_with("http."));
        }
    }
}
