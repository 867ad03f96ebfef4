//! The narrative: well-formed enough to be shown, and nothing in it that acts.
//! Follows <https://hl7.org/fhir/R4/narrative.html#Narrative>.

/// The elements that HTML 4 has for text, lists, tables and images.
const ELEMENTS: [&str; 62] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
];

const ILL_FORMED: &str = "The narrative is not well-formed XHTML; close every tag and quote every attribute.";
const NO_DIV: &str = "The narrative is one <div> element and nothing beside it.";
const ACTIVE: &str =
    "The narrative holds something that acts or loads, such as a script, a form, a frame or an event attribute; leave it out.";
const FOREIGN: &str =
    "The narrative holds an element that is not basic formatting; use text, lists, tables, links and images only.";
const EMPTY: &str = "The narrative has no text; write some or leave it out.";
const COMMENT: &str =
    "A comment of the narrative begins with > or holds --, where a browser may take it for ended; leave them out.";
const CDATA: &str =
    "The narrative holds a CDATA section, which a browser does not read as one; write its text with &lt; and &amp;.";
const DOCTYPE: &str = "The narrative holds a document type or a processing instruction; leave it out.";

/// The white space of XML; a browser takes other blanks for letters.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Looks at the text of a `div`; the error is the sentence that says what would be right.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let mut scan = Scan { rest: text.trim(), open: Vec::new(), says_something: false };
    if !scan.rest.starts_with("<div") {
        return Err(NO_DIV);
    }
    while !scan.rest.is_empty() {
        scan.step()?;
        if scan.open.is_empty() {
            let shown = if scan.says_something { Ok(()) } else { Err(EMPTY) };
            return if scan.rest.is_empty() { shown } else { Err(NO_DIV) };
        }
    }
    Err(ILL_FORMED)
}

struct Scan<'a> {
    rest: &'a str,
    open: Vec<&'a str>,
    says_something: bool,
}

impl<'a> Scan<'a> {
    /// Takes one tag or one stretch of text.
    fn step(&mut self) -> Result<(), &'static str> {
        if let Some(after) = self.rest.strip_prefix("<!--") {
            return self.comment(after);
        }
        if self.rest.starts_with("<![CDATA[") {
            return Err(CDATA);
        }
        if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
            return Err(DOCTYPE);
        }
        if let Some(after) = self.rest.strip_prefix("</") {
            let (name, after) = after.split_once('>').ok_or(ILL_FORMED)?;
            self.rest = after;
            return if self.open.pop() == Some(name.trim_end_matches(BLANKS)) { Ok(()) } else { Err(ILL_FORMED) };
        }
        match self.rest.strip_prefix('<') {
            Some(after) => self.tag(after),
            None => self.words(),
        }
    }

    /// Passes by a comment. A browser ends one at `<!-->`, `<!--->` and `--!>`, too, and reads what follows as elements; between
    /// other words, `<` and `>` are only letters to it.
    fn comment(&mut self, after: &'a str) -> Result<(), &'static str> {
        let (words, rest) = after.split_once("-->").ok_or(ILL_FORMED)?;
        self.rest = rest;
        let may_end = words.starts_with('>') || words.starts_with("->") || words.contains("--") || words.ends_with('-');
        if may_end { Err(COMMENT) } else { Ok(()) }
    }

    fn words(&mut self) -> Result<(), &'static str> {
        let (words, rest) = self.rest.split_at(self.rest.find('<').unwrap_or(self.rest.len()));
        self.rest = rest;
        self.says_something = self.says_something || !words.trim_ascii().is_empty();
        if entities_are_whole(words) { Ok(()) } else { Err(ILL_FORMED) }
    }

    fn tag(&mut self, after: &'a str) -> Result<(), &'static str> {
        let end = after.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (name, mut rest) = after.split_at(end);
        if ELEMENTS.binary_search(&name).is_err() {
            return Err(if is_active(name) {
                ACTIVE
            } else if name.is_empty() {
                ILL_FORMED
            } else {
                FOREIGN
            });
        }
        self.says_something = self.says_something || name == "img";
        loop {
            let trimmed = rest.trim_start_matches(BLANKS);
            if let Some(after) = trimmed.strip_prefix("/>") {
                self.rest = after;
                return Ok(());
            }
            if let Some(after) = trimmed.strip_prefix('>') {
                self.rest = after;
                self.open.push(name);
                return Ok(());
            }
            if trimmed.len() == rest.len() {
                return Err(ILL_FORMED);
            }
            rest = attribute(trimmed)?;
        }
    }
}

/// Takes one attribute and gives what follows.
fn attribute(text: &str) -> Result<&str, &'static str> {
    let (name, after) = text.split_once('=').ok_or(ILL_FORMED)?;
    let name = name.trim_end_matches(BLANKS);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.')) {
        return Err(ILL_FORMED);
    }
    let after = after.trim_start_matches(BLANKS);
    let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\'')).ok_or(ILL_FORMED)?;
    let (value, after) = after[1..].split_once(quote).ok_or(ILL_FORMED)?;
    if value.contains('<') || !entities_are_whole(value) {
        return Err(ILL_FORMED);
    }
    let lower = name.to_ascii_lowercase();
    let acts = lower.starts_with("on") || lower.starts_with("xlink") || lower == "formaction" || runs(value);
    if acts { Err(ACTIVE) } else { Ok(after) }
}

