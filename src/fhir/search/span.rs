//! Dates as stretches of UTC milliseconds: from `low`, up to but without `high`; an open end is the end of time.
//! Follows <https://hl7.org/fhir/R4/search.html#date>.

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::fhir::time::{Moment, Span};

/// All of time.
const ALWAYS: Span = Span { low: i64::MIN, high: i64::MAX };

/// A `date`, `dateTime` or `instant`; what has no zone is read in UTC.
pub(super) fn moment(value: &Json) -> Option<Span> {
    Moment::parse(value.as_str()?).map(|moment| moment.span(&TimeZone::UTC))
}

/// A Period; one without both ends says nothing.
pub(super) fn period(value: &Json) -> Option<Span> {
    let (start, end) = (value.get("start").and_then(moment), value.get("end").and_then(moment));
    if start.is_none() && end.is_none() {
        return None;
    }
    Some(Span { low: start.map_or(ALWAYS.low, |start| start.low), high: end.map_or(ALWAYS.high, |end| end.high) })
}

/// A Timing: from the first to the last of its events and bounds.
pub(super) fn timing(value: &Json) -> Option<Span> {
    let events = value.get("event").and_then(Json::as_array).into_iter().flatten().filter_map(moment);
    let bounds = value.get("repeat").and_then(|repeat| repeat.get("boundsPeriod")).and_then(period);
    events.chain(bounds).reduce(|all, one| Span { low: all.low.min(one.low), high: all.high.max(one.high) })
}
