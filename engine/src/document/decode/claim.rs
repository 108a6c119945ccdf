//! What a test case expects: `expect:` and `never:`.

use super::{Decoder, fields::Fields};
use crate::{
    diagnostic::{Diagnostic, Place},
    document::{
        expectation::{Bounds, CallWords, Claim, ENDS, EXITS, MachineWord},
        model::{Amount, Spanned},
        tree::{Data, Entry, Node},
    },
};

const EXPECT: &[&str] =
    &["outcome", "exit", "machines", "order", "calls", "finishes_within", "window_left", "says"];
const ORDER: &[&str] = &["task", "after", "before", "on"];
const BOUNDS: [&str; 3] = ["exactly", "at_least", "at_most"];
const CALLS: &[&str] = &["call", "operation", "task", "on", "exactly", "at_least", "at_most"];
const NEVER: &[&str] = &["outcome", "touched", "says", "call", "operation", "task", "on"];

impl Decoder<'_, '_> {
    pub(super) fn expectations(&mut self, entry: &Entry, claims: &mut Vec<Spanned<Claim>>) {
        let Some(fields) = self.fields(&entry.value, entry.place, "`expect`", EXPECT) else { return };
        if let Some(entry) = fields.get("outcome")
            && let Some(words) = self.ends(entry)
        {
            if ENDS.iter().all(|end| words.contains(end)) {
                self.cannot_fail("a run always ends as one of these", entry.value.place);
            }
            claims.push(Spanned::new(Claim::Ends(words), entry.value.place));
        }
        if let Some(entry) = fields.get("exit")
            && let Some(code) = self.whole(entry)
        {
            if !EXITS.contains(&code.value) {
                let message = format!("no run exits with {}", code.value);
                let codes = EXITS.map(|code| code.to_string()).join(", ");
                self.report(
                    Diagnostic::error("cannot-hold", message, code.place)
                        .hint(format!("runs exit with {codes}")),
                );
            }
            claims.push(Spanned::new(Claim::Exit(code.value), code.place));
        }
        if let Some(entry) = fields.get("machines") {
            let Data::Map(entries) = &entry.value.data else {
                return self.wrong("machines", "a mapping from machines to how they come out", &entry.value);
            };
            entries.iter().for_each(|entry| self.machines(entry, claims));
        }
        for item in self.items(&fields, "order") {
            let claim = self.order(item).map(|claim| Spanned::new(claim, item.place));
            claims.extend(claim);
        }
        for item in self.items(&fields, "calls") {
            let claim = self.calls(item).map(|claim| Spanned::new(claim, item.place));
            claims.extend(claim);
        }
        if let Some(entry) = fields.get("finishes_within")
            && let Some(span) = self.span(entry)
        {
            claims.push(Spanned::new(Claim::FinishesWithin(span.value), span.place));
        }
        if let Some(entry) = fields.get("window_left")
            && let Some(span) = self.span(entry)
        {
            claims.push(Spanned::new(Claim::WindowLeft(span.value), span.place));
        }
        if let Some(entry) = fields.get("says") {
            let said = self.said(entry).into_iter();
            claims.extend(said.map(|text| Spanned::new(Claim::Says(text.value), text.place)));
        }
    }

    pub(super) fn nevers(&mut self, entry: &Entry, claims: &mut Vec<Spanned<Claim>>) {
        let Data::List(items) = &entry.value.data else {
            return self.wrong("never", "a list like [{ outcome: stuck }]", &entry.value);
        };
        for item in items {
            let Some(fields) = self.fields(item, item.place, "what never happens", NEVER) else { continue };
            let kinds: Vec<&Entry> = fields
                .entries()
                .filter(|entry| {
                    matches!(entry.key.as_str(), "outcome" | "touched" | "says" | "call")
                        || entry.key == "task" && fields.get("call").is_none()
                })
                .collect();
            let kind = match kinds[..] {
                [kind] => kind,
                [] => {
                    let message = "it must have `call`, `task`, `touched`, `outcome` or `says`";
                    self.report(Diagnostic::error("missing-key", message, item.place));
                    continue;
                }
                [first, second, ..] => {
                    self.conflicting(second, first);
                    continue;
                }
            };
            let with: &[&str] = match kind.key.as_str() {
                "call" => &["operation", "task", "on"],
                "task" | "outcome" => &["on"],
                _ => &[],
            };
            let misplaced = |entry: &&Entry| {
                let key = entry.key.as_str();
                key != kind.key && !with.contains(&key) && NEVER.contains(&key)
            };
            if let Some(other) = fields.entries().find(misplaced) {
                self.conflicting(other, kind);
                continue;
            }
            for claim in self.never(&fields, kind) {
                claims.push(Spanned::new(claim, item.place));
            }
        }
    }

    fn cannot_fail(&mut self, message: &str, place: Place) {
        let problem = Diagnostic::error("cannot-fail", message, place);
        self.report(problem.hint("leave out what must not come"));
    }

