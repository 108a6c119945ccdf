//! Mermaid flowcharts.

use std::fmt::Write;

use super::picture::{Look, Picture};

pub(super) fn draw(picture: &Picture) -> String {
    let mut text = String::from("flowchart TD\n");
    for (class, style) in [
        ("changes", "fill:#fde2e2,stroke:#b3392f"),
        ("reads", "fill:#e6f4ea,stroke:#2e7d43"),
        ("gate", "fill:#fff4d6,stroke:#a97a00"),
        ("branch", "fill:#f3e8fd,stroke:#7b3fa0,stroke-dasharray:4 3"),
        ("skipped", "fill:#f2f2f2,stroke:#999999,color:#777777"),
    ] {
        writeln!(text, "  classDef {class} {style}").expect("text grows");
    }
    inside(picture, 0, 1, &mut text);
    text
}

fn inside(picture: &Picture, at: usize, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let whole = &picture.boxes[at];
    for id in &whole.inside {
        let box_ = &picture.boxes[*id];
        let label = box_.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br/>");
        match class(box_.look) {
            None => {
                writeln!(text, "{indent}subgraph b{id}[\"{label}\"]").expect("text grows");
                inside(picture, *id, depth + 1, text);
                writeln!(text, "{indent}end").expect("text grows");
            }
            Some(class) => writeln!(text, "{indent}b{id}[\"{label}\"]:::{class}").expect("text grows"),
        }
    }
    for arrow in &whole.arrows {
        let line = if arrow.failure { "-. fails .->" } else { "-->" };
        writeln!(text, "{indent}b{} {line} b{}", arrow.from, arrow.to).expect("text grows");
    }
}

/// The class of a task; none for a scope.
fn class(look: Look) -> Option<&'static str> {
    match look {
        Look::Stage | Look::Wave | Look::Soak => None,
        Look::Changes => Some("changes"),
        Look::Reads => Some("reads"),
        Look::Gate => Some("gate"),
        Look::Branch => Some("branch"),
        Look::Skipped => Some("skipped"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "#quot;").replace('<', "&lt;").replace('>', "&gt;")
}
