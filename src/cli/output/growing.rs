//! Tables: boxes on a terminal, lines with tabs elsewhere. A table may grow: its rows are known before it begins, so each has
//! its place, and they are printed as they come to hold.

use comfy_table::{ContentArrangement, Table, presets};

use super::{Error, Output};
use crate::trace::visible;

/// The lines of a boxed table before its first row.
const FRAME: usize = 3;

/// The lines of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Growing {
    head: String,
    rows: Vec<String>,
    foot: String,
}

impl Output {
    /// Prints data as a table on a terminal, as lines with tabs elsewhere.
    pub fn table(self, head: &[impl AsRef<str>], rows: &[Vec<String>]) -> Result<(), Error> {
        let table = self.growing(head, rows);
        self.data(&[table.head(), &table.rows.concat(), table.foot()].concat())
    }

    /// The same table, to be printed bit by bit.
    pub fn growing(self, head: &[impl AsRef<str>], rows: &[Vec<String>]) -> Growing {
        // A line end in a cell would be a row of the student's choosing.
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
        let rows = rows.as_slice();
        if self.is_terminal() {
            return Growing::boxed(head, rows, self.width().unwrap_or(usize::MAX));
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| cells.collect::<Vec<_>>().join("\t") + "\n";
        Growing {
            head: line(&mut head.iter().map(AsRef::as_ref)),
            rows: rows.iter().map(|row| line(&mut row.iter().map(String::as_str))).collect(),
            foot: String::new(),
        }
    }
}

impl Growing {
    /// What comes before the first row.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// One row.
    pub fn row(&self, number: usize) -> &str {
        &self.rows[number]
    }

    /// What comes behind the last row.
    pub fn foot(&self) -> &str {
        &self.foot
    }

    /// A table in boxes; where that is too wide, as columns without boxes, whose rows are copied more easily when they wrap.
    fn boxed(head: &[impl AsRef<str>], rows: &[Vec<String>], width: usize) -> Self {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(head.iter().map(AsRef::as_ref));
        table.add_rows(rows.iter().map(|row| row.iter().map(String::as_str)));
        if table.lines().all(|line| line.chars().count() <= width) {
            return Self::cut(table.lines().map(|line| line + "\n").collect(), FRAME, rows.len());
        }
        table.load_style(presets::NOTHING);
        for column in table.column_iter_mut() {
            column.set_padding((0, 1));
        }
        Self::cut(table.lines().map(|line| line.trim_end().to_owned() + "\n").collect(), 1, rows.len())
    }

    fn cut(mut lines: Vec<String>, head: usize, rows: usize) -> Self {
        let mut rest = lines.split_off(head);
        let foot = rest.split_off(rows);
        Self { head: lines.concat(), rows: rest, foot: foot.concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(width: usize) -> String {
        let rows = [vec!["g01".to_owned(), "127.77.1.1:10000".to_owned()], vec!["g02".to_owned(), String::new()]];
        let table = Growing::boxed(&["GROUP", "SMTP"], &rows, width);
        assert!(table.row(0).contains("g01") && table.row(1).contains("g02"));
        [table.head(), table.row(0), table.row(1), table.foot()].concat()
    }

    #[test]
    fn a_table_that_is_too_wide_loses_its_boxes_and_no_more() {
        let boxes = text(28);
        assert!(boxes.starts_with('┌') && boxes.lines().all(|line| line.chars().count() == 28), "{boxes}");
        assert!(boxes.ends_with("┘\n"), "{boxes}");
        assert_eq!(text(27), "GROUP SMTP\ng01   127.77.1.1:10000\ng02\n");
    }

    #[test]
    fn a_table_without_rows_has_its_head() {
        let table = Growing::boxed(&["GROUP"], &[], 80);
        assert_eq!([table.head(), table.foot()].concat().lines().count(), 4);
    }
}