/// Whether an element is one of those that act, so that the sentence can say so.
fn is_active(name: &str) -> bool {
    let active = [
        "applet", "base", "body", "button", "embed", "fieldset", "form", "frame", "frameset", "head", "html", "iframe", "input",
        "link", "meta", "object", "option", "script", "select", "style", "svg", "textarea",
    ];
    active.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether an attribute's value would be run by a browser that follows it; white space and references do not hide it.
fn runs(value: &str) -> bool {
    if !value.contains(':') && !value.contains('&') {
        return false;
    }
    let mut plain = String::new();
    let mut rest = value;
    while let Some(letter) = rest.chars().next() {
        let (meant, length) = reference(rest).unwrap_or((letter, letter.len_utf8()));
        if !meant.is_whitespace() && !meant.is_control() {
            plain.push(meant.to_ascii_lowercase());
        }
        rest = &rest[length..];
    }
    let data = plain.starts_with("data:") && !plain.starts_with("data:image/");
    data || plain.contains("javascript:") || plain.contains("vbscript:") || plain.contains("expression(")
}

/// The character that a reference at the beginning stands for, and how long it is.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text.strip_prefix('&')?.find(';')?;
    let name = &text[1..=end];
    let meant = match name.strip_prefix('#') {
        Some(number) => {
            let code =
                number.strip_prefix(['x', 'X']).map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
            char::from_u32(code?)?
        }
        None => match name {
            "colon" => ':',
            "Tab" | "NewLine" => ' ',
            "lpar" => '(',
            _ => return None,
        },
    };
    Some((meant, end + 2))
}

/// Whether every `&` begins a reference like `&nbsp;` or `&#160;`.
fn entities_are_whole(text: &str) -> bool {
    text.match_indices('&').all(|(at, _)| {
        let rest = &text[at + 1..];
        rest.find(';').is_some_and(|end| {
            let name = &rest[..end];
            let digits = name.strip_prefix('#').map(|number| number.strip_prefix('x').unwrap_or(number));
            let word = digits.unwrap_or(name);
            !word.is_empty() && word.len() <= 10 && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_formatting_is_accepted() {
        for text in [
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">A <b>word</b><br/>&nbsp;&#160;&amp; more</div>",
            "\n <div><img src='data:image/png;base64,AA' alt=\"x\" /></div> ",
            "<div><!-- a - <b>comment</b>: 1, 2! --><!----><p\n class = \"x\">ok</p ></div>",
            "<div><a href=\"https://example.org/?a=1&amp;b=2\">link</a><table><tr><td colspan=\"2\">1</td></tr></table></div>",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_acts_or_is_broken_is_refused() {
        for (text, words) in [
            ("<div><script>alert(1)</script></div>", ACTIVE),
            ("<div><SCRIPT>alert(1)</SCRIPT></div>", ACTIVE),
            ("<div onclick=\"x()\">a</div>", ACTIVE),
            ("<div><a href=\" jAva&#115;cript:x()\">a</a></div>", ACTIVE),
            ("<div><a href=\"javascript&colon;x()\">a</a></div>", ACTIVE),
            ("<div><a href=\"data:text/html,x\">a</a></div>", ACTIVE),
            ("<div><form><input/></form></div>", ACTIVE),
            ("<div><blink>a</blink></div>", FOREIGN),
            ("<div><p>a</div>", ILL_FORMED),
            ("<div>a", ILL_FORMED),
            ("<div>a & b</div>", ILL_FORMED),
            ("<div class=x>a</div>", ILL_FORMED),
            ("<div>a < b</div>", ILL_FORMED),
            ("<div>a</div><div>b</div>", NO_DIV),
            ("text", NO_DIV),
            ("<p>text</p>", NO_DIV),
            ("<div> <p/> </div>", EMPTY),
            ("<div><!DOCTYPE html>a</div>", DOCTYPE),
            ("<div><?php echo 1 ?>a</div>", DOCTYPE),
            ("<div>x<![CDATA[y]]></div>", CDATA),
            ("<div>x<![CDATA[><img src=x onerror=alert(1)>]]></div>", CDATA),
            ("<div>x<!--><img src=x onerror=alert(1)>--></div>", COMMENT),
            ("<div>x<!---><img src=x onerror=alert(1)>--></div>", COMMENT),
            ("<div>x<!-- --!><img src=x onerror=alert(1)> --></div>", COMMENT),
            ("<div>x<!-- <!--><img src=x onerror=alert(1)> --></div>", ILL_FORMED),
            ("<div>x<!-- a -- b --></div>", COMMENT),
            ("<div>x<!-- a ---></div>", COMMENT),
            ("<div>x<!-- a </div>", ILL_FORMED),
            // To a browser these blanks are letters: of the name of the element, or of a value without quotes.
            ("<div>x<b\u{a0}title=\"y onmouseover=alert(1) z\">y</b></div>", ILL_FORMED),
            ("<div>x<b title=\u{a0}\"y onmouseover=alert(1) z\">y</b></div>", ILL_FORMED),
            ("<div>x<b title\u{2003}=\"y\">y</b></div>", ILL_FORMED),
            ("<div>x<b>y</b\u{a0}></div>", ILL_FORMED),
        ] {
            assert_eq!(check(text), Err(words), "{text}");
        }
    }

    #[test]
    fn the_names_are_in_order_for_the_search() {
        assert!(ELEMENTS.is_sorted());
    }
}
