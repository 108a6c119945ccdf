//! One stream of a call: what lies between the lines that say where it begins and ends.

/// What is held of what comes before the beginning: the words of `sudo` or of a login that refuses.
const BEFORE: usize = 8_192;

/// A stream that is being read. Of the text, the first bytes are kept, as many as asked for; the rest is read and
/// dropped, so that neither a talkative script nor our memory is held up.
#[derive(Debug)]
pub(super) struct Heard {
    begins: Vec<u8>,
    ends: Vec<u8>,
    keep: usize,
    pending: Vec<u8>,
    before: Vec<u8>,
    text: Vec<u8>,
    begun: bool,
    dropped: bool,
    end: Option<String>,
}

impl Heard {
    pub(super) fn new(word: &str, keep: usize) -> Self {
        Self {
            begins: format!("\n{word} begins\n").into_bytes(),
            ends: format!("\n{word} ends ").into_bytes(),
            keep,
            pending: Vec::new(),
            before: Vec::new(),
            text: Vec::new(),
            begun: false,
            dropped: false,
            end: None,
        }
    }

    /// Takes in what was read.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.end.is_some() {
            return;
        }
        self.pending.extend_from_slice(bytes);
        if !self.begun {
            match find(&self.pending, &self.begins) {
                Some(at) => {
                    let rest = self.pending.split_off(at + self.begins.len());
                    let before = std::mem::replace(&mut self.pending, rest);
                    self.before.extend_from_slice(&before[..at]);
                    self.begun = true;
                }
                None if self.pending.len() > 2 * BEFORE => {
                    let rest = self.pending.split_off(self.pending.len() - BEFORE);
                    self.pending = rest;
                }
                None => {}
            }
        }
        if self.begun {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let Some(at) = find(&self.pending, &self.ends) else {
            // The end may have come in part.
            let sure = self.pending.len().saturating_sub(self.ends.len());
            let rest = self.pending.split_off(sure);
            let text = std::mem::replace(&mut self.pending, rest);
            self.put(&text);
            return;
        };
        let told = &self.pending[at + self.ends.len()..];
        let line = told.iter().position(|byte| *byte == b'\n');
        let end = line.map(|to| String::from_utf8_lossy(&told[..to]).into_owned());
        let rest = self.pending.split_off(at);
        let text = std::mem::replace(&mut self.pending, rest);
        self.put(&text);
        self.end = end;
    }

    fn put(&mut self, text: &[u8]) {
        let room = self.keep - self.text.len();
        self.dropped |= text.len() > room;
        self.text.extend_from_slice(&text[..text.len().min(room)]);
    }

    /// The script was about to run.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// How it ended, once that was read.
    pub(super) fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// More was said than was to be kept.
    pub(super) fn is_cut(&self) -> bool {
        self.dropped
    }

    /// What was said before the beginning.
    pub(super) fn before(&self) -> String {
        let before = if self.begun { &self.before } else { &self.pending };
        String::from_utf8_lossy(before).trim().to_owned()
    }

    /// What the script said.
    pub(super) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::Heard;

    const SAID: &[u8] = b"motd\n\nw begins\nout\xff\n\nw ends 3\n";

    #[test]
    fn the_text_is_what_lies_between_however_it_comes_in_pieces() {
        for size in 1..SAID.len() {
            let mut heard = Heard::new("w", 100);
            SAID.chunks(size).for_each(|piece| heard.take(piece));
            assert_eq!(heard.end(), Some("3"), "in pieces of {size}");
            assert_eq!(heard.before(), "motd");
            assert_eq!(heard.into_text(), "out\u{fffd}\n");
        }
    }

    #[test]
    fn nothing_that_it_says_itself_is_its_end() {
        let mut heard = Heard::new("w", 100);
        heard.take(b"\nw begins\nv ends 0\n w ends 0\nx");
        assert_eq!(heard.end(), None);
        heard.take(b"\nw ends late\n");
        assert_eq!(heard.end(), Some("late"));
        assert_eq!(heard.into_text(), "v ends 0\n w ends 0\nx");
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut heard = Heard::new("w", 10);
        heard.take(b"\nw begins\n");
        for _ in 0..1000 {
            heard.take(&[b'x'; 1000]);
            assert!(heard.pending.len() < 2_000 && heard.text.len() <= 10);
        }
        assert!(heard.is_cut());
        heard.take(b"\nw ends 0\n");
        assert_eq!(heard.end(), Some("0"));
        assert_eq!(heard.into_text(), "xxxxxxxxxx");
    }

    #[test]
    fn without_a_beginning_the_last_words_are_kept() {
        let mut heard = Heard::new("w", 10);
        heard.take(&[b'\n'; 100_000]);
        heard.take(b"sudo: a password is required\n");
        assert!(!heard.has_begun());
        assert_eq!(heard.before(), "sudo: a password is required");
    }
}
