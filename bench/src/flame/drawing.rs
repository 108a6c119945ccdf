//! A flame graph without scripts: each frame is a bar, as wide as the share of samples that it is in.

use std::fmt::Write as _;

use super::frame::Frame;

const WIDTH: f64 = 1_200.0;
const ROW: f64 = 17.0;

/// What is narrower is not drawn.
const LEAST: f64 = 3.0;

/// The drawing.
pub fn of(root: &Frame) -> String {
    let height = (depth(root, root.samples) as f64 + 1.0) * ROW + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"4\" y=\"15\" fill=\"#1b2733\">{} samples; ours in blue, other code only where it was at work. Hover for names.</text>\n",
        root.samples
    );
    draw(&mut text, root, root.samples, 0.0, 24.0);
    text.push_str("</svg>\n");
    text
}

fn wide(samples: u64, all: u64) -> f64 {
    samples as f64 * WIDTH / all.max(1) as f64
}

fn depth(frame: &Frame, all: u64) -> usize {
    let inner = frame.inner.values().filter(|inner| wide(inner.samples, all) >= LEAST);
    inner.map(|inner| 1 + depth(inner, all)).max().unwrap_or(0)
}

fn draw(text: &mut String, frame: &Frame, all: u64, left: f64, top: f64) {
    let mut left = left;
    for (name, inner) in &frame.inner {
        let width = wide(inner.samples, all);
        if width >= LEAST {
            let fill = match name {
                name if name.starts_with("runbook_engine") => "#7fb2e5",
                name if name.starts_with("runbook_state") => "#a9c9ec",
                name if name.starts_with("runbook_steps") => "#8ecae0",
                name if name.starts_with("runbook") => "#bcd3ea",
                _ => "#e3d9c6",
            };
            let share = inner.samples as f64 * 100.0 / all as f64;
            let name = name.replace('&', "&amp;").replace('<', "&lt;");
            let _ = write!(
                text,
                "<g><title>{name} {share:.1} %</title><rect x=\"{left:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\" fill=\"{fill}\"/>",
                width - 0.5,
                ROW - 1.0
            );
            // About six units a letter; the end of a path says most.
            let room = (width / 6.2) as usize;
            let short = name.rsplit("::").take(2).collect::<Vec<_>>();
            let short = short.into_iter().rev().collect::<Vec<_>>().join("::");
            if room > 3 {
                let shown: String = short.chars().take(room).collect();
                let _ = write!(text, "<text x=\"{:.1}\" y=\"{}\">{shown}</text>", left + 2.0, top + 12.0);
            }
            text.push_str("</g>\n");
            draw(text, inner, all, left, top + ROW);
        }
        left += width;
    }
}
