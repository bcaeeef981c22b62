//! Findings and cross-validations as tables.

use comfy_table::Table;

use crate::value::short;
use crate::{Findings, Outcome, Tried};

/// Characters of an error that a table shows.
const ERROR: usize = 40;

impl Findings {
    /// A line for each of the first `most` trials, best first: its number, values, score, with
    /// cross-validation its standard deviation, with rungs the resource it reached. Of an error the
    /// first line, up to 40 characters.
    ///
    /// ```
    /// use pleach_tune::{Options, Space, TuneError, grid};
    /// let space = Space::new().uniform("x", 0.0, 1.0);
    /// let found = grid(&space, &[("x", 3)], &Options::default(), |trial| trial.float("x"))?;
    /// let text = "\
    /// +-------+--------+--------+
    /// | trial | x      | score  |
    /// +=========================+
    /// | 0     | 0      | 0      |
    /// |-------+--------+--------|
    /// | 1     | 0.5000 | 0.5000 |
    /// +-------+--------+--------+";
    /// assert_eq!(found.table(2), text);
    /// # Ok::<(), TuneError>(())
    /// ```
    pub fn table(&self, most: usize) -> String {
        let has_folds = self.trials.iter().any(|t| deviation(t).is_some());
        let has_rungs = self.trials.iter().any(|t| !t.rungs.is_empty());
        let mut header = vec!["trial"];
        header.extend(self.space.axes().iter().map(|(name, _)| name.as_str()));
        header.push("score");
        header.extend(has_folds.then_some("deviation"));
        header.extend(has_rungs.then_some("reached"));
        let mut table = Table::new();
        table.set_header(header);
        for tried in self.trials.iter().take(most) {
            let mut row = vec![tried.trial.number.to_string()];
            let point = &tried.trial.point;
            let value = |name: &String| point.get(name).map_or(String::new(), ToString::to_string);
            row.extend(self.space.axes().iter().map(|(name, _)| value(name)));
            row.push(match &tried.outcome {
                Outcome::Score(score) => short(score.value),
                Outcome::Failed(error) => first_line(error),
            });
            if has_folds {
                row.push(deviation(tried).map_or(String::new(), short));
            }
            if has_rungs {
                row.push(tried.rungs.last().map_or(String::new(), |r| r.resource.to_string()));
            }
            table.add_row(row);
        }
        table.to_string()
    }
}

/// Standard deviation of the folds of a trial.
pub(super) fn deviation(tried: &Tried) -> Option<f64> {
    match &tried.outcome {
        Outcome::Score(score) => score.deviation(),
        Outcome::Failed(_) => None,
    }
}

fn first_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(ERROR).collect();
    let more = if cut.len() < error.len() { "…" } else { "" };
    format!("failed: {cut}{more}")
}
