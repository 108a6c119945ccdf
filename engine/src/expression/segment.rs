//! Where the expressions of a text begin and end.

use super::ExpressionError;

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'t> {
    /// Nothing but text.
    Text(&'t str),
    /// What stands between `{{` and `}}`.
    Expression {
        /// Without the braces.
        text: &'t str,
        /// Where it begins (behind the braces), in bytes of the whole text.
        offset: usize,
    },
}

/// Cuts a text into its pieces. An expression ends at the first `}}` that is neither inside quotes nor closes a
/// mapping.
///
/// # Errors
/// [`ExpressionError::Syntax`] when an expression has no end.
pub fn segments(text: &str) -> Result<Vec<Segment<'_>>, ExpressionError> {
    let mut segments = Vec::new();
    let mut at = 0;
    while let Some(opening) = text[at..].find("{{").map(|found| at + found) {
        if opening > at {
            segments.push(Segment::Text(&text[at..opening]));
        }
        let offset = opening + 2;
        let end = end_of(&text[offset..]).ok_or_else(|| ExpressionError::Syntax {
            message: "an expression begins here and does not end".into(),
            offset: opening,
        })?;
        segments.push(Segment::Expression { text: &text[offset..offset + end], offset });
        at = offset + end + 2;
    }
    if at < text.len() {
        segments.push(Segment::Text(&text[at..]));
    }
    Ok(segments)
}

fn end_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut open = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(mark), _) if byte == mark => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'{') => open += 1,
            (None, b'}') if open > 0 => open -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}
