//! The words that rows hold and queries ask for; both sides build them here.
//! Follows <https://hl7.org/fhir/R4/search.html#token>, `#string` and `#reference`.
//!
//! | parameter | word | asked by |
//! |---|---|---|
//! | token | `code¦h` | `code`: the range of what begins with `code¦`; `system\|code`: `code¦h`; `\|code`: `code¦` |
//! | reference | `Patient/123`, or the address of elsewhere | the same; without a type: one word for each target type |
//! | reference by identifier | `#id\|value¦h` | the same |
//! | string | lower case, without accents | the range of the prefix |
//! | uri | as it is | the same |
//! | a required token that is not there | [`NONE`] | `:not` |
//!
//! `h` is the hash of the system, empty where there is none; `¦` is [`MARK`].

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The word of a resource that has no value for a parameter that it must have; no value makes it.
pub const NONE: &str = "";

/// What stands behind the code of a token: it sorts before every letter, so that a code comes before those that begin with it.
const MARK: char = '\u{1}';

/// The letter after [`MARK`].
const MARK_END: char = '\u{2}';

/// How many characters of a string are kept.
pub const STRING_MAX: usize = 100;

/// How many systems' hashes are remembered; real data names a few dozen.
const SYSTEMS_MAX: usize = 512;

thread_local! {
    static SYSTEMS: RefCell<HashMap<Box<str>, [u8; 11]>> = RefCell::new(HashMap::new());
}

/// Adds the first eight bytes of the system's SHA-256 as eleven letters; nothing for no system.
fn push_hash(system: &str, out: &mut String) {
    if system.is_empty() {
        return;
    }
    let letters = SYSTEMS.with_borrow_mut(|known| {
        if let Some(letters) = known.get(system) {
            return *letters;
        }
        let mut letters = [b'A'; 11];
        let digest = digest(&SHA256, system.as_bytes());
        // Eight bytes always make eleven letters, so nothing is left unwritten.
        let written = URL_SAFE_NO_PAD.encode_slice(digest.as_ref().get(..8).unwrap_or_default(), &mut letters);
        debug_assert_eq!(written, Ok(11));
        if known.len() < SYSTEMS_MAX {
            known.insert(system.into(), letters);
        }
        letters
    });
    out.extend(letters.iter().map(|letter| char::from(*letter)));
}

/// The word of a coded value; the system is empty where there is none.
#[must_use]
pub fn token(system: &str, code: &str) -> String {
    let mut out = String::with_capacity(code.len() + 12);
    out.push_str(&escape_code(code));
    out.push(MARK);
    push_hash(system, &mut out);
    out
}

/// How the words of all codes of a system end.
#[must_use]
pub fn system_end(system: &str) -> String {
    let mut out = String::from(MARK);
    push_hash(system, &mut out);
    out
}

/// The code as it stands in a word: nothing in it must look like the end of the code.
fn escape_code(code: &str) -> Cow<'_, str> {
    if code.contains([MARK, '%']) { Cow::Owned(code.replace('%', "%25").replace(MARK, "%01")) } else { Cow::Borrowed(code) }
}

/// The words of this code in any system: from the first up to but without the second, compared by bytes.
#[must_use]
pub fn code_range(code: &str) -> (String, String) {
    let code = escape_code(code);
    (format!("{code}{MARK}"), format!("{code}{MARK_END}"))
}

/// The first word that does not begin with the prefix any more, compared by bytes; `None` if there is no end.
#[must_use]
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // The letter after one is the next that exists: surrogates are none.
        let after = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(after) = after {
            letters.push(after);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

/// The word of a reference: without the version it may name. Our own base address is taken off by who knows it.
#[must_use]
pub fn reference(text: &str) -> &str {
    text.split_once("/_history/").map_or(text, |(bare, _)| bare)
}

/// The word of a reference that names its target by an identifier.
#[must_use]
pub fn identifier_reference(system: &str, value: &str) -> String {
    format!("#id|{}", token(system, value))
}

/// The words of references that name their target by an identifier of this value in any system.
#[must_use]
pub fn identifier_range(value: &str) -> (String, String) {
    let (low, high) = code_range(value);
    (format!("#id|{low}"), format!("#id|{high}"))
}

/// A string as it is compared: lower case, without accents, letters that no accent makes spelt with plain ones, blanks folded into
/// one, cut.
#[must_use]
pub fn normalized(text: &str) -> String {
    folded(text, STRING_MAX)
}

/// The same, cut after so many characters.
pub(super) fn folded(text: &str, characters_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(characters_max));
    if text.is_ascii() {
        fold(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())), characters_max, &mut out);
    } else {
        let letters = text.nfkd().filter(|letter| !is_combining_mark(*letter));
        let plain = letters.flat_map(char::to_lowercase).filter(|letter| !is_combining_mark(*letter)).flat_map(spelt);
        fold(plain, characters_max, &mut out);
    }
    out
}

