//! Histograms of a rehearsal, in the units of their drawing.

use serde_json::{Value, json};

use super::rehearsal_page::{grouped, lasting};
use crate::rehearsal::Spread;

/// How many bars a plot has at most.
const BARS: usize = 40;

/// How many words stand below the axis at most.
const MOST_TICKS: i64 = 7;

/// Where the plot stands in its drawing.
const WIDTH: i64 = 860;
const HEIGHT: i64 = 245;
const LEFT: i64 = 52;
const RIGHT: i64 = 845;
const TOP: i64 = 42;
const BASE: i64 = 215;

/// Seconds between words below the axis.
const STEPS: [i64; 17] = [
    10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000,
    2_592_000, 8_640_000,
];

/// An axis.
struct Axis {
    from: i64,
    to: i64,
}

impl Axis {
    fn x(&self, seconds: i64) -> i64 {
        LEFT + (seconds - self.from) * (RIGHT - LEFT) / (self.to - self.from).max(1)
    }

    /// Whole hours, days or the like that lie on it.
    fn ticks(&self, word: fn(i64) -> String) -> Vec<Value> {
        let step = STEPS.into_iter().find(|step| (self.to - self.from) / step < MOST_TICKS);
        let step = step.unwrap_or(STEPS[STEPS.len() - 1]);
        let first = (self.from + step - 1).div_euclid(step) * step;
        let ticks = (0..).map(|nth| first + nth * step).take_while(|at| *at <= self.to);
        ticks
            .map(|at| {
                let x = self.x(at);
                let anchor = if x < LEFT + 20 {
                    "start"
                } else if x > RIGHT - 20 {
                    "end"
                } else {
                    "middle"
                };
                json!({ "x": x, "text": word(at), "anchor": anchor })
            })
            .collect()
    }

    fn mark(&self, seconds: i64, y: i64, text: &str, class: &str) -> Value {
        let x = self.x(seconds);
        let right = x > RIGHT - 170;
        json!({
            "x": x, "y": y, "text": text, "class": class,
            "shift": if right { -5 } else { 5 }, "anchor": if right { "end" } else { "start" },
        })
    }
}

/// When runs are finished; nothing where all take the same time. A long tail is one last bar.
pub(super) fn finished(spread: &mut Spread) -> Option<Value> {
    let (least, most) = (spread.percentile(0)?, spread.max()?);
    let (median, p95) = (spread.percentile(50)?, spread.percentile(95)?);
    let ordinary = p95 - least;
    let until = if (most - least) / 3 > ordinary && ordinary > 0 { p95 + ordinary / 5 } else { most };
    let told = format!(
        "Histogram of the time from start to end of a run: half of them took at most {}, 95 of 100 at most {}, the longest {}",
        lasting(median),
        lasting(p95),
        lasting(most)
    );
    let later = spread.count() - spread.below(until + 1);
    let mut caption =
        "Worlds by the time from the run's start to its end, waits for windows and people included."
            .to_owned();
    if later > 0 {
        caption.push_str(&format!(
            " The last bar is the {} that took longer, {} at the most.",
            grouped(later as u64),
            lasting(most)
        ));
    }
    let mut marks = vec![(median, format!("median {}", lasting(median)), "mark")];
    marks.push((p95, format!("95 of 100 within {}", lasting(p95)), "mark"));
    if later == 0 {
        marks.push((most, format!("longest {}", lasting(most)), "mark"));
    }
    drawn(spread, until, &marks, lasting, |_| "in")
        .map(|plot| told_of(plot, "When runs are finished", &told, &caption))
}

/// How much of the window was left when the last machine behind it was done.
pub(super) fn left_of_window(spread: &mut Spread) -> Option<Value> {
    let (least, most) = (spread.percentile(0)?, spread.max()?);
    let (behind, late) = (spread.count() as u64, spread.below(0) as u64);
    let caption = if late == 0 {
        format!(
            "In all {} worlds that came as far as a window, everything behind it was done before it closed, with {} to spare \
             at the least.",
            grouped(behind),
            lasting(least)
        )
    } else {
        format!(
            "In {} of the {} worlds that came as far as a window, the last machine was done after it had closed, {} at the \
             worst. Nothing new began then.",
            grouped(late),
            grouped(behind),
            lasting(least)
        )
    };
    let word = |seconds: i64| match seconds {
        0 => "it closes".to_owned(),
        late if late < 0 => lasting(late),
        left => format!("{} left", lasting(left)),
    };
    let mut marks = Vec::new();
    if least <= 0 {
        marks.push((0, "the window closes".to_owned(), "end"));
    }
    if let Some(p5) = spread.percentile(5) {
        marks.push((p5, format!("95 of 100 leave at least {}", lasting(p5)), "mark"));
    }
    let plot = drawn(spread, most, &marks, word, |from| if from < 0 { "late" } else { "in" });
    let title = "How much of the window is left";
    Some(match plot {
        Some(plot) => told_of(plot, title, &caption, &caption),
        // One number needs no axis.
        None => json!({
            "title": title, "told": caption, "caption": caption, "width": WIDTH, "height": 1, "left": LEFT, "right": RIGHT,
            "base": 1, "bars": [], "ticks": [], "rules": [], "marks": [],
        }),
    })
}

