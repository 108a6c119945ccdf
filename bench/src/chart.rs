//! A table in Markdown.

/// Prints rows in columns of equal width.
pub fn print(head: &[&str], rows: &[Vec<String>]) {
    print!("{}", text(head, rows));
}

/// Rows in columns of equal width.
pub fn text(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let line = |cells: &[String]| {
        let padded: Vec<_> =
            cells.iter().enumerate().map(|(at, cell)| format!("{cell:<width$}", width = width(at))).collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let mut text = line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
    text.push_str(&line(&(0..head.len()).map(|at| "-".repeat(width(at))).collect::<Vec<_>>()));
    text.extend(rows.iter().map(|row| line(row)));
    text
}
