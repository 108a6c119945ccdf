//! The plan, drawn: as Mermaid, DOT or SVG.

mod dot;
mod layout;
mod mermaid;
mod picture;
mod svg;

use self::picture::Picture;
use super::Plan;

impl Plan {
    /// A Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        mermaid::draw(&Picture::of(self))
    }

    /// A DOT digraph, for Graphviz.
    pub fn to_dot(&self) -> String {
        dot::draw(&Picture::of(self))
    }

    /// An SVG picture that stands alone.
    pub fn to_svg(&self) -> String {
        svg::draw(&Picture::of(self))
    }
}
