//! A run that is killed at any moment and resumed has the bits of one that is not.
//!
//! This program starts itself again as the run, and ends it by `kill -9`: in its steps, in its
//! saves, before and after. `cargo test --test resume` tries every rule and every schedule;
//! `cargo test --release --test resume -- --kills 200 --saves 1000` all pairs of them, with as many
//! kills at least.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "the process that is killed talks by lines")]

#[path = "resume/disk.rs"]
mod disk;
#[path = "resume/kill.rs"]
mod kill;
#[path = "resume/rules.rs"]
mod rules;
#[path = "resume/train.rs"]
mod train;

use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["train", rule, schedule, path] => return train::report(rule, schedule, Path::new(path)),
        ["saves", path] => return disk::save_forever(Path::new(path)),
        ["save", path] => return disk::save_once(Path::new(path)),
        _ => {}
    }
    let number = |name: &str| {
        let at = args.iter().position(|arg| *arg == name)?;
        Some(args.get(at + 1)?.parse::<usize>().expect("a number of kills"))
    };
    disk::a_save_that_is_killed_at_any_moment_loses_nothing(number("--saves").unwrap_or(25));
    disk::a_disk_that_is_full_keeps_the_last_checkpoint();
    kill::a_run_that_is_killed_and_resumed_has_the_same_bits(number("--kills"));
}
