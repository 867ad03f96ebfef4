//! Units of measure: enough of UCUM to compare, convert, multiply and divide what resources really hold.
//! Follows <https://ucum.org/ucum>; a unit not known here is only ever equal to itself.

use super::decimal::Decimal;

/// Exponents of metre, gram, second, mole, kelvin, candela, coulomb and radian.
type Dimension = [i8; 8];

/// A unit reduced to base units: a factor, kept as a fraction to stay exact, and what it measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reduced {
    /// How many base units `per` of it are.
    pub(super) factor: Decimal,
    /// How many of it are `factor` base units.
    pub(super) per: Decimal,
    /// What it measures.
    pub(super) dimension: Dimension,
}

const NONE: Dimension = [0; 8];
const ONE: Reduced = Reduced { factor: Decimal::ONE, per: Decimal::ONE, dimension: NONE };
const LENGTH: Dimension = [1, 0, 0, 0, 0, 0, 0, 0];
const MASS: Dimension = [0, 1, 0, 0, 0, 0, 0, 0];
const TIME: Dimension = [0, 0, 1, 0, 0, 0, 0, 0];
const AMOUNT: Dimension = [0, 0, 0, 1, 0, 0, 0, 0];
const TEMPERATURE: Dimension = [0, 0, 0, 0, 1, 0, 0, 0];
const LIGHT: Dimension = [0, 0, 0, 0, 0, 1, 0, 0];
const CHARGE: Dimension = [0, 0, 0, 0, 0, 0, 1, 0];
const ANGLE: Dimension = [0, 0, 0, 0, 0, 0, 0, 1];
const VOLUME: Dimension = [3, 0, 0, 0, 0, 0, 0, 0];
const PRESSURE: Dimension = [-1, 1, -2, 0, 0, 0, 0, 0];
const FORCE: Dimension = [1, 1, -2, 0, 0, 0, 0, 0];
const ENERGY: Dimension = [2, 1, -2, 0, 0, 0, 0, 0];
const POWER: Dimension = [2, 1, -3, 0, 0, 0, 0, 0];
const FREQUENCY: Dimension = [0, 0, -1, 0, 0, 0, 0, 0];
const CATALYSIS: Dimension = [0, 0, -1, 1, 0, 0, 0, 0];
const VOLTAGE: Dimension = [2, 1, -2, 0, 0, 0, -1, 0];

/// Code, whether prefixes may stand before it, mantissa and scale of its factor, and what it measures.
const ATOMS: &[(&str, bool, i128, i8, Dimension)] = &[
    ("m", true, 1, 0, LENGTH),
    ("g", true, 1, 0, MASS),
    ("s", true, 1, 0, TIME),
    ("mol", true, 1, 0, AMOUNT),
    ("K", true, 1, 0, TEMPERATURE),
    ("cd", true, 1, 0, LIGHT),
    ("C", true, 1, 0, CHARGE),
    ("rad", true, 1, 0, ANGLE),
    ("eq", true, 1, 0, AMOUNT),
    ("osm", true, 1, 0, AMOUNT),
    ("L", true, 1, 3, VOLUME),
    ("l", true, 1, 3, VOLUME),
    ("min", false, 60, 0, TIME),
    ("h", false, 3600, 0, TIME),
    ("d", false, 86_400, 0, TIME),
    ("wk", false, 604_800, 0, TIME),
    ("mo", false, 2_629_800, 0, TIME),
    ("a", false, 31_557_600, 0, TIME),
    ("Hz", true, 1, 0, FREQUENCY),
    ("N", true, 1000, 0, FORCE),
    ("Pa", true, 1000, 0, PRESSURE),
    ("bar", true, 1, -8, PRESSURE),
    ("m[Hg]", true, 133_322_000, 0, PRESSURE),
    ("m[H2O]", true, 9_806_650, 0, PRESSURE),
    ("J", true, 1000, 0, ENERGY),
    ("cal", true, 4184, 0, ENERGY),
    ("W", true, 1000, 0, POWER),
    ("V", true, 1000, 0, VOLTAGE),
    ("kat", true, 1, 0, CATALYSIS),
    ("t", true, 1, -6, MASS),
    ("[in_i]", false, 254, 4, LENGTH),
    ("[ft_i]", false, 3048, 4, LENGTH),
    ("[mi_i]", false, 1_609_344, 3, LENGTH),
    ("[lb_av]", false, 45_359_237, 5, MASS),
    ("[oz_av]", false, 28_349_523_125, 9, MASS),
    ("[foz_us]", false, 295_735_295_625, 16, VOLUME),
    ("[gal_us]", false, 3_785_411_784, 12, VOLUME),
    ("%", false, 1, 2, NONE),
    ("1", false, 1, 0, NONE),
    ("[ppth]", false, 1, 3, NONE),
    ("[ppm]", false, 1, 6, NONE),
    ("10*", false, 10, 0, NONE),
    ("10^", false, 10, 0, NONE),
];

/// Prefixes and their powers of ten; the two letters of `da` stand before `d`.
const PREFIXES: &[(&str, i8)] = &[
    ("da", 1),
    ("Y", 24),
    ("Z", 21),
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("h", 2),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
];

