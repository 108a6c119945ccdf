//! The filters of the Describe operations: every one must hold, by any of its values; `*` and `?` stand for anything.

use std::collections::BTreeMap;

use super::{form::Form, refusal::refused};
use crate::fault::Refusal;

/// The most values in the filters of one call (facts: Pages and batches).
const MOST_VALUES: usize = 200;

/// What can be filtered.
pub(crate) trait Filtered {
    /// The names that this sandbox knows, besides `tag:KEY` and `tag-key`.
    const NAMES: &'static [&'static str];

    /// What the thing has under such a name.
    fn values(&self, name: &str) -> Vec<String>;

    /// Its tags.
    fn tags(&self) -> Option<&BTreeMap<String, String>>;
}

/// The filters of one request.
#[derive(Debug)]
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Takes them out of a request, and refuses names that `T` does not have.
    pub fn take<T: Filtered>(form: &mut Form) -> Result<Self, Refusal> {
        let mut filters = Vec::new();
        let mut count = 0;
        for mut filter in form.structures("Filter")? {
            let name = filter.required("Name")?;
            let values = filter.texts("Value")?;
            if values.is_empty() {
                return Err(refused("InvalidParameterValue", format!("The filter '{name}' has no values")));
            }
            filter.finish()?;
            let known = name.starts_with("tag:") || name == "tag-key" || T::NAMES.contains(&name.as_str());
            if !known {
                return Err(refused("InvalidParameterValue", format!("The filter '{name}' is invalid")));
            }
            count += values.len();
            filters.push((name, values));
        }
        if count > MOST_VALUES {
            return Err(refused(
                "FilterLimitExceeded",
                format!("The maximum number of filter values specified on a single call is {MOST_VALUES}"),
            ));
        }
        Ok(Self(filters))
    }

    /// Whether all of them hold.
    pub fn hold<T: Filtered>(&self, thing: &T) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let has = match (name.strip_prefix("tag:"), thing.tags()) {
                (Some(key), Some(tags)) => tags.get(key).cloned().into_iter().collect(),
                (None, Some(tags)) if name == "tag-key" => tags.keys().cloned().collect(),
                _ => thing.values(name),
            };
            wanted.iter().any(|wanted| has.iter().any(|has| fits(wanted, has)))
        })
    }

    /// Only those for which all of them hold.
    pub fn keep<T: Filtered>(&self, things: Vec<T>) -> Vec<T> {
        things.into_iter().filter(|thing| self.hold(thing)).collect()
    }
}

/// Whether a text fits a pattern: `*` is any text, `?` any character, `\` takes either's meaning away.
fn fits(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    let pattern = Piece::read(pattern);
    let text: Vec<char> = text.chars().collect();
    // Where to go on when a piece does not fit: behind the last `*`, one character later.
    let (mut at, mut place, mut again) = (0, 0, None);
    while at < text.len() {
        match pattern.get(place) {
            Some(Piece::Any) => {
                again = Some((place + 1, at));
                place += 1;
            }
            Some(Piece::One) => (at, place) = (at + 1, place + 1),
            Some(Piece::Character(wanted)) if *wanted == text[at] => (at, place) = (at + 1, place + 1),
            _ => match &mut again {
                Some((behind, from)) => {
                    *from += 1;
                    (at, place) = (*from, *behind);
                }
                None => return false,
            },
        }
    }
    pattern[place..].iter().all(|piece| matches!(piece, Piece::Any))
}

enum Piece {
    Any,
    One,
    Character(char),
}

impl Piece {
    fn read(pattern: &str) -> Vec<Self> {
        let mut characters = pattern.chars();
        let mut pieces = Vec::new();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '*' => Self::Any,
                '?' => Self::One,
                '\\' => Self::Character(characters.next().unwrap_or('\\')),
                _ => Self::Character(character),
            });
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Filtered, Filters, fits};
    use crate::ec2::form::Form;

    struct Thing(BTreeMap<String, String>);

    impl Filtered for Thing {
        const NAMES: &'static [&'static str] = &["state"];

        fn values(&self, name: &str) -> Vec<String> {
            assert_eq!(name, "state");
            vec!["running".into()]
        }

        fn tags(&self) -> Option<&BTreeMap<String, String>> {
            Some(&self.0)
        }
    }

    fn holds(body: &str) -> bool {
        let filters = Filters::take::<Thing>(&mut Form::read(body.as_bytes()).unwrap()).unwrap();
        filters.hold(&Thing([("env".to_owned(), "prod".to_owned())].into()))
    }

    #[test]
    fn patterns() {
        for (pattern, text, fit) in [
            ("web", "web", true),
            ("web", "Web", false),
            ("w*", "web", true),
            ("*b", "web", true),
            ("w?b", "web", true),
            ("w?b", "weeb", false),
            ("*e*e*", "seven eleven", true),
            ("a*b", "acbc", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn all_filters_hold_by_any_value() {
        assert!(holds("Filter.1.Name=tag:env&Filter.1.Value.1=test&Filter.1.Value.2=prod"));
        assert!(!holds(
            "Filter.1.Name=tag:env&Filter.1.Value.1=prod&Filter.2.Name=state&Filter.2.Value.1=stopped"
        ));
        assert!(holds("Filter.1.Name=tag-key&Filter.1.Value.1=e*"));
        assert!(!holds("Filter.1.Name=tag:other&Filter.1.Value.1=*"));
    }

    #[test]
    fn unknown_names_and_too_many_values_are_refused() {
        let refused =
            |body: &str| Filters::take::<Thing>(&mut Form::read(body.as_bytes()).unwrap()).unwrap_err().code;
        assert_eq!(refused("Filter.1.Name=colour&Filter.1.Value.1=red"), "InvalidParameterValue");
        assert_eq!(refused("Filter.1.Name=state"), "InvalidParameterValue");
        assert_eq!(refused("Filter.1.Value.1=red"), "MissingParameter");
        let many: String = (1..=201).map(|n| format!("&Filter.1.Value.{n}=x")).collect();
        assert_eq!(refused(&format!("Filter.1.Name=state{many}")), "FilterLimitExceeded");
    }
}
