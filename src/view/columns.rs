//! Plain columns, without lines around them.

use console::measure_text_width;

/// Rows in columns two spaces apart, each line behind `indent`, without blanks at its end. Colours take no room.
pub fn columns(rows: &[Vec<String>], indent: &str) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            let width = measure_text_width(cell);
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            // A column that is empty everywhere takes no room.
            if *width > 0 {
                line.push_str(&" ".repeat(width - measure_text_width(cell) + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
