//! Shares and means with their intervals of 95 %: Wilson's score interval of a share, Newcombe's of the difference of two shares
//! (method 10), and the normal interval of a mean and of the difference of two means.

/// The quantile of the normal distribution for 95 % on both sides.
const Z: f64 = 1.959_963_984_540_054;

/// A figure between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// The figure.
    pub(crate) value: f64,
    /// Its lower bound.
    pub(crate) low: f64,
    /// Its upper bound.
    pub(crate) high: f64,
}

/// Values of which only their number, mean and spread are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    /// How many.
    pub(crate) count: u32,
    /// Their mean; 0 of none.
    pub(crate) mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Spread {
    /// One value more.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / f64::from(self.count);
        self.squares += before * (value - self.mean);
    }

    /// The squared error of the mean; nothing for fewer than two values.
    fn error(&self) -> Option<f64> {
        (self.count > 1).then(|| self.squares / f64::from(self.count - 1) / f64::from(self.count))
    }
}

/// The share of so many, by Wilson; nothing of none.
pub(crate) fn share(of: u32, count: u32) -> Option<Estimate> {
    if count == 0 {
        return None;
    }
    let (n, z2) = (f64::from(count), Z * Z);
    let value = f64::from(of) / n;
    let middle = (value + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    Some(Estimate { value, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

/// The difference of two shares, by Newcombe.
pub(crate) fn shares_apart(one: Estimate, other: Estimate) -> Estimate {
    let value = one.value - other.value;
    let low = (one.value - one.low).hypot(other.high - other.value);
    let high = (one.high - one.value).hypot(other.value - other.low);
    Estimate { value, low: value - low, high: value + high }
}

/// A mean; nothing of fewer than two values.
pub(crate) fn mean(values: &Spread) -> Option<Estimate> {
    values.error().map(|error| around(values.mean, error))
}

/// The difference of two means.
pub(crate) fn means_apart(one: &Spread, other: &Spread) -> Option<Estimate> {
    Some(around(one.mean - other.mean, one.error()? + other.error()?))
}

fn around(value: f64, error: f64) -> Estimate {
    let half = Z * error.sqrt();
    Estimate { value, low: value - half, high: value + half }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Estimate, low: f64, high: f64) {
        assert!((found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5, "{found:?} is not {low} to {high}");
    }

    // R. G. Newcombe, Statistics in Medicine 17 (1998): table I of "Two-sided confidence intervals for the single proportion", method 3.
    #[test]
    fn the_published_intervals_of_a_share_are_met() {
        for (of, count, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            near(share(of, count).unwrap(), low, high);
        }
        assert_eq!(share(0, 0), None);
    }

    // The same author and volume: table II of "Interval estimation for the difference between independent proportions", method 10.
    #[test]
    fn the_published_intervals_of_a_difference_are_met() {
        for ((a, m), (b, n), low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ] {
            near(shares_apart(share(a, m).unwrap(), share(b, n).unwrap()), low, high);
        }
    }

    // By hand: 1, 2, 3, 4 have the mean 2.5 and the variance 5/3, so the error is the root of 5/12.
    #[test]
    fn a_mean_lies_in_the_middle_of_its_interval() {
        let of = |values: &[f64]| {
            let mut spread = Spread::default();
            for value in values {
                spread.add(*value);
            }
            spread
        };
        let four = of(&[1.0, 2.0, 3.0, 4.0]);
        near(mean(&four).unwrap(), 2.5 - 1.959_964 * 0.645_497, 2.5 + 1.959_964 * 0.645_497);
        near(means_apart(&four, &of(&[1.0, 1.0])).unwrap(), 1.5 - 1.265_150, 1.5 + 1.265_150);
        assert_eq!((mean(&of(&[1.0])), means_apart(&four, &of(&[1.0]))), (None, None));
    }
}
