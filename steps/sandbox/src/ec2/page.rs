//! Which part of a list is answered: ids, and pages.

use super::{
    asked::Asked,
    form::Form,
    refusal::{not_found, refused},
};
use crate::{
    fault::{Refusal, Trouble},
    paging::{Ask, Page},
};

/// On a page of a listing whose size nobody named.
const MOST_ON_A_PAGE: usize = 1_000;

/// `MaxResults` and `NextToken`.
#[derive(Debug)]
pub(super) struct Range {
    most: Option<usize>,
    token: Option<String>,
}

impl Range {
    /// Takes both out of a request.
    pub fn take(form: &mut Form, least: u32, most: u32) -> Result<Self, Refusal> {
        let asked = form.number("MaxResults")?;
        if let Some(number) = asked.filter(|number| !(least..=most).contains(number)) {
            let expected = match number < least {
                true => format!("greater than {least}"),
                false => format!("less than {most}"),
            };
            return Err(refused(
                "InvalidParameterValue",
                format!(
                    "Value ( {number} ) for parameter maxResults is invalid. Expecting a value {expected}."
                ),
            ));
        }
        let token = form.text("NextToken")?.filter(|token| !token.is_empty());
        Ok(Self { most: asked.map(|number| number as usize), token })
    }

    /// Who names ids gets all of them at once.
    pub fn excludes(&self, name: &str, ids: &[String]) -> Result<(), Refusal> {
        if self.most.is_some() && !ids.is_empty() {
            return Err(refused(
                "InvalidParameterCombination",
                format!("The parameter {name} cannot be used with the parameter maxResults"),
            ));
        }
        Ok(())
    }
}

impl Asked<'_> {
    /// The page of `list` that was asked for; `call` is the right that it needs. Who named ids gets all of them at once.
    pub async fn page<T, F>(
        &self,
        call: &'static str,
        range: &Range,
        ids: &[String],
        list: F,
    ) -> Result<Page<T>, Trouble>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Vec<T>, Trouble>> + Send,
    {
        let size = match range.most {
            Some(most) => most,
            None if !ids.is_empty() => usize::MAX,
            None => MOST_ON_A_PAGE,
        };
        let token = range.token.as_deref();
        let ask = Ask { call, of: self.listing(), size, token, refused: "InvalidNextToken" };
        self.call.page(&ask, list).await
    }

    /// The request without its place in the list.
    fn listing(&self) -> String {
        let place = (self.call.account, self.call.region);
        let fields = form_urlencoded::parse(&self.call.request.body);
        let rest: Vec<_> = fields.filter(|(name, _)| name != "NextToken" && name != "MaxResults").collect();
        format!("{place:?} {rest:?}")
    }
}

/// The ids of a request: each with the prefix of its kind, and at most so many.
pub(super) fn ids(
    form: &mut Form,
    name: &str,
    prefix: &str,
    malformed: &str,
    most: usize,
) -> Result<Vec<String>, Refusal> {
    let ids = form.texts(name)?;
    for id in &ids {
        check_id(id, prefix, malformed)?;
    }
    if ids.len() > most {
        return Err(refused(
            "InvalidParameterValue",
            format!("The number of {name} parameters ({}) exceeds the maximum of {most}", ids.len()),
        ));
    }
    Ok(ids)
}

/// An id that must be there.
pub(super) fn required_id(
    form: &mut Form,
    name: &str,
    prefix: &str,
    malformed: &str,
) -> Result<String, Refusal> {
    let id = form.required(name)?;
    check_id(&id, prefix, malformed)?;
    Ok(id)
}

fn check_id(id: &str, prefix: &str, malformed: &str) -> Result<(), Refusal> {
    match id.strip_prefix(prefix) {
        Some(rest) if !rest.is_empty() => Ok(()),
        _ => Err(refused(malformed, format!("Invalid id: \"{id}\" (expecting \"{prefix}...\")"))),
    }
}

/// Those with these ids, all of which must exist; no ids: all.
pub(super) fn with_ids<T>(
    all: Vec<T>,
    ids: &[String],
    id: impl Fn(&T) -> &String,
    code: &str,
    kind: &str,
) -> Result<Vec<T>, Refusal> {
    if ids.is_empty() {
        return Ok(all);
    }
    let found: Vec<T> = all.into_iter().filter(|thing| ids.contains(id(thing))).collect();
    let missing: Vec<_> = ids
        .iter()
        .filter(|wanted| !found.iter().any(|thing| id(thing) == *wanted))
        .map(String::as_str)
        .collect();
    if missing.is_empty() { Ok(found) } else { Err(not_found(code, kind, &missing)) }
}
