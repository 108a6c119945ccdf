//! Live progress on a terminal: a bar for each stage, what is waited for, and when it will end.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use runbook::{
    coordinator::observer::Heard,
    view::{
        estimate,
        logs::visible,
        paint::Paint,
        stages::{Stage, Stages},
        waits,
        words::moment,
    },
};
use runbook_engine::run::Run;

/// The pause between two frames: a person cannot read faster.
const BETWEEN_FRAMES: Duration = Duration::from_millis(80);

/// The pause is at least so many times as long as the frame took: a fleet of thousands must not wait for it.
const REST: u32 = 20;

/// The bars.
pub struct Progress {
    all: MultiProgress,
    stages: Stages,
    bars: Vec<ProgressBar>,
    waiting: ProgressBar,
    heard: ProgressBar,
    paint: Paint,
    /// The next frame is drawn from then on.
    next: Option<Instant>,
}

impl Progress {
    /// For this run.
    pub fn new(run: &Run, paint: Paint) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let stages = Stages::of(run.plan());
        let width = stages.names().map(|name| name.chars().count()).max().unwrap_or(0);
        let colors = if paint.0 { ".cyan/dim" } else { "" };
        let style =
            ProgressStyle::with_template(&format!("  {{prefix:{width}}} {{bar:24{colors}}} {{wide_msg}}"))
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━━─");
        let bars = stages
            .names()
            .map(|name| {
                let bar = all.add(ProgressBar::new(1).with_style(style.clone()));
                bar.set_prefix(name.to_owned());
                bar
            })
            .collect();
        let style = ProgressStyle::with_template("{spinner} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let waiting = all.add(ProgressBar::new_spinner().with_style(style));
        waiting.enable_steady_tick(Duration::from_millis(120));
        let style =
            ProgressStyle::with_template("  {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let heard = all.add(ProgressBar::new_spinner().with_style(style));
        Self { all, stages, bars, waiting, heard, paint, next: None }
    }

    /// Prints something above the bars.
    pub fn above(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    /// Draws the state of the run, unless it was drawn just now.
    pub fn update(&mut self, run: &Run, now: Timestamp) {
        let begun = Instant::now();
        if self.next.is_some_and(|next| begun < next) && run.finished_at().is_none() {
            return;
        }
        for (bar, stage) in self.bars.iter().zip(self.stages.read(run)) {
            bar.set_length(stage.tasks.max(1) as u64);
            bar.set_position(stage.done as u64);
            bar.set_message(message(&stage, self.paint));
        }
        self.waiting.set_message(waiting(run, now));
        self.next = Some(Instant::now() + BETWEEN_FRAMES.max(begun.elapsed() * REST));
    }

    /// Shows what a machine printed last.
    pub fn heard(&mut self, heard: &Heard) {
        let line = visible(&format!("{} on {}: {}", heard.task, heard.target, heard.line));
        self.heard.set_message(self.paint.dim(&line));
    }

    /// Takes the bars away: the last page says more.
    pub fn finish(self) {
        self.waiting.finish_and_clear();
        self.heard.finish_and_clear();
        for bar in self.bars {
            bar.finish_and_clear();
        }
        // Nothing to do where the terminal is gone.
        let _ = self.all.clear();
    }
}

fn message(stage: &Stage<'_>, paint: Paint) -> String {
    let mut words = vec![paint.status(stage.status)];
    if stage.waves > 1 && stage.status == "running" {
        words.push(format!("wave {} of {}", stage.wave.max(1), stage.waves));
    }
    words.extend(stage.counts.iter().map(|(outcome, n)| format!("{n} {}", outcome.replace('_', " "))));
    if !stage.running.is_empty() {
        words.push(stage.running.join(", "));
    }
    words.join(" · ")
}

fn waiting(run: &Run, now: Timestamp) -> String {
    let mut text = moment(now);
    let waiting = run.waiting_on();
    if let Some(wait) = waiting.first() {
        let (on, until) = waits::words(run, wait, now);
        text.push_str(&format!("  waiting for {}: {on}, {until}", wait.task));
        if waiting.len() > 1 {
            text.push_str(&format!(" (and {} more)", waiting.len() - 1));
        }
    }
    text.push_str(&format!("  end {}", estimate::words(&estimate::end(run, now))));
    text
}
