//! Diagnostics for a person.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle};

use super::{Diagnostic, Severity};
use crate::document::{Lines, Sources};

/// Longer lines are shown in part.
const WIDEST: usize = 160;

/// Every diagnostic with its source line underlined and its hint as help, then how many there are.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDEST);
    let lines: Vec<Lines<'_>> = sources.files.iter().map(|(_, text)| Lines::of(text)).collect();
    let mut rendered = String::new();
    for diagnostic in diagnostics {
        rendered.push_str(&one(diagnostic, sources, &lines, &renderer));
        rendered.push_str("\n\n");
    }
    if !diagnostics.is_empty() {
        rendered.push_str(&summary(diagnostics));
        rendered.push('\n');
    }
    rendered
}

fn one(diagnostic: &Diagnostic, sources: &Sources, lines: &[Lines<'_>], renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let place = diagnostic.place;
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let (name, text) = sources.get(place.source);
    if text.is_empty() {
        // Nothing of the file can be shown.
        let mut group = Group::with_title(title).element(Origin::path(name).line(1).char_column(1));
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        return renderer.render(&[group]);
    }
    let line = lines.get(place.source).map_or("", |lines| lines.line(place.line));
    let line = visible(line);
    let start = line.char_indices().nth(place.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let end = line[start..].char_indices().nth(place.width).map_or(line.len(), |(at, _)| start + at);
    let mut group = Group::with_title(title).element(
        Snippet::source(line.as_str())
            .line_start(place.line)
            .path(sources.get(place.source).0)
            .annotation(AnnotationKind::Primary.span(start..end.max(start))),
    );
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    renderer.render(&[group])
}

/// The same line, character for character, without anything that moves a terminal's cursor.
fn visible(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '\t' => ' ',
            // Changes of direction would show another text than the one that counts.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        number => format!("{number} {word}s"),
    };
    match (errors, diagnostics.len() - errors) {
        (errors, 0) => count(errors, "error"),
        (0, warnings) => count(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}
