//! Pages: small, in no order that means anything, behind tokens that say nothing and do not last.
//!
//! A listing is made once, when its first page is asked for; later pages are cut from it, so that a walk costs what
//! the listing costs and no more. The same token gives the same page for as long as the listing is kept.

use std::{
    any::Any,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    call::Call,
    fault::{Refusal, Trouble},
};

/// How many things the listings that are kept may hold together: about 100 MB of instances.
const MOST_KEPT: usize = 100_000;
/// AWS says of its tokens only that they expire.
const LASTS: Duration = Duration::from_secs(24 * 3600);
/// A listing of at least so many pages may have an empty one (facts: Pages and batches), so that it stays a
/// small part of the calls.
const PAGES_FOR_AN_EMPTY_ONE: usize = 8;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The right that the call needs: `ec2:DescribeInstances`.
    pub call: &'static str,
    /// The request without its token and page size: a token belongs to one of these.
    pub of: String,
    /// How many a page.
    pub size: usize,
    /// The token of a later page.
    pub token: Option<&'a str>,
    /// The code with which this service refuses a token that it does not know.
    pub refused: &'static str,
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it; perhaps nothing, although there is a next one.
    pub items: Vec<T>,
    /// The token of the next page.
    pub next: Option<String>,
}

/// The listings that are being walked.
#[derive(Debug, Default)]
pub struct Pages {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    listings: VecDeque<Listing>,
    items: usize,
    made: u64,
}

#[derive(Debug)]
struct Listing {
    name: String,
    of: String,
    at: Timestamp,
    items: Arc<dyn Any + Send + Sync>,
    count: usize,
    /// The page that begins here is asked for twice: it is empty at first.
    hollow: Option<usize>,
}

impl Call<'_> {
    /// The listing that a request is about, for [`Ask::of`].
    pub fn listing(&self, request: &str) -> String {
        format!("{} {} {} {request}", self.account, self.region, self.operation)
    }

    /// A page of what `list` gives. Everything that a call can meet on its way (throttles, lost answers) strikes here
    /// for later pages, and in `list` for the first.
    ///
    /// # Errors
    /// What `list` says, or a token that is not known (any more).
    pub async fn page<T, F>(&self, ask: &Ask<'_>, list: F) -> Result<Page<T>, Trouble>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<T>, Trouble>>,
    {
        let Some(token) = ask.token else {
            let items = list.await?;
            return Ok(self.pages().begin(ask, items, self.world().seed(), self.world().now()));
        };
        self.home().call(ask.call).await?;
        self.pages().go_on(ask, token, self.world().now()).ok_or_else(|| {
            Refusal::new(ask.refused, "the token is not known: it has expired, or belongs to another request")
                .into()
        })
    }
}

impl Pages {
    fn begin<T: Clone + Send + Sync + 'static>(
        &self,
        ask: &Ask<'_>,
        mut items: Vec<T>,
        seed: u64,
        now: Timestamp,
    ) -> Page<T> {
        let mut kept = self.lock();
        kept.made += 1;
        let mut draw = Draw(seed ^ kept.made.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        draw.shuffle(&mut items);
        if items.len() <= ask.size {
            return Page { items, next: None };
        }
        let pages = items.len().div_ceil(ask.size);
        let hollow = (pages >= PAGES_FOR_AN_EMPTY_ONE && draw.next().is_multiple_of(2))
            .then(|| ask.size * (1 + draw.below(pages - 1)));
        // A token must not be guessed from another, nor be valid in another life of this sandbox.
        let name = uuid::Uuid::new_v4().simple().to_string();
        let first = items[..ask.size].to_vec();
        let next = token(&name, ask.size, false);
        kept.items += items.len();
        let count = items.len();
        let listing = Listing { name, of: ask.of.clone(), at: now, count, items: Arc::new(items), hollow };
        kept.listings.push_back(listing);
        while kept.items > MOST_KEPT && kept.listings.len() > 1 {
            let oldest = kept.listings.pop_front().map_or(0, |listing| listing.count);
            kept.items -= oldest;
        }
        Page { items: first, next: Some(next) }
    }

    fn go_on<T: Clone + Send + Sync + 'static>(
        &self,
        ask: &Ask<'_>,
        given: &str,
        now: Timestamp,
    ) -> Option<Page<T>> {
        let (name, from, seen_empty) = read(given)?;
        let (all, hollow) = {
            let kept = self.lock();
            let listing = kept.listings.iter().find(|listing| listing.name == name)?;
            let expires = listing.at.checked_add(LASTS).unwrap_or(Timestamp::MAX);
            if listing.of != ask.of || now > expires {
                return None;
            }
            (Arc::clone(&listing.items), listing.hollow)
        };
        let all: Arc<Vec<T>> = all.downcast().ok()?;
        if hollow == Some(from) && !seen_empty {
            return Some(Page { items: Vec::new(), next: Some(token(&name, from, true)) });
        }
        let end = (from + ask.size).min(all.len());
        let items = all.get(from..end)?.to_vec();
        Some(Page { items, next: (end < all.len()).then(|| token(&name, end, false)) })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn token(name: &str, from: usize, seen_empty: bool) -> String {
    format!("{name}{from:010x}{}", u8::from(seen_empty))
}

fn read(token: &str) -> Option<(String, usize, bool)> {
    let (name, rest) = token.split_at_checked(32)?;
    let (from, seen_empty) = rest.split_at_checked(10)?;
    let from = usize::from_str_radix(from, 16).ok()?;
    Some((name.to_owned(), from, seen_empty == "1"))
}

/// Draws that follow from the seed (splitmix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            let other = self.below(place + 1);
            items.swap(place, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::{Ask, Page, Pages};

    fn ask(token: Option<&str>, size: usize) -> Ask<'_> {
        Ask { call: "ssm:ListCommands", of: "list".into(), size, token, refused: "InvalidNextToken" }
    }

    #[test]
    fn a_walk_sees_everything_once_and_tokens_are_of_one_request() {
        let now = Timestamp::UNIX_EPOCH;
        for seed in 0..20 {
            let pages = Pages::default();
            let mut page: Page<u32> = pages.begin(&ask(None, 10), (0..101).collect(), seed, now);
            let mut seen: Vec<u32> = page.items.clone();
            let mut calls = 1;
            while let Some(token) = page.next {
                let twice: Page<u32> = pages.go_on(&ask(Some(&token), 10), &token, now).unwrap();
                page = pages.go_on(&ask(Some(&token), 10), &token, now).unwrap();
                assert_eq!(twice.items, page.items);
                let other = Ask { of: "other".into(), ..ask(None, 10) };
                assert!(pages.go_on::<u32>(&other, &token, now).is_none());
                seen.extend(&page.items);
                calls += 1;
            }
            assert!((11..=12).contains(&calls));
            assert_eq!(seen.len(), 101);
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..101).collect());
        }
    }

    #[test]
    fn old_and_unknown_tokens_are_refused() {
        let pages = Pages::default();
        let page: Page<u32> = pages.begin(&ask(None, 10), (0..50).collect(), 1, Timestamp::UNIX_EPOCH);
        let token = page.next.unwrap();
        let later = Timestamp::from_second(90_000).unwrap();
        assert!(pages.go_on::<u32>(&ask(None, 10), &token, later).is_none());
        for wrong in ["", "abc", &"é".repeat(20), &token[1..]] {
            assert!(pages.go_on::<u32>(&ask(None, 10), wrong, Timestamp::UNIX_EPOCH).is_none());
        }
    }
}
