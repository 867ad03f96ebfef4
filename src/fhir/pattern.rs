//! Regular expressions that strangers write, in rules, patches and value sets: bounded before they are made ready, since one that is
//! large takes memory, and one that nests deep takes the stack.

use regex::{Regex, RegexBuilder};

/// How deep groups and repetitions of a regular expression may nest. Each level takes up to 16 KiB of the stack while it is made ready.
const NEST_MAX: u32 = 32;

/// Makes a regular expression ready that takes at most so many bytes; it runs in linear time.
///
/// # Errors
/// When it is none, is larger, or nests deeper than it may.
pub(super) fn ready(text: &str, bytes_max: usize, dot_is_any: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).dot_matches_new_line(dot_is_any).size_limit(bytes_max).nest_limit(NEST_MAX).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(text: &str) -> bool {
        ready(text, 1 << 20, true).is_ok()
    }

    // A whole level of each kind, and one too many; what is refused is refused before it takes the stack.
    #[test]
    fn a_pattern_nests_as_deep_as_it_may_and_no_deeper() {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let nested = || {
            for (open, close) in [("", "+"), ("(", ")"), ("(?:a|", ")*"), ("(?:", "){2}?")] {
                let of = |depth: usize| format!("{}a{}", open.repeat(depth), close.repeat(depth));
                assert!(is_ready(&of(8)), "{open}");
                for depth in [33, 249, 10_000] {
                    assert!(!is_ready(&of(depth)), "{depth}: {open}");
                }
            }
        };
        small.spawn(nested).unwrap().join().unwrap();
    }

    #[test]
    fn a_pattern_is_as_large_as_it_may_be_and_no_larger() {
        assert!(ready("[a-z]{100}", 1 << 16, false).is_ok());
        assert!(ready("[a-z]{10000}", 1 << 16, false).is_err());
        assert!(!is_ready("("));
    }

    #[test]
    fn a_dot_is_the_end_of_a_line_where_that_is_asked_for() {
        let holds = |dot_is_any: bool| ready("^a.b$", 1 << 16, dot_is_any).unwrap().is_match("a\nb");
        assert_eq!((holds(true), holds(false)), (true, false));
    }
}
