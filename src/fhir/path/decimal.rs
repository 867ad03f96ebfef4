//! Exact decimals: digits as written, so that `1.8 - 1.2 = 0.6` holds and `1.50` keeps its precision.
//! Follows <https://hl7.org/fhirpath/N1/#decimal>.

use std::cmp::Ordering;
use std::fmt;

/// How many digits stand behind the point at most.
const SCALE_MAX: u32 = 36;

/// How many digits a quotient is computed to.
const QUOTIENT_DIGITS: u32 = 16;

/// A decimal number: `mantissa` divided by ten to the power of `scale`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    mantissa: i128,
    scale: u32,
}

impl Decimal {
    /// The number one.
    pub const ONE: Self = Self { mantissa: 1, scale: 0 };

    /// The number `mantissa / 10^scale`.
    #[must_use]
    pub fn new(mantissa: i128, scale: u32) -> Self {
        Self { mantissa, scale: scale.min(SCALE_MAX) }
    }

    /// Reads `12`, `-1.50` or `1e-3`; digits too small to be held are dropped, a number too large is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(cut) => (text.get(..cut)?, text.get(cut + 1..)?.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || (digits.contains('.') && fraction.is_empty()) {
            return None;
        }
        let mut mantissa: i128 = 0;
        let mut scale: i64 = 0;
        for byte in whole.bytes() {
            mantissa = mantissa.checked_mul(10)?.checked_add(digit(byte)?)?;
        }
        let mut full = false;
        for byte in fraction.bytes() {
            let value = digit(byte)?;
            let next = mantissa.checked_mul(10).and_then(|wide| wide.checked_add(value));
            match next {
                Some(next) if !full => (mantissa, scale) = (next, scale + 1),
                _ => full = true,
            }
        }
        Self::shifted(sign * mantissa, scale - i64::from(exponent))
    }

    /// A decimal from a mantissa whose scale may be negative or too large to hold.
    fn shifted(mut mantissa: i128, mut scale: i64) -> Option<Self> {
        if mantissa == 0 {
            return Some(Self::new(0, u32::try_from(scale.clamp(0, i64::from(SCALE_MAX))).ok()?));
        }
        while scale < 0 {
            mantissa = mantissa.checked_mul(10)?;
            scale += 1;
        }
        while scale > i64::from(SCALE_MAX) && mantissa != 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Some(Self::new(mantissa, u32::try_from(scale.min(i64::from(SCALE_MAX))).ok()?))
    }

    /// The nearest decimal of a binary fraction; `None` for infinities and what is no number.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self::parse(&format!("{value}"))).flatten()
    }

    /// The nearest binary fraction.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        format!("{self}").parse().unwrap_or(0.0)
    }

    /// How many digits are written behind the point.
    #[must_use]
    pub fn scale(self) -> u32 {
        self.scale
    }

    /// How many digits are written in all.
    #[must_use]
    pub fn digits(self) -> u32 {
        let all = self.mantissa.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
        all.max(self.scale + 1)
    }

    /// The mantissa and the scale once trailing zeros are gone: equal for equal numbers.
    #[must_use]
    pub fn normal(self) -> (i128, u32) {
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        (mantissa, scale)
    }

    /// The whole number, if it is one and fits.
    #[must_use]
    pub fn to_integer(self) -> Option<i64> {
        let (mantissa, scale) = self.normal();
        (scale == 0).then(|| i64::try_from(mantissa).ok()).flatten()
    }

    /// The sum; `None` when too large.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let (left, right, scale) = aligned(self, other)?;
        Some(Self::new(left.checked_add(right)?, scale))
    }

    /// The difference; `None` when too large.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    /// The product; `None` when too large.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        if let Some(mantissa) = self.mantissa.checked_mul(other.mantissa) {
            return Self::shifted(mantissa, i64::from(self.scale + other.scale));
        }
        let ((left, left_scale), (right, right_scale)) = (self.normal(), other.normal());
        Self::shifted(left.checked_mul(right)?, i64::from(left_scale + right_scale))
    }

    /// The quotient to 16 digits without trailing zeros; `None` for a division by zero.
    #[must_use]
    pub fn over(self, other: Self) -> Option<Self> {
        if other.mantissa == 0 {
            return None;
        }
        let ((left, left_scale), (right, right_scale)) = (self.normal(), other.normal());
        let mut digits = QUOTIENT_DIGITS;
        let wide = loop {
            match left.checked_mul(10_i128.checked_pow(digits + right_scale)?) {
                Some(wide) => break wide,
                None => digits = digits.checked_sub(1)?,
            }
        };
        let quotient = rounded_quotient(wide, right);
        let (mantissa, scale) = Self::shifted(quotient, i64::from(digits + left_scale))?.normal();
        Some(Self::new(mantissa, scale))
    }

    /// The whole part of the quotient; `None` for a division by zero.
    #[must_use]
    pub fn divide_whole(self, other: Self) -> Option<Self> {
        let (left, right, _) = aligned(self, other)?;
        Some(Self::new(left.checked_div(right)?, 0))
    }

    /// What is left of a whole division; `None` for a division by zero.
    #[must_use]
    pub fn remainder(self, other: Self) -> Option<Self> {
        let (left, right, scale) = aligned(self, other)?;
        let (mantissa, scale) = Self::new(left.checked_rem(right)?, scale).normal();
        Some(Self::new(mantissa, scale))
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { mantissa: self.mantissa.saturating_neg(), ..self }
    }

    /// The number without its sign.
    #[must_use]
    pub fn absolute(self) -> Self {
        Self { mantissa: self.mantissa.saturating_abs(), ..self }
    }

    /// Rounded to `scale` digits, halves away from zero.
    #[must_use]
    pub fn rounded(self, scale: u32) -> Self {
        self.cut(scale, rounded_quotient)
    }

    /// The next number downwards with `scale` digits.
    #[must_use]
    pub fn floor(self, scale: u32) -> Self {
        self.cut(scale, i128::div_euclid)
    }

    /// The next number upwards with `scale` digits.
    #[must_use]
    pub fn ceiling(self, scale: u32) -> Self {
        self.negated().floor(scale).negated()
    }

    /// The digits up to `scale`, the others dropped.
    #[must_use]
    pub fn truncated(self, scale: u32) -> Self {
        self.cut(scale, |mantissa, divisor| mantissa / divisor)
    }

    fn cut(self, scale: u32, divide: impl Fn(i128, i128) -> i128) -> Self {
        if scale >= self.scale {
            return Self::shifted(self.mantissa, i64::from(self.scale)).unwrap_or(self);
        }
        10_i128.checked_pow(self.scale - scale).map_or(self, |divisor| Self::new(divide(self.mantissa, divisor), scale))
    }

    /// The same number written with at least `scale` digits behind the point.
    #[must_use]
    pub fn widened(self, scale: u32) -> Self {
        let factor = 10_i128.checked_pow(scale.saturating_sub(self.scale));
        match factor.and_then(|factor| self.mantissa.checked_mul(factor)) {
            Some(mantissa) if scale > self.scale => Self::new(mantissa, scale),
            _ => self,
        }
    }
}

