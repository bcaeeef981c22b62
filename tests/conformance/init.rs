//! Initializers.

use std::path::Path;

use super::read::file;
use super::report::{Outcome, Report};

/// The bounds and deviations of PyTorch's initializers; none can be run yet.
pub(crate) fn report(folder: &Path) -> Result<Report, String> {
    let path = folder.join("init.json");
    if !path.exists() {
        return Ok(Report { kind: "init", cases: vec![] });
    }
    let (json, _) = file(&path)?;
    let cases = json["cases"].as_array().ok_or("no cases")?;
    let cases = cases.iter().map(|case| {
        let word = |name: &str| case[name].as_str().unwrap_or_default();
        (format!("{}/{}", word("init"), word("id")), Outcome::Unsupported)
    });
    Ok(Report { kind: "init", cases: cases.collect() })
}