    fn conflicting(&mut self, entry: &Entry, beside: &Entry) {
        let message = format!("`{}` cannot stand beside `{}`", entry.key, beside.key);
        self.report(Diagnostic::error("conflicting-keys", message, entry.place));
    }

    fn never(&mut self, fields: &Fields<'_>, kind: &Entry) -> Vec<Claim> {
        let on = fields.get("on").and_then(|entry| self.text(entry));
        let claim = match kind.key.as_str() {
            "call" => self.call_words(fields).map(Claim::NoCall),
            "task" => self.text(kind).map(|task| Claim::NoTask { task, on }),
            "touched" => self.text(kind).map(Claim::NoTouch),
            "outcome" if on.is_some() => {
                self.machine_words(&kind.value).map(|words| Claim::NoneIs { on, words })
            }
            "outcome" => self.ends_or_machines(kind),
            _ => return self.said(kind).into_iter().map(|text| Claim::NeverSays(text.value)).collect(),
        };
        claim.into_iter().collect()
    }

    /// Without `on`, `outcome: stuck` is about the run, and `outcome: restore_failed` about any machine.
    fn ends_or_machines(&mut self, entry: &Entry) -> Option<Claim> {
        let is_end = |node: &Node| node.value().as_str().is_some_and(|text| ENDS.contains(&text));
        let of_machines = |node: &Node| {
            !is_end(node)
                && node
                    .value()
                    .as_str()
                    .is_some_and(|text| MachineWord::ALL.iter().any(|word| word.as_str() == text))
        };
        let about_machines = match &entry.value.data {
            Data::List(items) => !items.is_empty() && items.iter().all(of_machines),
            _ => of_machines(&entry.value),
        };
        if about_machines {
            return self.machine_words(&entry.value).map(|words| Claim::NoneIs { on: None, words });
        }
        self.ends(entry).map(Claim::NeverEnds)
    }

