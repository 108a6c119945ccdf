//! Pages of Systems Manager: `NextToken` and `MaxResults`.

use serde_json::{Map, Value, json};

use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
    paging::Ask,
};

/// Which page of which listing.
pub(super) struct Which {
    call: &'static str,
    of: String,
    token: Option<String>,
    size: usize,
}

impl Which {
    /// Reads `NextToken` and `MaxResults`, which lies in these bounds and has this default.
    pub fn read(
        call: &Call<'_>,
        asked: &mut Members,
        right: &'static str,
        (least, most, usual): (u64, u64, u64),
    ) -> Result<Self, Refusal> {
        Ok(Self {
            call: right,
            of: call.listing(&asked.without_page()),
            token: asked.text("NextToken", 4096)?.filter(|token| !token.is_empty()),
            size: asked.integer("MaxResults", least, most)?.unwrap_or(usual) as usize,
        })
    }

    /// The page, as the member `name` and perhaps `NextToken`.
    pub async fn page<F>(&self, call: &Call<'_>, name: &str, list: F) -> Result<Value, Trouble>
    where
        F: Future<Output = Result<Vec<Value>, Trouble>>,
    {
        let ask = Ask {
            call: self.call,
            of: self.of.clone(),
            size: self.size,
            token: self.token.as_deref(),
            refused: "InvalidNextToken",
        };
        let page = call.page(&ask, list).await?;
        let mut body = Map::new();
        body.insert(name.to_owned(), json!(page.items));
        if let Some(next) = page.next {
            body.insert("NextToken".into(), json!(next));
        }
        Ok(Value::Object(body))
    }
}
