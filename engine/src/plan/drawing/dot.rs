//! DOT, the language of Graphviz.

use std::fmt::Write;

use super::picture::{Look, Picture};

pub(super) fn draw(picture: &Picture) -> String {
    let mut text = String::from("digraph plan {\n");
    writeln!(text, "  label=\"{}\"; labelloc=t; compound=true; fontname=Helvetica;", escaped(&picture.title))
        .expect("text grows");
    text.push_str("  node [shape=box, style=\"rounded,filled\", fontname=Helvetica, fontsize=11];\n");
    text.push_str("  edge [color=\"#555555\"];\n");
    inside(picture, 0, 1, &mut text);
    text.push_str("}\n");
    text
}

fn inside(picture: &Picture, at: usize, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let whole = &picture.boxes[at];
    for id in &whole.inside {
        let box_ = &picture.boxes[*id];
        let label = box_.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\\n");
        match color(box_.look) {
            None => {
                writeln!(text, "{indent}subgraph cluster_b{id} {{").expect("text grows");
                writeln!(text, "{indent}  label=\"{label}\"; style=rounded; color=\"#888888\"; fontsize=12;")
                    .expect("text grows");
                if box_.inside.is_empty() {
                    // Graphviz draws no empty cluster, and arrows need something to end at.
                    writeln!(text, "{indent}  b{id} [label=\"\", style=invis];").expect("text grows");
                }
                inside(picture, *id, depth + 1, text);
                writeln!(text, "{indent}}}").expect("text grows");
            }
            Some(color) => {
                let style = if box_.look == Look::Branch { ", style=\"rounded,filled,dashed\"" } else { "" };
                writeln!(text, "{indent}b{id} [label=\"{label}\", fillcolor=\"{color}\"{style}];")
                    .expect("text grows");
            }
        }
    }
    for arrow in &whole.arrows {
        let (from, tail) = end(picture, arrow.from, "ltail", |list| list.last());
        let (to, head) = end(picture, arrow.to, "lhead", |list| list.first());
        let style = if arrow.failure { "style=dashed, label=\"fails\", fontsize=9" } else { "" };
        let options: Vec<_> =
            [tail.as_str(), head.as_str(), style].into_iter().filter(|text| !text.is_empty()).collect();
        let options = if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) };
        writeln!(text, "{indent}b{from} -> b{to}{options};").expect("text grows");
    }
}

/// An arrow ends at a task; where it means a scope, at the scope's border on the way to one in it.
fn end(
    picture: &Picture,
    at: usize,
    option: &str,
    choose: fn(&[usize]) -> Option<&usize>,
) -> (usize, String) {
    let mut task = at;
    while let Some(next) = choose(&picture.boxes[task].inside) {
        task = *next;
    }
    let option = if color(picture.boxes[at].look).is_none() {
        format!("{option}=cluster_b{at}")
    } else {
        String::new()
    };
    (task, option)
}

/// The colour of a task; none for a scope.
fn color(look: Look) -> Option<&'static str> {
    match look {
        Look::Stage | Look::Wave | Look::Soak => None,
        Look::Changes => Some("#fde2e2"),
        Look::Reads => Some("#e6f4ea"),
        Look::Gate => Some("#fff4d6"),
        Look::Branch => Some("#f3e8fd"),
        Look::Skipped => Some("#f2f2f2"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