    fn ends(&mut self, entry: &Entry) -> Option<Vec<&'static str>> {
        let known = ENDS.map(|word| (word, word));
        let words = self.one_or_many(&entry.value, |this, node| this.word("outcome", node, &known));
        self.not_empty(&entry.key, &entry.value, words)
    }

    fn machine_words(&mut self, node: &Node) -> Option<Vec<MachineWord>> {
        let words = self.one_or_many(node, |this, node| this.machine_word("outcome", node));
        self.not_empty("outcome", node, words)
    }

    fn machine_word(&mut self, key: &str, node: &Node) -> Option<Spanned<MachineWord>> {
        let known = MachineWord::ALL.map(|word| (word.as_str(), word));
        let word = self.word(key, node, &known)?;
        if word.value.can_come() {
            return Some(word);
        }
        let message = format!("no machine comes out as `{}` here", word.value.as_str());
        let problem = Diagnostic::error("cannot-hold", message, word.place);
        self.report(problem.hint("leave it out: nobody excludes machines in a simulated world"));
        None
    }

    fn one_or_many<T>(
        &mut self,
        node: &Node,
        mut one: impl FnMut(&mut Self, &Node) -> Option<Spanned<T>>,
    ) -> Option<Vec<T>> {
        match &node.data {
            Data::List(items) => items.iter().map(|item| one(self, item).map(|word| word.value)).collect(),
            _ => one(self, node).map(|word| vec![word.value]),
        }
    }

    fn not_empty<T>(&mut self, key: &str, node: &Node, words: Option<Vec<T>>) -> Option<Vec<T>> {
        let words = words?;
        if words.is_empty() {
            self.report(Diagnostic::error("empty", format!("`{key}` is empty"), node.place));
            return None;
        }
        Some(words)
    }

    /// `production: patched`, `production: [patched, restored]`, `production: { patched: { at_least: 95% } }`.
    fn machines(&mut self, entry: &Entry, claims: &mut Vec<Spanned<Claim>>) {
        let on = Spanned::new(entry.key.clone(), entry.place);
        let Data::Map(counts) = &entry.value.data else {
            if let Some(words) = self.machine_words(&entry.value) {
                let mut outcomes = MachineWord::ALL.iter().filter(|word| matches!(word, MachineWord::Is(_)));
                if outcomes.all(|word| words.contains(word) || !word.can_come()) {
                    self.cannot_fail("a machine always comes out as one of these", entry.value.place);
                }
                claims.push(Spanned::new(Claim::Each { on, words }, entry.value.place));
            }
            return;
        };
        if counts.is_empty() {
            self.report(Diagnostic::error("empty", format!("`{}` says nothing", entry.key), entry.place));
        }
        for count in counts {
            let key = Node {
                place: count.place,
                end: (count.place.line, count.place.column),
                data: Data::Scalar { text: count.key.clone(), plain: true },
            };
            let Some(word) = self.machine_word("machines", &key) else { continue };
            let bounds = match &count.value.data {
                Data::Map(_) => self
                    .fields(&count.value, count.place, "how many", &BOUNDS)
                    .and_then(|fields| self.bounds(&fields, true)),
                _ => self.whole(count).map(|exactly| {
                    let amount = Some(Amount::Count(exactly.value));
                    Bounds { least: amount, most: amount }
                }),
            };
            if let Some(bounds) = bounds {
                let claim = Claim::Count { on: on.clone(), word: word.value, bounds };
                claims.push(Spanned::new(claim, count.place));
            }
        }
    }

    /// The items of a list of mappings.
    fn items<'n>(&mut self, fields: &Fields<'n>, key: &str) -> &'n [Node] {
        let Some(entry) = fields.get(key) else { return &[] };
        match &entry.value.data {
            Data::List(items) => items,
            _ => {
                self.wrong(key, "a list of mappings", &entry.value);
                &[]
            }
        }
    }

    fn order(&mut self, item: &Node) -> Option<Claim> {
        let fields = self.fields(item, item.place, "an order", ORDER)?;
        let task = self.required(&fields, "task").and_then(|node| self.text_of("task", node));
        let on = fields.get("on").and_then(|entry| self.text(entry));
        match (fields.get("after"), fields.get("before")) {
            (Some(entry), None) => {
                let first = self.text(entry)?;
                Some(Claim::Order { first, then: task?, on })
            }
            (None, Some(entry)) => {
                let then = self.text(entry)?;
                Some(Claim::Order { first: task?, then, on })
            }
            (Some(after), Some(before)) => {
                self.conflicting(before, after);
                None
            }
            (None, None) => {
                let message = "an order must have `after` or `before`";
                self.report(Diagnostic::error("missing-key", message, item.place));
                None
            }
        }
    }

    fn calls(&mut self, item: &Node) -> Option<Claim> {
        let fields = self.fields(item, item.place, "a count of calls", CALLS)?;
        let which = self.call_words(&fields);
        let bounds = self.bounds(&fields, false);
        Some(Claim::Calls { which: which?, bounds: bounds? })
    }

    fn call_words(&mut self, fields: &Fields<'_>) -> Option<CallWords> {
        let call = self.required(fields, "call").and_then(|node| self.text_of("call", node));
        let mut text = |key: &str| fields.get(key).and_then(|entry| self.text(entry));
        let (operation, task, on) = (text("operation"), text("task"), text("on"));
        Some(CallWords { call: call?, operation, task, on })
    }

    fn bounds(&mut self, fields: &Fields<'_>, shares: bool) -> Option<Bounds> {
        let before = self.problems.len();
        let mut amount = |key: &str| {
            let entry = fields.get(key)?;
            if shares && key != "exactly" {
                return self.amount(key, &entry.value);
            }
            self.whole(entry).map(|whole| Spanned::new(Amount::Count(whole.value), whole.place))
        };
        let (exactly, least, most) = (amount("exactly"), amount("at_least"), amount("at_most"));
        if let Some(exactly) = exactly {
            if let Some(entry) = fields.get("at_least").or(fields.get("at_most"))
                && let Some(beside) = fields.get("exactly")
            {
                self.conflicting(entry, beside);
            }
            return Some(Bounds { least: Some(exactly.value), most: Some(exactly.value) });
        }
        if self.problems.len() > before {
            return None;
        }
        let refuse = |this: &mut Self, message: &str, place: Place| {
            this.report(Diagnostic::error("cannot-fail", message, place));
            None
        };
        match (&least, &most) {
            (None, None) => {
                let message = format!("{} must have `exactly`, `at_least` or `at_most`", fields.what);
                self.report(Diagnostic::error("missing-key", message, fields.place));
                None
            }
            (Some(least), _) if matches!(least.value, Amount::Count(0) | Amount::Percent(0)) => {
                refuse(self, "at least nothing always holds", least.place)
            }
            (_, Some(most)) if matches!(most.value, Amount::Percent(100..)) => {
                refuse(self, "at most all always holds", most.place)
            }
            (Some(least), Some(most)) if exceeds(least.value, most.value) => {
                let message = "`at_least` is more than `at_most`";
                self.report(Diagnostic::error("wrong-value", message, least.place));
                None
            }
            _ => Some(Bounds { least: least.map(|at| at.value), most: most.map(|at| at.value) }),
        }
    }

    /// Texts, none of them empty.
    fn said(&mut self, entry: &Entry) -> Vec<Spanned<String>> {
        let texts: Vec<_> = match &entry.value.data {
            Data::List(_) => self.texts(entry),
            _ => self.text(entry).into_iter().collect(),
        };
        for text in texts.iter().filter(|text| text.value.trim().is_empty()) {
            let message = "every message holds the empty text";
            self.report(Diagnostic::error("cannot-fail", message, text.place));
        }
        texts
    }
}

fn exceeds(least: Amount, most: Amount) -> bool {
    match (least, most) {
        (Amount::Count(least), Amount::Count(most)) | (Amount::Percent(least), Amount::Percent(most)) => {
            least > most
        }
        _ => false,
    }
}
