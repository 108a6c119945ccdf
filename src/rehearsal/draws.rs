//! Numbers drawn from a seed.

/// Draws numbers: splitmix64, whose seeds may be near each other.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The draws of a seed, for one purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut draws = Self(seed ^ 0x7275_6e62_6f6f_6b21);
        for byte in purpose.bytes() {
            draws.0 ^= u64::from(byte);
            draws.next();
        }
        draws
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.saturating_sub(low).checked_add(1) {
            Some(many) => low + self.next() % many,
            None => self.next(),
        }
    }

    /// One of `low..=high`, from 1: near 10 as likely as near 100 or near 1,000.
    pub fn of_any_size(&mut self, low: u64, high: u64) -> u64 {
        let (low, high) = (low.max(1), high.max(low).max(1));
        let power = self.between(low.ilog2().into(), high.ilog2().into());
        let from = 1_u64 << power;
        self.between(low.max(from), high.min(from - 1 + from))
    }

    /// Whether something of this chance, from 0 to 1, happens.
    pub fn happens(&mut self, chance: f64) -> bool {
        // 53 bits: what fits into the number.
        ((self.next() >> 11) as f64) < chance * (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Draws;

    #[test]
    fn what_is_certain_happens_and_what_is_impossible_does_not() {
        let mut draws = Draws::new(7, "test");
        assert!((0..1_000).all(|_| draws.happens(1.0)));
        assert!(!(0..1_000).any(|_| draws.happens(0.0)));
        let half = (0..10_000).filter(|_| draws.happens(0.5)).count();
        assert!((4_700..5_300).contains(&half), "{half}");
    }

    #[test]
    fn near_seeds_and_other_purposes_draw_other_numbers() {
        let first = |seed, purpose| Draws::new(seed, purpose).next();
        assert_eq!(first(1, "faults"), first(1, "faults"));
        assert_ne!(first(1, "faults"), first(2, "faults"));
        assert_ne!(first(1, "faults"), first(1, "crashes"));
    }

    #[test]
    fn a_number_is_drawn_between_its_bounds() {
        let mut draws = Draws::new(1, "test");
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| draws.between(3, 6)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(draws.between(5, 5), 5);
        draws.between(0, u64::MAX);
    }

    #[test]
    fn small_and_large_numbers_are_drawn_alike() {
        let mut draws = Draws::new(1, "test");
        let drawn: Vec<u64> = (0..3_000).map(|_| draws.of_any_size(1, 1_000)).collect();
        assert!(drawn.iter().all(|number| (1..=1_000).contains(number)));
        for (from, to) in [(1, 8), (8, 128), (128, 1_001)] {
            let many = drawn.iter().filter(|number| (from..to).contains(*number)).count();
            assert!((700..1_300).contains(&many), "{many} between {from} and {to}");
        }
        assert_eq!(draws.of_any_size(3, 3), 3);
    }
}
