//! The record of a batch.

use std::borrow::Cow;

use jiff::Timestamp;
use runbook_engine::run::event::Event;
use thiserror::Error;

use super::number::{get, number, put, take, unzigzag, zigzag};
use crate::{
    chain::{self, Hash},
    store::Entry,
    words,
};

/// What a record begins with: the whole batch follows.
pub(super) const WHOLE: u8 = 1;

/// Why bytes are no batch.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// They end too early.
    #[error("it ends too early")]
    Short,
    /// They go on after the end.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    /// A number, length or tag is impossible.
    #[error("its {0} is impossible")]
    Impossible(&'static str),
    /// An event is not one that this version knows.
    #[error("the event of entry {0} cannot be read")]
    Event(u64),
    /// The hash does not fit the entries and what stands before them.
    #[error("the hash of entry {0} does not match: the chain is broken")]
    Chain(u64),
}

/// A batch of entries, as stored.
pub(crate) struct Batch<'a> {
    pub(crate) epoch: u64,
    pub(crate) commit: u64,
    pub(crate) at: Timestamp,
    /// Shortened.
    pub(crate) events: Vec<Cow<'a, [u8]>>,
    pub(crate) hash: Hash,
}

impl<'a> Batch<'a> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(64 + self.events.iter().map(|event| event.len() + 2).sum::<usize>());
        bytes.push(WHOLE);
        put(&mut bytes, u128::from(self.epoch));
        put(&mut bytes, u128::from(self.commit));
        put(&mut bytes, zigzag(self.at.as_nanosecond()));
        put(&mut bytes, self.events.len() as u128);
        for event in &self.events {
            put(&mut bytes, event.len() as u128);
            bytes.extend_from_slice(event);
        }
        bytes.extend_from_slice(&self.hash);
        bytes
    }

    pub(crate) fn read(mut bytes: &'a [u8]) -> Result<Self, Malformed> {
        let bytes = &mut bytes;
        if take(bytes, 1)? != [WHOLE] {
            return Err(Malformed::Impossible("kind"));
        }
        let epoch = number(bytes, "epoch")?;
        let commit = number(bytes, "commit")?;
        let at =
            Timestamp::from_nanosecond(unzigzag(get(bytes)?)).map_err(|_| Malformed::Impossible("time"))?;
        let count = number(bytes, "number of entries")?;
        // An entry has at least its length, so a count beyond what is left is a lie, and nothing is reserved for it.
        if count > bytes.len() as u64 {
            return Err(Malformed::Short);
        }
        let mut events = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        for _ in 0..count {
            let length = usize::try_from(number(bytes, "length")?).map_err(|_| Malformed::Short)?;
            events.push(Cow::Borrowed(take(bytes, length)?));
        }
        let hash = take(bytes, 32)?.try_into().map_err(|_| Malformed::Short)?;
        if !bytes.is_empty() {
            return Err(Malformed::Trailing(bytes.len()));
        }
        Ok(Self { epoch, commit, at, events, hash })
    }

    /// Hands over the entries, the first of which has this number and follows `prev`, once the chain is verified.
    pub(crate) fn entries(
        &self,
        first: u64,
        prev: &Hash,
        give: &mut dyn FnMut(Entry),
    ) -> Result<(), Malformed> {
        let texts: Vec<_> = self.events.iter().map(|event| words::restore(event)).collect();
        let mut links = Vec::with_capacity(texts.len() + 1);
        links.push(*prev);
        let mut seq = first;
        for event in &texts {
            let before = links[links.len() - 1];
            links.push(chain::hash(seq, self.at, self.epoch, event, &before));
            seq = seq.checked_add(1).ok_or(Malformed::Impossible("number"))?;
        }
        if links[links.len() - 1] != self.hash {
            return Err(Malformed::Chain(seq - 1));
        }
        for (index, event) in texts.iter().enumerate() {
            let seq = first + index as u64;
            give(Entry {
                seq,
                at: self.at,
                epoch: self.epoch,
                event: serde_json::from_slice::<Event>(event).map_err(|_| Malformed::Event(seq))?,
                prev: chain::hex(&links[index]),
                hash: chain::hex(&links[index + 1]),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};
    use runbook_engine::{ids::TaskName, run::event::Event};

    use super::{Batch, Cow, chain, get, put, unzigzag, zigzag};
    use crate::{canonical, format::decode, words};

    fn record() -> Vec<u8> {
        let task = TaskName::new("dev/wave-1/patch");
        let events = [
            Event::TaskLookedUp { task: task.clone(), attempt: 1 },
            Event::TaskSucceeded { task: task.clone() },
        ];
        let at = jiff::Timestamp::new(1_795_000_000, 5).expect("a time");
        let mut batch = Batch { epoch: 3, commit: 9, at, events: Vec::new(), hash: chain::BEGINNING };
        for (seq, event) in (1..).zip(&events) {
            let text = canonical::json(event).expect("JSON");
            batch.hash = chain::hash(seq, at, 3, &text, &batch.hash);
            batch.events.push(Cow::Owned(words::shorten(&text)));
        }
        batch.write()
    }

    #[test]
    fn a_record_is_read_back() {
        let entries = decode(&record()).expect("entries");
        assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(entries[1].prev, entries[0].hash);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_decoding_returns(bytes in any::<Vec<u8>>(), kind in 0_u8..3) {
            let _ = decode(&bytes);
            let _ = decode(&[&[kind], &bytes[..]].concat());
        }

        #[test]
        fn a_changed_record_is_never_taken_for_another(
            place in 0_usize..120,
            change in 1_u8..,
            length in 0_usize..120,
        ) {
            let mut changed = record();
            let place = place % changed.len();
            changed[place] ^= change;
            // The number of the batch is not chained: it is compared with HEAD.
            if let Ok(entries) = decode(&changed) {
                prop_assert!(entries == decode(&record()).expect("entries"));
            }
            changed.truncate(length);
            prop_assert!(length >= record().len() || decode(&changed).is_err());
        }

        #[test]
        fn numbers_are_read_back(number in any::<i128>()) {
            let number = number >> 4;
            let mut bytes = Vec::new();
            put(&mut bytes, zigzag(number));
            let mut rest = &bytes[..];
            prop_assert!(get(&mut rest).map(unzigzag) == Ok(number) && rest.is_empty());
        }
    }
}
