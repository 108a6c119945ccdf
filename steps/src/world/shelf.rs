//! Things that are found by id and by tag, each in its account and Region.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::place::Place;
use crate::ports::ec2::Which;

/// Something on a shelf.
pub(super) trait Item {
    fn id(&self) -> &str;
    fn place(&self) -> &Place;
    fn tags(&self) -> &BTreeMap<String, String>;
    fn tags_mut(&mut self) -> &mut BTreeMap<String, String>;
    /// Since when reads find it.
    fn seen_from(&self) -> Timestamp;
    /// Since when they do not any more.
    fn gone_from(&self) -> Option<Timestamp>;
}

/// A value of a tag, and the id of what has it.
type Tagged = (Box<str>, Arc<str>);

/// Things of one kind, in the order of their ids.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    /// Boxed: half of a tree is empty places.
    items: BTreeMap<String, Box<T>>,
    /// Values and ids by key. Most values are of one thing alone: a set of ids for each would be nearly empty.
    tagged: BTreeMap<String, BTreeSet<Tagged>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), tagged: BTreeMap::new() }
    }
}

impl<T: Item> Shelf<T> {
    pub fn insert(&mut self, item: T) {
        self.index(item.id(), item.tags());
        self.items.insert(item.id().to_owned(), Box::new(item));
    }

    pub fn get(&self, id: &str) -> Option<&T> {
        self.items.get(id).map(Box::as_ref)
    }

    /// To change anything but its tags.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.items.get_mut(id).map(Box::as_mut)
    }

    /// Puts tags on it; whether it is here.
    pub fn tag(&mut self, id: &str, tags: &BTreeMap<String, String>) -> bool {
        let Some(item) = self.items.get_mut(id) else { return false };
        for (key, value) in tags {
            if let Some(old) = item.tags_mut().insert(key.clone(), value.clone())
                && let Some(pairs) = self.tagged.get_mut(key)
            {
                pairs.remove(&(old.into(), id.into()));
            }
        }
        self.index(id, tags);
        true
    }

    /// Takes off it the tags that are not kept; whether it is here.
    pub fn untag(&mut self, id: &str, keeps: impl Fn(&String, &String) -> bool) -> bool {
        let Some(item) = self.items.get_mut(id) else { return false };
        let tagged = &mut self.tagged;
        item.tags_mut().retain(|key, value| {
            let kept = keeps(key, value);
            if !kept && let Some(pairs) = tagged.get_mut(key) {
                pairs.remove(&(value.as_str().into(), id.into()));
            }
            kept
        });
        true
    }

    /// What a read from here finds now.
    pub fn find(&self, here: &Place, id: &str, now: Timestamp) -> Option<&T> {
        self.get(id).filter(|item| is_seen(*item, here, now))
    }

    /// All that a read from here finds now, of what is asked for.
    pub fn seen<'a>(&'a self, here: &Place, which: &'a Which, now: Timestamp) -> Vec<&'a T> {
        self.ids(which).into_iter().filter_map(|id| self.find(here, id, now)).collect()
    }

    /// All that was not deleted, wherever it is, of what is asked for.
    pub fn kept<'a>(&'a self, which: &'a Which) -> Vec<&'a T> {
        let items = self.ids(which).into_iter().filter_map(|id| self.get(id));
        items.filter(|item| item.gone_from().is_none()).collect()
    }

    fn ids<'a>(&'a self, which: &'a Which) -> Vec<&'a str> {
        match which {
            Which::Ids(ids) => {
                ids.iter().filter_map(|id| Some(self.items.get_key_value(id)?.0.as_str())).collect()
            }
            Which::Tagged { key, values } => {
                let pairs = self.tagged.get(key);
                let of = |value: &'a str| {
                    let first = (Box::from(value), Arc::from(""));
                    let behind = pairs.into_iter().flat_map(move |pairs| pairs.range(first.clone()..));
                    behind.take_while(move |(other, _)| **other == *value)
                };
                let wanted: BTreeSet<&str> = values.iter().map(String::as_str).collect();
                let found: Vec<_> = match values.is_empty() {
                    true => pairs.into_iter().flatten().collect(),
                    false => wanted.into_iter().flat_map(of).collect(),
                };
                found.into_iter().map(|(_, id)| &**id).collect()
            }
        }
    }

    /// All that a read from here finds now.
    pub fn all<'a>(&'a self, here: &'a Place, now: Timestamp) -> impl Iterator<Item = &'a T> {
        self.items.values().map(Box::as_ref).filter(move |item| is_seen(*item, here, now))
    }

    fn index(&mut self, id: &str, tags: &BTreeMap<String, String>) {
        let id: Arc<str> = id.into();
        for (key, value) in tags {
            let pairs = self.tagged.entry(key.clone()).or_default();
            pairs.insert((value.as_str().into(), Arc::clone(&id)));
        }
    }
}

fn is_seen<T: Item>(item: &T, here: &Place, now: Timestamp) -> bool {
    item.seen_from() <= now && item.gone_from().is_none_or(|gone| now < gone) && here.sees(item.place())
}