/// `numerator / denominator` as a whole number, halves away from zero.
fn rounded_quotient(numerator: i128, denominator: i128) -> i128 {
    let (quotient, rest) = (numerator / denominator, numerator % denominator);
    if rest.unsigned_abs() >= denominator.unsigned_abs() - rest.unsigned_abs() {
        quotient + numerator.signum() * denominator.signum()
    } else {
        quotient
    }
}

fn digit(byte: u8) -> Option<i128> {
    byte.is_ascii_digit().then(|| i128::from(byte - b'0'))
}

/// Both mantissas at the larger of the two scales.
fn aligned(left: Decimal, right: Decimal) -> Option<(i128, i128, u32)> {
    let scale = left.scale.max(right.scale);
    let widen = |side: Decimal| side.mantissa.checked_mul(10_i128.checked_pow(scale - side.scale)?);
    Some((widen(left)?, widen(right)?, scale))
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match aligned(*self, *other) {
            Some((left, right, _)) => left.cmp(&right),
            // Only numbers of very different size cannot be brought to one scale; a rough look tells them apart.
            None => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::new(i128::from(value), 0)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = self.scale as usize;
        if scale == 0 {
            return write!(out, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(out, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_stay_as_written() {
        for text in ["0", "1.50", "-0.001", "12345678901234567890.12"] {
            assert_eq!(decimal(text).to_string(), text);
        }
        assert_eq!(decimal("1e3").to_string(), "1000");
        assert_eq!(decimal("1.5E-3").to_string(), "0.0015");
        for text in ["", ".", "1.", ".5", "x", "1e", "1e999", "--1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(decimal("1e-999"), decimal("0"));
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(decimal("1.8").minus(decimal("1.2")), Some(decimal("0.6")));
        assert_eq!(decimal("1.2").times(decimal("1.8")), Some(decimal("2.16")));
        assert_eq!(decimal("1").over(decimal("3")).map(|third| third.to_string()).as_deref(), Some("0.3333333333333333"));
        assert_eq!(decimal("2.2").remainder(decimal("1.8")), Some(decimal("0.4")));
        assert_eq!(decimal("1").over(decimal("0.0")), None);
        assert_eq!(decimal("1").divide_whole(decimal("0")), None);
    }

    #[test]
    fn rounding_knows_its_direction() {
        assert_eq!(decimal("-1.5").rounded(0), decimal("-2"));
        assert_eq!(decimal("-1.1").floor(0), decimal("-2"));
        assert_eq!(decimal("-1.1").ceiling(0), decimal("-1"));
        assert_eq!(decimal("-1.56").truncated(0), decimal("-1"));
        assert_eq!(decimal("3.14159").rounded(3), decimal("3.142"));
    }
}
