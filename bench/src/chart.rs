//! A table in Markdown.

/// Prints rows in columns of equal width.
pub fn print(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let line = |cells: &[String]| {
        let padded: Vec<_> =
            cells.iter().enumerate().map(|(at, cell)| format!("{cell:<width$}", width = width(at))).collect();
        println!("| {} |", padded.join(" | "));
    };
    line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
    line(&(0..head.len()).map(|at| "-".repeat(width(at))).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}
