//! How numbers are spread.

/// Numbers, and how they are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    numbers: Vec<i64>,
    sorted: bool,
}

impl Spread {
    /// One more.
    pub fn add(&mut self, number: i64) {
        self.numbers.push(number);
        self.sorted = false;
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// All of them together.
    pub fn sum(&self) -> i64 {
        self.numbers.iter().fold(0, |sum: i64, number| sum.saturating_add(*number))
    }

    /// The smallest number that at least so many of a hundred do not exceed; of none: nothing.
    pub fn percentile(&mut self, percent: u32) -> Option<i64> {
        self.sort();
        let rank = (self.numbers.len() * percent as usize).div_ceil(100).max(1);
        self.numbers.get(rank - 1).copied()
    }

    /// The largest.
    pub fn max(&mut self) -> Option<i64> {
        self.sort();
        self.numbers.last().copied()
    }

    /// How many are less than this.
    pub fn below(&mut self, bound: i64) -> usize {
        self.sort();
        self.numbers.partition_point(|number| *number < bound)
    }

    /// Bars of one width, from the smallest number to the largest: where each begins, and how many are in it.
    pub fn bars(&mut self, most: usize) -> Vec<(i64, usize)> {
        self.bars_until(most, i64::MAX)
    }

    /// The same of the numbers up to this one.
    pub fn bars_until(&mut self, most: usize, until: i64) -> Vec<(i64, usize)> {
        self.sort();
        let (Some(first), Some(last)) = (self.numbers.first().copied(), self.numbers.last().copied()) else {
            return Vec::new();
        };
        let last = last.min(until).max(first);
        let width = ((last - first) / most.max(1) as i64 + 1).max(1);
        let bars = (last - first) / width + 1;
        let begins = (0..bars).map(|bar| first + bar * width);
        begins.map(|begin| (begin, self.count_between(begin, (begin + width).min(last + 1)))).collect()
    }

    fn count_between(&self, from: i64, until: i64) -> usize {
        let before = |bound| self.numbers.partition_point(|number| *number < bound);
        before(until) - before(from)
    }

    fn sort(&mut self) {
        if !self.sorted {
            self.numbers.sort_unstable();
            self.sorted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    fn of(numbers: &[i64]) -> Spread {
        let mut spread = Spread::default();
        numbers.iter().for_each(|number| spread.add(*number));
        spread
    }

    #[test]
    fn percentiles_are_numbers_that_were_seen() {
        let mut spread = of(&[5, 1, 4, 2, 3, 10, 9, 8, 7, 6]);
        assert_eq!(spread.percentile(50), Some(5));
        assert_eq!(spread.percentile(95), Some(10));
        assert_eq!(spread.percentile(1), Some(1));
        assert_eq!(spread.max(), Some(10));
        assert_eq!(spread.below(4), 3);
        assert_eq!(spread.sum(), 55);
        assert_eq!(Spread::default().percentile(50), None);
    }

    #[test]
    fn every_number_is_in_one_bar() {
        for numbers in [vec![7], vec![1, 2, 3, 100], (0..1_000).collect()] {
            let bars = of(&numbers).bars(10);
            assert!(bars.len() <= 10, "{bars:?}");
            assert_eq!(bars.iter().map(|(_, count)| count).sum::<usize>(), numbers.len());
        }
        assert!(Spread::default().bars(10).is_empty());
    }
}
