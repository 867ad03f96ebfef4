//! The codes of the required bindings.
//! Follows <https://hl7.org/fhir/R4/terminologies.html#required>.

/// A value set that an element must take its code from.
#[derive(Debug)]
pub struct ValueSet {
    /// Its canonical address.
    pub url: &'static str,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    /// Code systems, each with its codes in byte order.
    Listed(Vec<(&'static str, Vec<&'static str>)>),
    /// BCP 13: `type/subtype`, perhaps with parameters.
    Mime,
    /// ISO 4217: three capital letters.
    Currency,
}

impl ValueSet {
    /// Reads a line of `codes.tsv`.
    pub(super) fn read(line: &'static str) -> Self {
        let mut fields = line.split('\t');
        let url = fields.next().unwrap_or_default();
        let rule = match fields.clone().next() {
            Some("?mime") => Rule::Mime,
            Some("?currency") => Rule::Currency,
            _ => Rule::Listed(fields.map(group).collect()),
        };
        Self { url, rule }
    }

    /// Whether the set has this code in any of its systems.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        match &self.rule {
            Rule::Listed(groups) => groups.iter().any(|(_, codes)| codes.binary_search(&code).is_ok()),
            Rule::Mime => is_mime(code),
            Rule::Currency => code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()),
        }
    }

    /// Whether the set has this code of this system.
    #[must_use]
    pub fn has(&self, system: &str, code: &str) -> bool {
        match &self.rule {
            Rule::Listed(groups) => groups.iter().any(|(own, codes)| *own == system && codes.binary_search(&code).is_ok()),
            Rule::Mime | Rule::Currency => self.has_code(code),
        }
    }

    /// All codes, where they can be listed, for the sentence that says what would be right.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        let groups = match &self.rule {
            Rule::Listed(groups) => groups.as_slice(),
            Rule::Mime | Rule::Currency => &[],
        };
        groups.iter().flat_map(|(_, codes)| codes.iter().copied())
    }
}

fn group(field: &'static str) -> (&'static str, Vec<&'static str>) {
    let mut words = field.split(' ');
    (words.next().unwrap_or_default(), words.collect())
}

/// Senders write `pdf` or `xml` for a format in old capability statements; one word is let pass, white space and controls are not.
fn is_mime(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
