//! What an expression may take at most, whoever wrote it. Its work and its memory are counted, never its time.

use serde_json::json;

use super::{Context, Error, Expression, Item, PATTERNS_MAX, TEXT_BYTES_MAX};

const WORK: Result<usize, Error> = Err(Error::Bound("work of the evaluation"));
const TEXT: Result<usize, Error> = Err(Error::Bound("length of a text"));

/// How many items an expression gives, where `%big` is a text of so many letters and `%many` are so many texts.
fn count(text: &str, big: &str, many: usize) -> Result<usize, Error> {
    let many = (0..many).map(|at| Item::text(format!("text {at}"))).collect();
    let group = json!({"resourceType": "Group", "member": vec![json!({"inactive": true, "period": {"start": "2024"}}); 100],
        "extension": [{"url": "urn:x", "valueString": "y"}]});
    let context = Context::new().with("big", vec![Item::text(big)]).with("many", many);
    Expression::parse(text).unwrap().evaluate(&context, &group).map(|items| items.len())
}

/// `(0|1|2)`
fn union(count: usize) -> String {
    format!("({})", (0..count).map(|at| at.to_string()).collect::<Vec<_>>().join("|"))
}

#[test]
fn a_text_is_made_as_long_as_it_may_be_and_no_longer() {
    let half = "a".repeat(TEXT_BYTES_MAX / 2);
    for (fits, too_long) in [
        ("%big & %big", "%big & %big & 'a'"),
        ("%big + %big", "%big + %big + 'a'"),
        ("%big.combine(%big).join('')", "%big.combine(%big).join('-')"),
        ("%big.replace('a', 'aa')", "%big.replace('a', 'aaa')"),
        ("%big.replaceMatches('aa', 'bbbb')", "%big.replaceMatches('aa', 'bbbbbb')"),
        ("%big.replaceMatches('(a)+', '$0')", "%big.replaceMatches('a+', '$0$0-')"),
        ("%big.encode('hex')", "(%big & 'a').encode('hex')"),
        ("%big.encode('base64')", "(%big & %big).encode('base64')"),
        ("%big.escape('html')", "%big.replace('a', '<').escape('html')"),
        ("%big.escape('json')", "%big.replace('a', '\\u0001').escape('json')"),
        ("%big.upper()", "(%big & %big).replace('aa', '\\u0390').upper()"),
    ] {
        assert_eq!(count(fits, &half, 0), Ok(1), "{fits}");
        assert_eq!(count(too_long, &half, 0), TEXT, "{too_long}");
    }
}

#[test]
fn what_doubles_with_every_item_ends_at_the_bound() {
    for operator in ["&", "+"] {
        let doubling = |items: usize| format!("{}.aggregate($total {operator} $total, 'aaaaaaaaaaaaaaaa')", union(items));
        assert_eq!(count(&doubling(16), "", 0), Ok(1));
        assert_eq!(count(&doubling(20), "", 0), TEXT);
    }
    assert_eq!(count("%big.replaceMatches('a*', '$0$0$0$0')", &"a".repeat(TEXT_BYTES_MAX / 2), 0), TEXT);
}

#[test]
fn many_copies_of_a_text_are_work() {
    let big = "a".repeat(1 << 16);
    for copies in ["select(%big)", "select('x' & %big)", "where(%big = %big)", "select(%big).count()", "where(%big in %big)"] {
        assert!(count(&format!("{}.{copies}", union(10)), &big, 0).is_ok(), "{copies}");
        assert_eq!(count(&format!("{}.{copies}", union(1_000)), &big, 0), WORK, "{copies}");
    }
}

#[test]
fn many_items_are_not_each_compared_with_all() {
    // A row of a thousand bars is gathered once.
    assert_eq!(count(&union(3_000), "", 0), Ok(3_000));
    let texts = |count: usize| union(count).replace('|', "'|'").replace('(', "('").replace(')', "')");
    assert_eq!(count(&format!("{0}.where($this in {0})", texts(30)), "", 0), Ok(30));
    assert_eq!(count(&format!("{0}.where($this in {0})", texts(600)), "", 0), WORK);
    for pairs in ["%many.where($this in %many)", "%many ~ %many", "%many.where(%many contains $this)"] {
        assert!(count(pairs, "", 30).is_ok(), "{pairs}");
        assert_eq!(count(pairs, "", 3_000), WORK, "{pairs}");
    }
}

