//! The comparison as a page.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

/// The best measurement of each peer for each workload and number of threads, with ratios to pleach.
///
/// A peer's best is the least median over its variants (optimizers, layouts) and rounds: the
/// machine only ever adds time.
pub(super) fn markdown(
    heading: &str,
    workloads: &[&str],
    lines: &[Value],
    skipped: &[(String, String)],
    command: &str,
) -> String {
    let mut best: BTreeMap<(usize, u64, &str), &Value> = BTreeMap::new();
    let mut failed = Vec::new();
    for line in lines {
        let name = line["workload"].as_str().unwrap_or_default();
        let Some(at) = workloads.iter().position(|w| *w == name) else { continue };
        let (threads, peer) = (line["threads"].as_u64().unwrap_or(0), line["peer"].as_str());
        let peer = peer.unwrap_or("(no name)");
        if let Some(error) = line["error"].as_str() {
            failed.push(format!("{peer}, {name}, {threads} threads: {error}"));
            continue;
        }
        let entry = best.entry((at, threads, peer)).or_insert(line);
        if median(line) < median(entry) {
            *entry = line;
        }
    }
    let mut page = format!(
        "# {heading}\n\nMedians of single steps in µs; the ratio is the peer's by pleach's. All lines are in \
         [`raw.jsonl`](raw.jsonl).\n\n    {command}\n\n{}\
         | workload | threads | who | µs | ratio | variant |\n|---|---|---|---|---|---|\n",
        mean_of_ratios(&best)
    );
    for (&(at, threads, peer), line) in &best {
        let ours = best.get(&(at, threads, "pleach")).map(|line| median(line));
        let ratio = ours.map_or(String::new(), |ours| format!("{:.2}", median(line) / ours));
        let (name, us, variant) = (workloads[at], median(line), variant(line));
        let _ = writeln!(page, "| {name} | {threads} | {peer} | {us:.2} | {ratio} | {variant} |");
    }
    list(&mut page, "Skipped", skipped.iter().map(|(name, why)| format!("{name}: {why}")));
    list(&mut page, "Failed", failed.into_iter());
    page
}

/// How many times as long as pleach's the best peer's step takes, in the mean, as a paragraph.
fn mean_of_ratios(best: &BTreeMap<(usize, u64, &str), &Value>) -> String {
    let ratio = |(&(at, threads, peer), ours): (&(usize, u64, &str), &&Value)| {
        let others =
            best.iter().filter(|((a, t, who), _)| (*a, *t) == (at, threads) && *who != peer);
        let least = others.map(|(_, line)| median(line)).fold(f64::INFINITY, f64::min);
        (peer == "pleach" && least.is_finite()).then(|| least / median(ours))
    };
    let ratios: Vec<f64> = best.iter().filter_map(ratio).collect();
    if ratios.is_empty() {
        return String::new();
    }
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let count = ratios.len();
    format!("The best peer by pleach, geometric mean of {count} ratios: {mean:.2}.\n\n")
}

fn median(line: &Value) -> f64 {
    line["median_us"].as_f64().unwrap_or(f64::INFINITY)
}

/// What distinguishes a line from others of the same peer.
fn variant(line: &Value) -> String {
    let fields = ["optimizer", "pool", "unroll", "record_ns", "run_ns", "ns_per_node"];
    let memory = ["peak_delta_mib", "planned_mib"];
    let found = fields.iter().chain(&memory).filter_map(|field| match &line[*field] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(format!("{field} {other}")),
    });
    found.collect::<Vec<_>>().join(", ")
}

fn list(page: &mut String, heading: &str, items: impl Iterator<Item = String>) {
    for (i, item) in items.enumerate() {
        let head = if i == 0 { format!("\n## {heading}\n\n") } else { String::new() };
        let _ = writeln!(page, "{head}- {item}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_best_of_each_counts_and_whoever_is_missing_is_named() {
        let line = |peer, us, optimizer| json!({ "peer": peer, "workload": "a", "threads": 2, "median_us": us, "optimizer": optimizer });
        let mut lines =
            vec![line("torch", 9.0, "loop"), line("pleach", 4.0, ""), line("torch", 6.0, "fused")];
        lines.push(json!({ "peer": "jax", "workload": "a", "threads": 2, "error": "no memory" }));
        let skipped = [("burn".to_string(), "it is not built".to_string())];
        let page = markdown("H", &["a"], &lines, &skipped, "run");
        assert!(page.contains("| a | 2 | torch | 6.00 | 1.50 | fused |"), "{page}");
        assert!(page.contains("| a | 2 | pleach | 4.00 | 1.00 |  |"), "{page}");
        // Of the two ratios 1.5 and 6 the mean is 3; nobody is beside pleach for one thread.
        assert!(page.contains("geometric mean of 1 ratios: 1.50."), "{page}");
        let other = |peer, us, threads| json!({ "peer": peer, "workload": "b", "threads": threads, "median_us": us });
        lines.extend([other("pleach", 1.0, 2), other("jax", 6.0, 2), other("burn", 7.0, 2)]);
        lines.push(other("pleach", 1.0, 1));
        let both = markdown("H", &["a", "b"], &lines, &skipped, "run");
        assert!(both.contains("geometric mean of 2 ratios: 3.00."), "{both}");
        assert!(page.contains("## Skipped\n\n- burn: it is not built\n"), "{page}");
        assert!(page.contains("## Failed\n\n- jax, a, 2 threads: no memory\n"), "{page}");
    }
}
