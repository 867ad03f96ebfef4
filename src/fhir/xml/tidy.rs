//! The last hand on what the library wrote: narratives come back, letters that would be lost are escaped, and indents go.

use super::narrative::legal;

/// The document as it is sent. The library indents; without `pretty` the indents are taken away.
pub(super) fn tidy(text: &str, narratives: &[String], pretty: bool) -> String {
    let whole: usize = narratives.iter().map(String::len).sum();
    let mut out = String::with_capacity(text.len() + whole);
    let mut rest = text;
    let mut narratives = narratives.iter();
    // In what the library writes, `<div>` stands before a number and nowhere else: values have their brackets escaped.
    while let Some((before, after)) = rest.split_once("<div>") {
        values(before, pretty, &mut out);
        out.push_str(narratives.next().map_or("", String::as_str));
        rest = after.split_once("</div>").map_or("", |(_, rest)| rest);
    }
    values(rest, pretty, &mut out);
    out
}

/// Copies tags. Between quotes stands a value, where a bare line end would be read as a space; outside stand indents.
fn values(text: &str, pretty: bool, out: &mut String) {
    for (number, part) in text.split('"').enumerate() {
        let is_value = number % 2 == 1;
        if number > 0 {
            out.push('"');
        }
        if is_value {
            for letter in part.chars() {
                match letter {
                    '\n' => out.push_str("&#10;"),
                    '\r' => out.push_str("&#13;"),
                    '\t' => out.push_str("&#9;"),
                    letter => out.push(legal(letter)),
                }
            }
        } else if pretty {
            out.push_str(part);
        } else {
            let mut lines = part.split('\n');
            out.push_str(lines.next().unwrap_or_default());
            for line in lines {
                out.push_str(line.trim_start_matches(' '));
            }
        }
    }
}