/// The base units of a UCUM code; `None` if it is not known here.
pub(super) fn reduce(code: &str) -> Option<Reduced> {
    let mut all = ONE;
    if code.is_empty() {
        return Some(all);
    }
    let mut inverse = false;
    let mut rest = code.strip_prefix('/').inspect(|_| inverse = true).unwrap_or(code);
    loop {
        let cut = operator(rest);
        let (part, next) = rest.split_at(cut);
        if part.is_empty() {
            return None;
        }
        all = joined(all, component(part)?, inverse)?;
        let Some(sign) = next.chars().next() else { return Some(all) };
        inverse = sign == '/';
        rest = next.get(1..)?;
    }
}

/// Where the next `.` or `/` stands that is not inside brackets or an annotation.
fn operator(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, letter) in text.char_indices() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            '.' | '/' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn joined(left: Reduced, right: Reduced, inverse: bool) -> Option<Reduced> {
    let mut dimension = left.dimension;
    for (here, there) in dimension.iter_mut().zip(right.dimension) {
        *here = if inverse { here.checked_sub(there)? } else { here.checked_add(there)? };
    }
    let (over, under) = if inverse { (right.per, right.factor) } else { (right.factor, right.per) };
    Some(Reduced { factor: left.factor.times(over)?, per: left.per.times(under)?, dimension })
}

/// One component such as `m2`, `10*3`, `mmol` or `{tablet}`.
fn component(text: &str) -> Option<Reduced> {
    // An annotation says what is counted and changes nothing.
    let bare = text.split_once('{').map_or(text, |(bare, _)| bare);
    if bare.is_empty() {
        return Some(ONE);
    }
    let (name, exponent) = if bare == "1" { (bare, 1) } else { exponent(bare)? };
    let one = atom(name)?;
    let mut all = ONE;
    for _ in 0..exponent.unsigned_abs() {
        all = joined(all, one, exponent < 0)?;
    }
    Some(all)
}

fn exponent(text: &str) -> Option<(&str, i32)> {
    let cut = text.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    let (mut name, digits) = text.split_at(cut);
    if digits.is_empty() {
        return Some((name, 1));
    }
    let mut value: i32 = digits.parse().ok().filter(|value| *value <= 12)?;
    if let Some(bare) = name.strip_suffix('-') {
        (name, value) = (bare, -value);
    }
    Some((name.strip_suffix('+').unwrap_or(name), value))
}

fn atom(name: &str) -> Option<Reduced> {
    let exact = ATOMS.iter().find(|(code, ..)| *code == name).map(|entry| scaled(entry, 0));
    exact.or_else(|| {
        PREFIXES.iter().find_map(|(prefix, power)| {
            let bare = name.strip_prefix(prefix)?;
            let entry = ATOMS.iter().find(|(code, metric, ..)| *metric && *code == bare)?;
            Some(scaled(entry, *power))
        })
    })?
}

fn scaled(entry: &(&str, bool, i128, i8, Dimension), power: i8) -> Option<Reduced> {
    let (_, _, mantissa, scale, dimension) = entry;
    let exponent = i32::from(power) - i32::from(*scale);
    let factor = Decimal::parse(&format!("{mantissa}e{exponent}"))?;
    Some(Reduced { factor, per: Decimal::ONE, dimension: *dimension })
}

/// The calendar's words for stretches of time, and the UCUM code nearest to each.
pub(super) fn calendar(word: &str) -> Option<&'static str> {
    Some(match word {
        "year" | "years" => "a",
        "month" | "months" => "mo",
        "week" | "weeks" => "wk",
        "day" | "days" => "d",
        "hour" | "hours" => "h",
        "minute" | "minutes" => "min",
        "second" | "seconds" => "s",
        "millisecond" | "milliseconds" => "ms",
        _ => return None,
    })
}

/// A UCUM code for a product or quotient of base units, so that `2 m × 3 m` can be written.
pub(super) fn written(dimension: Dimension) -> String {
    let names = ["m", "g", "s", "mol", "K", "cd", "C", "rad"];
    let part = |(name, power): (&str, i8)| if power == 1 { name.to_owned() } else { format!("{name}{power}") };
    let parts: Vec<String> = names.into_iter().zip(dimension).filter(|(_, power)| *power != 0).map(part).collect();
    if parts.is_empty() { String::from("1") } else { parts.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: (&str, &str), right: (&str, &str)) -> bool {
        let base = |(value, unit): (&str, &str)| {
            let reduced = reduce(unit).unwrap();
            (Decimal::parse(value).unwrap().times(reduced.factor).unwrap(), reduced)
        };
        let ((left, here), (right, there)) = (base(left), base(right));
        here.dimension == there.dimension && left.times(there.per) == right.times(here.per)
    }

    #[test]
    fn units_of_one_dimension_convert() {
        assert!(same(("4", "g"), ("4000", "mg")));
        assert!(same(("1", "mL"), ("1", "cm3")));
        assert!(same(("7", "d"), ("1", "wk")));
        assert!(same(("1", "[in_i]"), ("2.54", "cm")));
        assert!(same(("1", "mmol/L"), ("1", "mol/m3")));
        assert!(same(("60", "/min"), ("1", "Hz")));
        assert!(same(("5", "10*3/uL"), ("5", "10*9/L")));
        assert!(same(("100", "mm[Hg]"), ("0.1", "m[Hg]")));
        assert!(!same(("1", "g"), ("1", "m")));
    }

    #[test]
    fn a_strange_unit_is_not_known() {
        for code in ["furlong", "m/", "m99999", "((", "[drop]x"] {
            assert_eq!(reduce(code), None, "{code}");
        }
        assert_eq!(reduce("{tablet}").map(|unit| unit.dimension), Some(NONE));
    }
}