/// Where a resource stands in a collection many times, its elements are counted before they are gathered: all of them would
/// not fit into memory.
#[test]
fn elements_are_counted_as_they_are_found() {
    let member = json!({"inactive": true});
    let extension = json!({"url": "urn:x", "valueString": "y"});
    let group = json!({"resourceType": "Group", "member": vec![member; 60_000], "extension": vec![extension; 100]});
    let ask = |text: &str| {
        let expression = Expression::parse(text).unwrap();
        expression.evaluate(&Context::new(), &group).map(|items| items.len())
    };
    assert_eq!(ask("member.select(%resource)"), Ok(60_000));
    assert_eq!(ask("member.take(3).select(%resource).member"), Ok(180_000));
    for text in ["member", "children()", "descendants()", "extension('urn:y')"] {
        assert_eq!(ask(&format!("member.select(%resource).{text}")), WORK, "{text}");
    }
}

#[test]
fn long_values_are_work_to_compare() {
    let contained = |last: &str| json!({"resourceType": "Group", "member": vec![json!({"inactive": true}); 1_000], "id": last});
    let alike = json!({"resourceType": "Patient", "contained": [contained("a"), contained("a")], "name": vec![json!({"text": "x"}); 1_000],
        "photo": [{"data": "a".repeat(1 << 16)}, {"data": "a".repeat(1 << 16)}]});
    for (first, second) in
        [("%resource.contained[0]", "%resource.contained[1]"), ("%resource.photo[0].data", "%resource.photo[1].data")]
    {
        for operator in ["=", "!=", "~", "in"] {
            let ask = |names: usize| {
                let text = format!("name.take({names}).select({first} {operator} {second})");
                Expression::parse(&text).unwrap().evaluate(&Context::new(), &alike).map(|items| items.len())
            };
            assert_eq!(ask(10), Ok(10), "{first} {operator}");
            assert_eq!(ask(1_000), WORK, "{first} {operator}");
        }
    }
}

/// Dates that are only partly known have no order among each other, so that none of the whole holds.
#[test]
fn what_has_no_order_is_sorted_all_the_same() {
    let dates: Vec<String> = (0..600)
        .map(|at| match at % 3 {
            0 => String::from("@2024"),
            1 => format!("@2024-{:02}", 12 - at % 12),
            _ => format!("@2024-{:02}-{:02}", 1 + at % 12, 1 + at % 28),
        })
        .collect();
    let all = format!("{{}}.{}.sort()", dates.iter().map(|date| format!("combine({date})")).collect::<Vec<_>>().join("."));
    assert_eq!(count(&all, "", 0), Ok(600));
    let numbers = format!("{}.sort(-$this).first() = 2999", union(3_000));
    assert_eq!(count(&numbers, "", 0), Ok(1));
}

#[test]
fn so_many_patterns_are_written_out_and_no_more() {
    let matching = |count: usize| Expression::parse(&vec!["'x'.matches('x')"; count].join(" and "));
    assert_eq!(matching(PATTERNS_MAX).map(|expression| expression.patterns()), Ok(PATTERNS_MAX));
    assert!(matches!(matching(PATTERNS_MAX + 1), Err(Error::Bound(_))));
    // Those that are put together are made ready each time.
    let made = |times: usize| count(&format!("{}.where('x'.matches('x' & ''))", union(times)), "", 0);
    assert_eq!(made(10), Ok(10));
    assert_eq!(made(300), WORK);
    assert_eq!(count("%big.matches('b')", &"a".repeat(1 << 20), 0), WORK);
    // What it counts is tried in as many places.
    for (pattern, expected) in
        [("(?:a|b)*a(?:a|b){2}c", Ok(1)), ("(?:a|b)*a(?:a|b){3,}c", Ok(1)), ("(?:a|b)*a(?:a|b){5,5000}c", WORK)]
    {
        assert_eq!(count(&format!("%big.matches('{pattern}')"), &"a".repeat(10_000), 0), expected, "{pattern}");
    }
}
