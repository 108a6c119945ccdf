//! Cost against size: four small plots, both axes logarithmic, each beside what would be linear.

use std::fmt::Write as _;

use super::measured::Measured;

const WIDTH: f64 = 210.0;
const HEIGHT: f64 = 190.0;
/// Between one plot and the next.
const STEP: f64 = 250.0;
const LEFT: f64 = 40.0;
const TOP: f64 = 34.0;

/// The drawing.
pub fn drawing(all: &[Measured]) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        LEFT + 4.0 * STEP,
        TOP + HEIGHT + 46.0
    );
    type Read = fn(&Measured) -> f64;
    let plots: [(&str, Read); 4] = [
        ("processor time, ms a world", |cost| cost.seconds * 1_000.0),
        ("calls a world", |cost| cost.calls),
        ("journal, KiB a world", |cost| cost.bytes / 1_024.0),
        ("memory at most, MiB", |cost| cost.peak_kib / 1_024.0),
    ];
    for (nth, (title, read)) in plots.into_iter().enumerate() {
        let points: Vec<(f64, f64)> = all.iter().map(|cost| (cost.machines as f64, read(cost))).collect();
        one(&mut text, LEFT + nth as f64 * STEP, title, &points);
    }
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#5b6b7b\">Machines below each plot; dashed: twice as many machines cost twice as much.</text>\n</svg>",
        TOP + HEIGHT + 38.0
    );
    text
}

fn one(text: &mut String, left: f64, title: &str, points: &[(f64, f64)]) {
    let log = |value: f64| value.max(0.001).log10();
    let decades = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(log(value).floor()), high.max(log(value).ceil()))
        })
    };
    let (first, last) = decades(&mut points.iter().map(|point| point.0));
    let (low, high) = decades(&mut points.iter().map(|point| point.1));
    let high = high.max(low + 1.0);
    let x = |value: f64| left + (log(value) - first) / (last - first).max(1.0) * WIDTH;
    let y = |value: f64| TOP + HEIGHT - (log(value) - low) / (high - low) * HEIGHT;
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{:.0}\" font-weight=\"bold\" fill=\"#1b2733\">{title}</text>",
        TOP - 12.0
    );
    for decade in low as i32..=high as i32 {
        let (value, at) = (10_f64.powi(decade), y(10_f64.powi(decade)));
        let _ = writeln!(
            text,
            "<path d=\"M{left} {at:.1}h{WIDTH}\" stroke=\"#e1e6eb\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#5b6b7b\">{value}</text>",
            left - 5.0,
            at + 4.0
        );
    }
    for (machines, _) in points {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#5b6b7b\">{machines}</text>",
            x(*machines),
            TOP + HEIGHT + 16.0
        );
    }
    if let (Some((from, _)), Some((to, cost))) = (points.first(), points.last()) {
        // The line that goes through the last point, as far down as the plot goes.
        let least = 10_f64.powf(low);
        let begin = from.max(to * least / cost);
        let _ = writeln!(
            text,
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#8a97a5\" stroke-dasharray=\"4 3\"/>",
            x(begin),
            y(cost * begin / to),
            x(*to),
            y(*cost)
        );
    }
    let path: Vec<String> =
        points.iter().map(|(machines, cost)| format!("{:.1} {:.1}", x(*machines), y(*cost))).collect();
    let _ = writeln!(
        text,
        "<path d=\"M{}\" fill=\"none\" stroke=\"#2f6fb3\" stroke-width=\"2\"/>",
        path.join("L")
    );
    for (machines, cost) in points {
        let _ = writeln!(
            text,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#2f6fb3\"/>",
            x(*machines),
            y(*cost)
        );
    }
}