/// A letter as it is spelt where it is not to hand: Unicode takes it for one of its own, and takes no accent off it. Who changes these
/// changes rows that are stored: see `ledger/search/rebuild.rs`.
fn spelt(letter: char) -> impl Iterator<Item = char> {
    let (first, second) = match letter {
        'ł' => ('l', None),
        'ø' => ('o', None),
        'đ' | 'ð' => ('d', None),
        'ı' => ('i', None),
        'ς' => ('σ', None),
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'þ' => ('t', Some('h')),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

fn fold(letters: impl Iterator<Item = char>, characters_max: usize, out: &mut String) {
    let (mut count, mut gap) = (0, false);
    for letter in letters {
        if letter.is_whitespace() {
            gap = count > 0;
            continue;
        }
        if gap {
            gap = false;
            out.push(' ');
            count += 1;
        }
        if count >= characters_max {
            break;
        }
        out.push(letter);
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_range(word: &str, (low, high): &(String, String)) -> bool {
        word >= low.as_str() && word < high.as_str()
    }

    #[test]
    fn a_code_is_found_with_and_without_its_system() {
        let word = token("http://loinc.org", "1234-5");
        assert_eq!(word.len(), "1234-5¦".len() - 1 + 11);
        assert_eq!(token("", "1234-5"), "1234-5\u{1}");
        assert!(in_range(&word, &code_range("1234-5")));
        assert!(in_range("1234-5\u{1}", &code_range("1234-5")));
        for other in ["1234-56", "1234-", "1234-5 ", "1234-5}", "1234-5|x|y", "1234-5\u{1}y", "1234-5%"] {
            assert!(!in_range(&token("http://loinc.org", other), &code_range("1234-5")), "{other}");
        }
        assert!(in_range(&token("s", "a|b"), &code_range("a|b")));
        assert_ne!(token("", "a\u{1}b"), token("", "a%01b"));
        let mut sorted = ["MRN12", "MRN1", "MRN2", "MRN10", "MRN1 "].map(|code| token("urn:mrn", code));
        sorted.sort();
        assert_eq!(sorted, ["MRN1", "MRN1 ", "MRN10", "MRN12", "MRN2"].map(|code| token("urn:mrn", code)));
        assert_ne!(token("http://loinc.org", "1"), token("http://snomed.info/sct", "1"));
    }

    #[test]
    fn strings_are_compared_without_case_accent_and_blanks() {
        assert_eq!(normalized("  José   VAN der\tBerg "), "jose van der berg");
        assert_eq!(normalized("ﬁne ÅNGSTRÖM"), "fine angstrom");
        assert_eq!(normalized("李 小龍"), "李 小龍");
        assert_eq!(normalized("İ"), "i");
        assert_eq!(normalized("ΑΣ ας"), "ασ ασ");
        assert_eq!(
            normalized("ŁÓDŹ Straße ẞ Øre Ǿ Đorđe Ægir Ǽ Œuvre Þór Ísafjörður ısı"),
            "lodz strasse ss ore o dorde aegir ae oeuvre thor isafjordur isi"
        );
        assert_eq!(normalized(&"é".repeat(300)).chars().count(), STRING_MAX);
        assert_eq!(normalized(""), "");
    }

    #[test]
    fn a_prefix_ends_before_the_next_letter() {
        assert_eq!(prefix_end("jo").as_deref(), Some("jp"));
        assert_eq!(prefix_end("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(prefix_end("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(prefix_end(""), None);
    }

    #[test]
    fn a_reference_loses_its_version() {
        assert_eq!(reference("Patient/1/_history/2"), "Patient/1");
        assert_eq!(reference("https://x/Patient/1"), "https://x/Patient/1");
        assert_eq!(identifier_reference("", "7"), "#id|7\u{1}");
        assert!(in_range(&identifier_reference("urn:x", "7"), &identifier_range("7")));
    }
}
