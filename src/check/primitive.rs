//! What the JSON value of each primitive type may be.
//! Follows <https://hl7.org/fhir/R4/datatypes.html#primitive>.

use serde_json::Value;

use super::xhtml;
use crate::fhir::definitions::Primitive;
use crate::fhir::time::{Moment, Precision};

/// The standard lets a string have one mebibyte.
const STRING_BYTES_MAX: usize = 1024 * 1024;
/// No zone is further from UTC.
const OFFSET_SECONDS_MAX: i32 = 14 * 3600;

/// What is wrong with a value: the issue code, our own, and what would be right.
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) key: &'static str,
    pub(super) words: &'static str,
}

/// Looks at the JSON value of a primitive type; a null is for the caller.
pub(super) fn check(kind: Primitive, value: &Value) -> Result<(), Fault> {
    match kind {
        Primitive::Boolean => match value {
            Value::Bool(_) => Ok(()),
            _ => wrong_kind("Write true or false without quotes."),
        },
        Primitive::Integer => integer(value, i64::from(i32::MIN)),
        Primitive::UnsignedInt => integer(value, 0),
        Primitive::PositiveInt => integer(value, 1),
        Primitive::Decimal => match value {
            Value::Number(_) => Ok(()),
            _ => wrong_kind("Write a number without quotes."),
        },
        _ => match value {
            Value::String(text) if text.is_empty() => {
                Err(Fault { code: "value", key: "empty-value", words: "An empty string says nothing; leave the element out." })
            }
            Value::String(text) => self::text(kind, text),
            _ => wrong_kind("Write a string in double quotes."),
        },
    }
}

fn text(kind: Primitive, text: &str) -> Result<(), Fault> {
    match kind {
        Primitive::String | Primitive::Markdown => string(text),
        Primitive::Code => form(is_code(text), "A code has no white space at its ends and single spaces within."),
        Primitive::Id => form(is_id(text), "An id has 1 to 64 letters of A-Z, a-z, 0-9, '-' and '.'."),
        Primitive::Uri | Primitive::Url | Primitive::Canonical => form(is_uri(text), "An address has no white space."),
        Primitive::Oid => form(text.strip_prefix("urn:oid:").is_some_and(is_oid), "An OID is written like urn:oid:1.2.36.1."),
        Primitive::Uuid => form(
            text.strip_prefix("urn:uuid:").is_some_and(is_uuid),
            "A UUID is written in lower case, like urn:uuid:c757873d-ec9a-4326-a141-556f43239520.",
        ),
        Primitive::Base64Binary => form(is_base64(text), "Binary content is written in base64 with its padding."),
        Primitive::Date => date(text),
        Primitive::DateTime => date_time(text),
        Primitive::Instant => instant(text),
        Primitive::Time => form(is_time(text), "A time of day is written like 14:30:00, without a zone."),
        Primitive::Xhtml => xhtml::check(text).map_err(|words| Fault { code: "value", key: "narrative", words }),
        Primitive::Boolean | Primitive::Decimal | Primitive::Integer | Primitive::UnsignedInt | Primitive::PositiveInt => Ok(()),
    }
}

fn wrong_kind(words: &'static str) -> Result<(), Fault> {
    Err(Fault { code: "structure", key: "wrong-json-type", words })
}

fn form(right: bool, words: &'static str) -> Result<(), Fault> {
    if right { Ok(()) } else { Err(Fault { code: "value", key: "wrong-format", words }) }
}

fn integer(value: &Value, least: i64) -> Result<(), Fault> {
    let Value::Number(number) = value else { return wrong_kind("Write a whole number without quotes.") };
    let words = match least {
        1 => "Write a whole number from 1 to 2147483647.",
        0 => "Write a whole number from 0 to 2147483647.",
        _ => "Write a whole number from -2147483648 to 2147483647.",
    };
    form(number.as_i64().is_some_and(|whole| (least..=i64::from(i32::MAX)).contains(&whole)), words)
}

fn string(text: &str) -> Result<(), Fault> {
    if text.len() > STRING_BYTES_MAX {
        return Err(Fault {
            code: "too-long",
            key: "string-too-long",
            words: "A string may have 1 MiB; send long content as a Binary.",
        });
    }
    if text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) {
        let words = "A string holds no control characters but tab, line feed and carriage return.";
        return Err(Fault { code: "value", key: "control-character", words });
    }
    Ok(())
}

fn is_code(text: &str) -> bool {
    !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.contains(|letter: char| letter.is_control())
        && !text.as_bytes().windows(2).any(|pair| pair == b"  ")
}

/// Whether this is a logical id as the standard writes it; also for the id in an address.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn is_uri(text: &str) -> bool {
    !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
}

fn is_oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    arcs.next().is_some_and(|first| matches!(first, "0" | "1" | "2"))
        && text.contains('.')
        && arcs
            .all(|arc| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0')))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn is_base64(text: &str) -> bool {
    let (mut letters, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => letters += 1,
            b'=' => padding += 1,
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => return false,
        }
    }
    letters > 0 && padding <= 2 && (letters + padding).is_multiple_of(4)
}

fn date(text: &str) -> Result<(), Fault> {
    let right = Moment::parse(text).is_some_and(|moment| moment.precision <= Precision::Day);
    form(right, "A date is written like 2024, 2024-02 or 2024-02-29 and stands in the calendar.")
}

fn date_time(text: &str) -> Result<(), Fault> {
    let moment = Moment::parse(text);
    if moment.is_some_and(|moment| moment.precision > Precision::Day && moment.offset.is_none()) {
        return form(false, "A time needs its zone: add Z or an offset like +08:00.");
    }
    let right = moment.is_some_and(|moment| match moment.precision {
        Precision::Year | Precision::Month | Precision::Day => true,
        Precision::Minute => false,
        Precision::Second | Precision::Fraction => is_near(&moment),
    });
    form(right, "A dateTime is written like 2024, 2024-02, 2024-02-29 or 2024-02-29T14:30:00+08:00 and stands in the calendar.")
}

fn instant(text: &str) -> Result<(), Fault> {
    let right = Moment::parse(text).is_some_and(|moment| moment.precision >= Precision::Second && is_near(&moment));
    form(right, "An instant is written like 2024-02-29T14:30:00.000+08:00, with seconds and zone, and stands in the calendar.")
}

fn is_near(moment: &Moment) -> bool {
    moment.offset.is_some_and(|offset| offset.seconds().abs() <= OFFSET_SECONDS_MAX)
}

fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let whole = |part: &str, most: u8| {
        part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) && part.parse().is_ok_and(|n: u8| n <= most)
    };
    let mut parts = clock.split(':');
    let right = [23, 59, 60].into_iter().all(|most| parts.next().is_some_and(|part| whole(part, most)));
    right
        && parts.next().is_none()
        && fraction.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}
