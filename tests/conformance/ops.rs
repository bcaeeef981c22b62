//! How the operators of PyTorch are built, a table for each family, and their cases.

mod activation;
mod elementwise;
mod index;
mod linalg;
mod loss;
mod network;
mod product;
mod reduction;
mod shape;

use std::path::Path;

use super::call::Build;
use super::operator::check;
use super::read::{Operator, files};
use super::report::{Job, Outcome, Report};
use super::single;

const TABLES: [&[(&str, Build)]; 9] = [
    activation::TABLE,
    elementwise::TABLE,
    index::TABLE,
    linalg::TABLE,
    loss::TABLE,
    network::TABLE,
    product::TABLE,
    reduction::TABLE,
    shape::TABLE,
];

/// How the operator of this name is built.
pub(crate) fn builder(name: &str) -> Option<Build> {
    TABLES.iter().flat_map(|t| t.iter()).find(|(known, _)| *known == name).map(|(_, b)| *b)
}

/// Runs every case of the operators whose name holds `only`: in f64 against the numbers, and in
/// f32 as near as PyTorch.
pub(crate) fn reports(folder: &Path, only: &str) -> Result<[Report; 2], String> {
    let names = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().contains(only);
    let paths = files(&folder.join("ops"));
    let operators = paths
        .iter()
        .filter(|path| names(path))
        .map(|path| Operator::read(path))
        .collect::<Result<Vec<Operator>, String>>()?;
    let (mut jobs, mut narrow): (Vec<Job<'_>>, Vec<Job<'_>>) = Default::default();
    for operator in &operators {
        let build = builder(&operator.name);
        for case in &operator.cases {
            let name = format!("{}/{}", operator.name, case.id);
            let run = move || match build {
                Some(build) => check(build, case, &operator.tensors).into(),
                None => Outcome::Unsupported,
            };
            jobs.push((name.clone(), Box::new(run)));
            if let Some(build) = build.filter(|_| single::says_something(case)) {
                narrow.push((
                    name,
                    Box::new(move || single::check(build, case, &operator.tensors).into()),
                ));
            }
        }
    }
    Ok([Report::run("ops", &jobs), Report::run("f32", &narrow)])
}

#[test]
fn tables_are_sorted_and_name_each_operator_once() {
    for table in TABLES {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
    let mut all: Vec<&str> = TABLES.iter().flat_map(|t| t.iter()).map(|(name, _)| *name).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}
