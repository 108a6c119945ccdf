//! Where boxes go: in every box its content in rows, what follows below what it follows; but waves from left to
//! right.

use std::collections::BTreeMap;

use super::picture::{Look, Picture};

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Frame {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

const CHARACTER: f64 = 6.7;
const LINE: f64 = 16.0;
const PADDING: f64 = 14.0;
const BETWEEN: f64 = 26.0;
const BETWEEN_ROWS: f64 = 34.0;
/// A row that grows wider than this goes on in the next line.
const WIDEST: f64 = 2_000.0;

/// The frame of every box.
pub(super) fn frames(picture: &Picture) -> Vec<Frame> {
    let mut frames = vec![Frame::default(); picture.boxes.len()];
    if !picture.boxes.is_empty() {
        size(picture, 0, &mut frames);
        place(picture, 0, &mut frames);
    }
    frames
}

/// The height of the lines at the top of a box.
fn head(lines: usize) -> f64 {
    lines as f64 * LINE
}

/// Sizes a box by what is in it; the boxes in it get places relative to it.
fn size(picture: &Picture, at: usize, frames: &mut [Frame]) {
    let box_ = &picture.boxes[at];
    let longest = box_.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let own = longest as f64 * CHARACTER + 2.0 * PADDING;
    if box_.inside.is_empty() {
        frames[at] = Frame { width: own, height: head(box_.lines.len()) + PADDING, ..Frame::default() };
        return;
    }
    for inner in &box_.inside {
        size(picture, *inner, frames);
    }
    let rows = rows(picture, at, frames);
    let row_width = |row: &Vec<usize>| {
        row.iter().map(|at| frames[*at].width).sum::<f64>() + BETWEEN * row.len().saturating_sub(1) as f64
    };
    let widths: Vec<f64> = rows.iter().map(row_width).collect();
    let content = widths.iter().copied().fold(0.0, f64::max);
    let width = own.max(content + 2.0 * PADDING);
    let mut y = head(box_.lines.len()) + PADDING;
    for (row, row_width) in rows.iter().zip(widths) {
        let mut x = (width - row_width) / 2.0;
        let height = row.iter().map(|at| frames[*at].height).fold(0.0, f64::max);
        for inner in row {
            frames[*inner].x = x;
            frames[*inner].y = y;
            x += frames[*inner].width + BETWEEN;
        }
        y += height + BETWEEN_ROWS;
    }
    frames[at] = Frame { width, height: y - BETWEEN_ROWS + PADDING, ..Frame::default() };
}

/// The boxes in a box, by the longest way that leads to each.
fn rows(picture: &Picture, at: usize, frames: &[Frame]) -> Vec<Vec<usize>> {
    let box_ = &picture.boxes[at];
    let mut depth: BTreeMap<usize, usize> = box_.inside.iter().map(|at| (*at, 0)).collect();
    let mut arrows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for arrow in &box_.arrows {
        arrows.entry(arrow.from).or_default().push(arrow.to);
    }
    // The boxes stand in an order in which what follows comes later, but for stages that interleave: those a second
    // and third look puts right.
    for _ in 0..3 {
        for from in &box_.inside {
            let next = depth[from] + 1;
            for to in arrows.get(from).into_iter().flatten() {
                if let Some(known) = depth.get_mut(to) {
                    *known = next.max(*known).min(box_.inside.len());
                }
            }
        }
    }
    let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for inner in &box_.inside {
        rows.entry(depth[inner]).or_default().push(*inner);
    }
    // Waves, parts and soaks follow each other from left to right.
    if box_.inside.iter().any(|at| picture.boxes[*at].look == Look::Wave) {
        rows = BTreeMap::from([(0, box_.inside.clone())]);
    }
    let mut lines = Vec::new();
    for row in rows.into_values() {
        let mut line = Vec::new();
        let mut width = 0.0;
        for inner in row {
            if !line.is_empty() && width + frames[inner].width > WIDEST {
                lines.push(std::mem::take(&mut line));
                width = 0.0;
            }
            width += frames[inner].width + BETWEEN;
            line.push(inner);
        }
        lines.push(line);
    }
    lines
}

/// Makes the places of the boxes in a box absolute.
fn place(picture: &Picture, at: usize, frames: &mut [Frame]) {
    let (x, y) = (frames[at].x, frames[at].y);
    for inner in &picture.boxes[at].inside {
        frames[*inner].x += x;
        frames[*inner].y += y;
        place(picture, *inner, frames);
    }
}
