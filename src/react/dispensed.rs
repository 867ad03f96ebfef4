//! Of which fills a dispense or a copy of one is, found without comparing it with each of theirs.

use super::cover::Fill;

/// Places for the marks of ids: a multiple of 64, many times what a person has of one product.
const MARKS: usize = 2_048;

/// The dispenses that make the fills of a product, and their copies.
#[derive(Debug)]
pub(crate) struct Dispensed<'f> {
    /// Each with the place of its fill, in order.
    sorted: Vec<(&'f str, usize)>,
    /// One bit for what an id ends with. Of most ids that are of no fill it says so.
    marks: [u64; MARKS / 64],
}

impl<'f> Dispensed<'f> {
    /// Of these fills.
    pub(crate) fn of(fills: &'f [Fill]) -> Self {
        let of_fill = |(at, fill): (usize, &'f Fill)| fill.tellers().map(move |id| (id, at));
        let mut sorted: Vec<(&str, usize)> = fills.iter().enumerate().flat_map(of_fill).collect();
        sorted.sort_unstable();
        let mut marks = [0; MARKS / 64];
        for (id, _) in &sorted {
            let mark = mark(id);
            marks[mark / 64] |= 1 << (mark % 64);
        }
        Self { sorted, marks }
    }

    /// This dispense with the place of each fill that it is of.
    pub(crate) fn fills_of(&self, dispense: &str) -> &[(&'f str, usize)] {
        let mark = mark(dispense);
        if self.marks[mark / 64] & (1 << (mark % 64)) == 0 {
            return &[];
        }
        let from = self.sorted.partition_point(|(id, _)| *id < dispense);
        let same = self.sorted[from..].iter().take_while(|(id, _)| *id == dispense).count();
        &self.sorted[from..from + same]
    }

    /// Whether it is of the fill at this place.
    pub(crate) fn is_of(&self, dispense: &str, fill: usize) -> bool {
        self.fills_of(dispense).iter().any(|(_, at)| *at == fill)
    }
}

/// Ids of one source often begin alike.
fn mark(id: &str) -> usize {
    id.bytes().rev().take(4).fold(0, |mark, byte| mark * 31 + usize::from(byte)) % MARKS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(dispenses: &[&str]) -> Fill {
        let dispenses = dispenses.iter().map(|id| (*id).to_owned()).collect();
        Fill { handed: 0, first: 0, last: None, days: 0, step: String::new(), dispenses, copies: Vec::new() }
    }

    #[test]
    fn a_dispense_is_of_the_fills_that_name_it_and_of_no_other() {
        let fills = [fill(&["b", "a", "long-b"]), fill(&[]), fill(&["c", "a"])];
        let dispensed = Dispensed::of(&fills);
        assert_eq!(dispensed.fills_of("a"), [("a", 0), ("a", 2)]);
        assert_eq!(dispensed.fills_of("b"), [("b", 0)]);
        assert_eq!(dispensed.fills_of("long-b"), [("long-b", 0)]);
        for other in ["", "d", "ab", "aa", "other-long-b"] {
            assert_eq!(dispensed.fills_of(other), [], "{other}");
        }
        assert!(dispensed.is_of("c", 2) && !dispensed.is_of("c", 0) && !dispensed.is_of("c", 1));
    }
}
