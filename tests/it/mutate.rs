//! Makes hostile inputs out of honest ones: bytes are flipped, pieces cut, doubled, moved and put in, again and again.

/// Chance that is the same on every run with the same seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below this one, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let at = self.below(items.len());
        &items[at]
    }
}

/// One input made of a seed, changed in one to four ways. `words` are pieces that mean something there.
pub(crate) fn mutated(chance: &mut Chance, seeds: &[String], words: &[&str]) -> Vec<u8> {
    let mut input = chance.pick(seeds).clone().into_bytes();
    for _ in 0..=chance.below(4) {
        change(chance, &mut input, seeds, words);
    }
    input
}

fn change(chance: &mut Chance, input: &mut Vec<u8>, seeds: &[String], words: &[&str]) {
    let from = chance.below(input.len() + 1);
    let length = 1 + chance.below(24);
    let to = (from + length).min(input.len());
    match chance.below(9) {
        0 if from < input.len() => input[from] ^= 1 << chance.below(8),
        1 => drop(input.drain(from..to)),
        2 => {
            let piece = input[from..to].to_vec();
            let times = 1 + chance.below(40);
            input.splice(from..from, piece.repeat(times));
        }
        3 | 4 => {
            let word = chance.pick(words).as_bytes().to_vec();
            input.splice(from..from, word);
        }
        5 => {
            let word = chance.pick(words).as_bytes().to_vec();
            input.splice(from..to, word);
        }
        6 => {
            let other = chance.pick(seeds).as_bytes();
            let start = chance.below(other.len() + 1);
            let end = (start + 1 + chance.below(200)).min(other.len());
            input.splice(from..from, other[start..end].to_vec());
        }
        7 => whole_piece(chance, input),
        _ => {
            let number = *chance.pick(&["0", "-1", "2147483648", "99999999999999999999", "1e400", "0.0000001", "1.10", "007"]);
            let digits = input.iter().skip(from).position(u8::is_ascii_digit).map(|at| from + at);
            if let Some(at) = digits {
                let end = input[at..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |length| at + length);
                input.splice(at..end, number.bytes());
            }
        }
    }
}

/// Doubles, moves or takes away what stands between two marks, such as a whole element or member.
fn whole_piece(chance: &mut Chance, input: &mut Vec<u8>) {
    let marks: Vec<usize> =
        input.iter().enumerate().filter(|(_, byte)| b"{}[]<>,&?/.(|".contains(byte)).map(|(at, _)| at).collect();
    if marks.len() < 2 {
        return;
    }
    let (one, other) = (*chance.pick(&marks), *chance.pick(&marks));
    let (from, to) = (one.min(other), one.max(other));
    if to - from > 4_000 {
        return;
    }
    let piece: Vec<u8> = if chance.below(2) == 0 { input[from..to].to_vec() } else { input.drain(from..to).collect() };
    let at = chance.below(input.len() + 1);
    input.splice(at..at, piece);
}
