//! The known name that a misspelt one was most likely meant to be.

/// The nearest of the known names, if one is near enough to be worth saying.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let name = name.trim_start_matches('_');
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let near = (name.len() / 3).clamp(1, 3);
    known
        .map(|known| (distance(name, known), known))
        .filter(|(steps, _)| *steps <= near)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, known)| known)
}

/// Longer names are nobody's misspelling.
const NAME_BYTES_MAX: usize = 64;

/// How many letters must be changed, added or left out; upper and lower case are the same letter.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let changed = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let known = || ["birthDate", "gender", "name", "active"].into_iter();
        assert_eq!(nearest("birthdate", known()), Some("birthDate"));
        assert_eq!(nearest("gendre", known()), Some("gender"));
        assert_eq!(nearest("shoeSize", known()), None);
        assert_eq!(nearest("", known()), None);
        assert_eq!(nearest("日本", known()), None);
    }
}
