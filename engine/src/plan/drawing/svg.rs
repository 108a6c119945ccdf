//! SVG that stands alone: no script, no font, no link.

use std::fmt::Write;

use super::{
    layout::{Frame, frames},
    picture::{Look, Picture},
};

const MARGIN: f64 = 20.0;
const TITLE: f64 = 30.0;

pub(super) fn draw(picture: &Picture) -> String {
    let frames = frames(picture);
    let whole = frames.first().copied().unwrap_or_default();
    let (width, height) = (whole.width + 2.0 * MARGIN, whole.height + 2.0 * MARGIN + TITLE);
    let mut text = String::new();
    let title = escaped(&picture.title);
    let put = &mut text;
    writeln!(
        put,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">"
    )
    .expect("text grows");
    put.push_str(
        "<defs><marker id=\"end\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#555555\"/></marker></defs>\n",
    );
    writeln!(put, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>").expect("text grows");
    writeln!(put, "<title>{title}</title>").expect("text grows");
    writeln!(
        put,
        "<text x=\"{MARGIN}\" y=\"{:.0}\" font-size=\"16\" font-weight=\"bold\">{title}</text>",
        MARGIN + 8.0
    )
    .expect("text grows");
    writeln!(put, "<g transform=\"translate({MARGIN},{:.0})\">", MARGIN + TITLE).expect("text grows");
    inside(picture, 0, &frames, put);
    put.push_str("</g>\n</svg>\n");
    text
}

fn inside(picture: &Picture, at: usize, frames: &[Frame], text: &mut String) {
    for inner in &picture.boxes[at].inside {
        frame(picture, *inner, &frames[*inner], text);
        inside(picture, *inner, frames, text);
    }
    for arrow in &picture.boxes[at].arrows {
        line(&frames[arrow.from], &frames[arrow.to], arrow.failure, text);
    }
}

fn frame(picture: &Picture, at: usize, frame: &Frame, text: &mut String) {
    let box_ = &picture.boxes[at];
    let (fill, stroke, dash) = colors(box_.look);
    let Frame { x, y, width, height } = frame;
    writeln!(
        text,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"6\" fill=\"{fill}\" \
         stroke=\"{stroke}\"{dash}/>"
    )
    .expect("text grows");
    let scope = matches!(box_.look, Look::Stage | Look::Wave | Look::Soak);
    for (number, line) in box_.lines.iter().enumerate() {
        let y = y + 18.0 + 16.0 * number as f64;
        let line = escaped(line);
        let (x, anchor) = if scope { (x + 12.0, "start") } else { (x + width / 2.0, "middle") };
        let weight = if number == 0 { " font-weight=\"bold\"" } else { " fill=\"#555555\"" };
        writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{weight}>{line}</text>")
            .expect("text grows");
    }
}

fn line(from: &Frame, to: &Frame, failure: bool, text: &mut String) {
    let dash = if failure { " stroke-dasharray=\"5 4\"" } else { "" };
    let below = to.y >= from.y + from.height;
    let (x1, y1, x2, y2) = if below {
        (from.x + from.width / 2.0, from.y + from.height, to.x + to.width / 2.0, to.y)
    } else if to.x >= from.x {
        let y = beside(from, to);
        (from.x + from.width, y, to.x, y)
    } else {
        let y = beside(from, to);
        (from.x, y, to.x + to.width, y)
    };
    let path = if below {
        let bend = ((y2 - y1) / 2.0).min(40.0);
        format!("M{x1:.1},{y1:.1} C{x1:.1},{:.1} {x2:.1},{:.1} {x2:.1},{y2:.1}", y1 + bend, y2 - bend)
    } else {
        format!("M{x1:.1},{y1:.1} L{x2:.1},{y2:.1}")
    };
    writeln!(
        text,
        "<path d=\"{path}\" fill=\"none\" stroke=\"#555555\" stroke-width=\"1.3\" marker-end=\"url(#end)\"{dash}/>"
    )
    .expect("text grows");
}

/// The height at which an arrow between boxes side by side is level.
fn beside(from: &Frame, to: &Frame) -> f64 {
    let top = from.y.max(to.y);
    let bottom = (from.y + from.height).min(to.y + to.height);
    (top + bottom) / 2.0
}

/// Fill, border, and whether the border is dashed.
fn colors(look: Look) -> (&'static str, &'static str, &'static str) {
    match look {
        Look::Stage => ("#f7f9fc", "#8a99ad", ""),
        Look::Wave => ("#ffffff", "#b8c2cf", ""),
        Look::Soak => ("#fbfaf4", "#c9c19b", ""),
        Look::Changes => ("#fde2e2", "#b3392f", ""),
        Look::Reads => ("#e6f4ea", "#2e7d43", ""),
        Look::Gate => ("#fff4d6", "#a97a00", ""),
        Look::Branch => ("#f3e8fd", "#7b3fa0", " stroke-dasharray=\"4 3\""),
        Look::Skipped => ("#f2f2f2", "#999999", ""),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