fn told_of(mut plot: Value, title: &str, told: &str, caption: &str) -> Value {
    plot["title"] = json!(title);
    plot["told"] = json!(told);
    plot["caption"] = json!(caption);
    plot
}

/// Bars up to a number, one more for whatever is beyond, and marks above them.
fn drawn(
    spread: &mut Spread,
    until: i64,
    marks: &[(i64, String, &str)],
    word: fn(i64) -> String,
    class: fn(i64) -> &'static str,
) -> Option<Value> {
    let bars = spread.bars_until(BARS, until);
    let [(first, _), (second, _), ..] = bars.as_slice() else { return None };
    let step = second - first;
    let later = (spread.count() - spread.below(until + 1)) as i64;
    let many = bars.len() as i64 + i64::from(later > 0) * 2;
    let axis = Axis { from: *first, to: first + step * many };
    let most = bars.iter().map(|(_, worlds)| *worlds as i64).max()?.max(later).max(1);
    let y = |worlds: i64| BASE - worlds * (BASE - TOP) / most;
    let rect = |from: i64, worlds: i64, class: &str, title: String| {
        // What is there is seen.
        let top = if worlds > 0 { y(worlds).min(BASE - 2) } else { BASE };
        let (x, end) = (axis.x(from), axis.x(from + step));
        json!({
            "x": x + 1, "y": top, "width": (end - x - 2).max(1), "height": BASE - top, "title": title, "class": class,
        })
    };
    let mut rects: Vec<Value> = bars
        .iter()
        .map(|(from, worlds)| {
            let title =
                format!("{} to {}: {}", lasting(*from), lasting(from + step), grouped(*worlds as u64));
            rect(*from, *worlds as i64, class(*from), title)
        })
        .collect();
    if later > 0 {
        rects.push(rect(axis.to - step, later, "rest", format!("longer: {}", grouped(later.unsigned_abs()))));
    }
    let mut rules: Vec<i64> = vec![most / 2, most];
    rules.retain(|worlds| *worlds > 0);
    let rules: Vec<Value> = rules
        .into_iter()
        .map(|worlds| json!({ "y": y(worlds), "text": grouped(worlds.unsigned_abs()) }))
        .collect();
    let marks: Vec<Value> = marks
        .iter()
        .enumerate()
        .map(|(nth, (at, text, class))| axis.mark(*at, 2 + 13 * nth as i64, text, class))
        .collect();
    Some(json!({
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "base": BASE,
        "bars": rects, "ticks": axis.ticks(word), "rules": rules, "marks": marks,
    }))
}

#[cfg(test)]
mod tests {
    use super::{finished, left_of_window};
    use crate::rehearsal::Spread;

    fn of(numbers: impl IntoIterator<Item = i64>) -> Spread {
        let mut spread = Spread::default();
        numbers.into_iter().for_each(|number| spread.add(number));
        spread
    }

    #[test]
    fn a_long_tail_is_one_bar_and_every_world_is_drawn_once() {
        let mut spread = of((0..100).map(|nth| 3_600 + nth * 60).chain([900_000]));
        let plot = finished(&mut spread).expect("a plot");
        let bars = plot["bars"].as_array().expect("bars");
        assert_eq!(bars.iter().filter(|bar| bar["class"] == "rest").count(), 1);
        assert!(
            plot["caption"].as_str().is_some_and(|text| text.contains("the 1 that took longer, 10d")),
            "{plot}"
        );
        let drawn: u64 = bars
            .iter()
            .filter_map(|bar| bar["title"].as_str()?.rsplit(' ').next()?.parse::<u64>().ok())
            .sum();
        assert_eq!(drawn, 101);
    }

    #[test]
    fn what_is_late_is_drawn_as_late() {
        let plot = left_of_window(&mut of([-600, 0, 600, 3_600])).expect("a plot");
        let late = plot["bars"].as_array().expect("bars").iter().filter(|bar| bar["class"] == "late").count();
        assert!(late > 0);
        assert!(
            plot["caption"].as_str().is_some_and(|text| text.starts_with("In 1 of the 4 worlds")),
            "{plot}"
        );
        assert!(left_of_window(&mut Spread::default()).is_none());
    }

    #[test]
    fn one_number_needs_no_axis() {
        assert!(finished(&mut of([60, 60])).is_none());
        let plot = left_of_window(&mut of([60, 60])).expect("its caption");
        assert_eq!(plot["bars"].as_array().map(Vec::len), Some(0));
    }
}
