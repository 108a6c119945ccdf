//! Events are stored as text in which what recurs is one byte.
//!
//! Canonical JSON has no bytes below 32 (they are escaped), so these bytes stand for the words of [`WORDS`], and the
//! text comes back exactly. A journal is half as long for it, and all names are still in it.

/// What the bytes from 0 on stand for. It belongs to the format: it can never change, only a new format can have
/// another one. Of several that fit, the longest is taken.
const WORDS: [&[u8]; 32] = [
    br#"{"attempt":1,"result":{"outcome":"succeeded"},"targets":["#,
    br#"{"attempt":1,"result":{"outcome":"succeeded"},"task":""#,
    br#"{"attempt":1,"targets":["#,
    br#"{"attempt":1,"task":""#,
    br#"{"attempt":1,"call":""#,
    br#"{"attempt":1,"key":""#,
    br#"{"attempt":"#,
    br#"{"task":""#,
    br#"{"scope":""#,
    br#"{"outputs":{""#,
    br#"],"task":""#,
    br#","result":{"outcome":""#,
    br#"","targets":["#,
    br#"","task":""#,
    br#"","token":""#,
    br#"","key":""#,
    br#"","type":"task_started"}"#,
    br#"","type":"task_succeeded"}"#,
    br#"","type":"task_reported"}"#,
    br#"","type":"targets_reported"}"#,
    br#"","type":"intent_recorded"}"#,
    br#"","type":"checkpoint_recorded","value":"#,
    br#"","type":"task_looked_up"}"#,
    br#"","type":"outputs_recorded"}"#,
    br#"","type":"wave_started"}"#,
    br#","type":"wave_ended"}"#,
    br#"","type":""#,
    br#"{"cause":""#,
    br#"","i-0"#,
    br#"","i-"#,
    br#"":""#,
    br#"",""#,
];

/// The text with its words as bytes. The text must be JSON.
pub(crate) fn shorten(text: &[u8]) -> Vec<u8> {
    let mut short = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let word = match first {
            b'{' | b'"' | b',' | b']' => longest(rest),
            _ => None,
        };
        match word {
            Some((code, length)) => {
                short.push(code);
                rest = &rest[length..];
            }
            None => {
                short.push(*first);
                rest = after;
            }
        }
    }
    short
}

fn longest(text: &[u8]) -> Option<(u8, usize)> {
    let fitting = (0_u8..).zip(WORDS).filter(|(_, word)| text.starts_with(word));
    fitting.map(|(code, word)| (code, word.len())).max_by_key(|(_, length)| *length)
}

/// The text that [`shorten`] was given.
pub(crate) fn restore(short: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(short.len() * 3);
    for byte in short {
        match WORDS.get(usize::from(*byte)) {
            Some(word) => text.extend_from_slice(word),
            None => text.push(*byte),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::{WORDS, restore, shorten};
    use crate::chain;

    #[test]
    fn every_text_comes_back() {
        let texts = [
            r#"{"attempt":1,"task":"dev/wave-1/patch","type":"task_started"}"#,
            r#"{"attempt":12,"result":{"outcome":"failed","cause":"no\u0007 \"space\""},"targets":["i-0a","i-1b"],"task":"ü/\n","type":"targets_reported"}"#,
            r#"{"attempt":1,"call":"ssm:SendCommand","key":"","targets":["a"],"task":"x","token":"7","type":"intent_recorded"}"#,
            "",
            r#""""#,
            "\u{7f}\u{80}\u{10ffff}",
        ];
        for text in texts {
            let short = shorten(text.as_bytes());
            assert_eq!(restore(&short), text.as_bytes());
            assert!(short.len() <= text.len());
        }
        assert_eq!(shorten(texts[0].as_bytes()).len(), 18);
    }

    #[test]
    fn the_words_never_change() {
        let hash = chain::hex(&Sha256::digest(WORDS.join(&b'\n')).into());
        assert_eq!(hash, "2ee08af26b59309ce10bc05424ead199dc64897f972826f63a481e3e14682bbe");
    }
}
