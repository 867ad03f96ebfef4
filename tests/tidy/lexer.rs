//! Splits Rust text into what is code, what is a string and what is a comment, so that rules look in the right place.

/// The three parts of a file; each keeps the file's line breaks, so line numbers hold.
pub(crate) struct Parts {
    /// The code, with strings and comments blanked.
    pub(crate) code: String,
    /// The string literals: line and text.
    pub(crate) strings: Vec<(usize, String)>,
}

/// Splits the text. Made for our own formatted code, not for every Rust program.
pub(crate) fn split(text: &str) -> Parts {
    let chars: Vec<char> = text.chars().collect();
    let mut parts = Parts { code: String::with_capacity(text.len()), strings: Vec::new() };
    let mut at = 0;
    let mut line = 1;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_end(&chars, at),
            '"' => text_end(&chars, at),
            'r' if !after_word(&chars, at) && raw_hashes(&chars, at).is_some() => raw_end(&chars, at),
            '\'' => quote_end(&chars, at),
            _ => at + 1,
        };
        let piece: String = chars[at..end].iter().collect();
        if end == at + 1 {
            parts.code.push_str(&piece);
        } else {
            if chars[at] == '"' || chars[at] == 'r' {
                parts.strings.push((line, piece.clone()));
            }
            parts.code.push(' ');
            parts.code.extend(piece.chars().filter(|c| *c == '\n'));
        }
        line += piece.matches('\n').count();
        at = end;
    }
    parts
}

fn after_word(chars: &[char], at: usize) -> bool {
    // `br"…"` is a string too; every other letter before `r` makes it part of a name.
    at > 0 && (chars[at - 1].is_alphanumeric() && chars[at - 1] != 'b' || chars[at - 1] == '_')
}

fn line_end(chars: &[char], at: usize) -> usize {
    (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len())
}

fn block_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn text_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = raw_hashes(chars, at).unwrap_or(0);
    let closes = |i: usize| chars[i] == '"' && chars[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (at + hashes + 2..chars.len()).find(|i| closes(*i)).map_or(chars.len(), |i| i + 1 + hashes)
}

/// A character literal as a whole, or only the quote of a lifetime.
fn quote_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => (at + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(chars.len(), |i| i + 1),
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// The paths that the code names, such as `crate::ledger::Scope`, with their lines; braces are spread out.
pub(crate) fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = tokens[at].1 != "::" && is_word(&tokens[at].1) && (at == 0 || tokens[at - 1].1 != "::");
        if starts {
            follow(&tokens, at, &[], &mut found);
        }
        at += 1;
    }
    found
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn follow(tokens: &[(usize, String)], mut at: usize, before: &[String], found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut path = before.to_vec();
    let line = tokens[at].0;
    loop {
        match tokens.get(at).map(|token| token.1.as_str()) {
            Some("{") if !path.is_empty() => {
                at += 1;
                while at < tokens.len() && tokens[at].1 != "}" {
                    at = if is_word(&tokens[at].1) { follow(tokens, at, &path, found) } else { at + 1 };
                }
                return at + 1;
            }
            Some(word) if is_word(word) || word == "*" => path.push(word.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.1 != "::") {
            break;
        }
        at += 1;
    }
    if path.len() > 1 {
        found.push((line, path));
    }
    at
}

fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let word = |c: &&char| c.is_alphanumeric() || **c == '_';
            let length = chars[at..].iter().take_while(word).count();
            let length = if length > 0 { length } else { 1 + usize::from(chars[at] == ':' && chars.get(at + 1) == Some(&':')) };
            if !chars[at].is_whitespace() {
                tokens.push((index + 1, chars[at..at + length].iter().collect()));
            }
            at += length;
        }
    }
    tokens
}
