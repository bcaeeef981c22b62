//! Simplifies algebra, by rules that are data.
//!
//! ```text
//! %2 = neg %1
//! %3 = sub %0 %2        =>   %2 = add %0 %1
//! ```
//! Class: that of the weakest rule which fires. Sweeps until nothing changes, at most 8 times.
//! Cost: O(nodes · rules) a sweep. Run after [`fold`](crate::Fold) and differentiation.

use pleach_graph::{NodeId, NodeMap, Rewrite};
use pleach_ops::Graph;

use crate::rules::RULES;
use crate::{Class, Classes, Outcome, Pass, PassCx, PassError, Rule, Totals};

/// Sweeps before the pass gives up looking for more.
const MAX_SWEEPS: usize = 8;

/// Applies [`Rule`]s wherever they match.
#[derive(Clone, Debug)]
pub struct Simplify {
    rules: Vec<Rule>,
}

impl Default for Simplify {
    /// The library's rules.
    fn default() -> Simplify {
        Simplify { rules: RULES.clone() }
    }
}

impl Simplify {
    /// These rules.
    pub fn new(rules: Vec<Rule>) -> Simplify {
        Simplify { rules }
    }

    /// The first rule that may fire at a node, and what it gives.
    fn rewrite(
        &self,
        new: &Graph,
        node: NodeId,
        cx: &mut PassCx<'_>,
    ) -> Option<(&'static str, NodeId)> {
        let ty = new.ty(node);
        for rule in &self.rules {
            if !cx.may(rule.name, rule.values) {
                continue;
            }
            let Some(found) = rule.left.matches(new, node) else { continue };
            if let Some(guard) = rule.guard
                && let Err(reason) = guard(new, &found)
            {
                cx.skip(rule.name, reason);
                continue;
            }
            match rule.right.build(new, &found, &ty) {
                Some(id) if id != node && new.ty(id) == ty => return Some((rule.name, id)),
                _ => cx.skip(rule.name, "the right side has another type"),
            }
        }
        None
    }
}

impl Pass for Simplify {
    fn name(&self) -> &'static str {
        "simplify"
    }

    fn class(&self) -> Classes {
        let weakest = |class: fn(&Rule) -> Class| {
            self.rules.iter().map(class).max().unwrap_or(Class::BitExact)
        };
        Classes { values: weakest(|r| r.values), gradients: weakest(|r| r.gradients) }
    }

    fn run(&self, g: &Graph, cx: &mut PassCx<'_>) -> Result<Outcome, PassError> {
        let mut result: Option<(Graph, NodeMap)> = None;
        for sweep in 0..=MAX_SWEEPS {
            let current = result.as_ref().map_or(g, |(graph, _)| graph);
            let mut fired = 0;
            let (next, map) = current.rebuild(|new, old, node, inputs| {
                let before = new.len();
                let plain = new.push(node.op.clone(), inputs);
                let Some((rule, id)) = self.rewrite(new, plain, cx) else {
                    return Rewrite::Replace(plain);
                };
                fired += 1;
                // Charged with what was appended beyond the node itself.
                let own = usize::from(new.len() > before && plain.index() >= before);
                let gained =
                    (before + own..new.len()).map(|i| Totals::of_node(new, NodeId::new(i)));
                cx.applied(rule, current, old, gained.fold(Totals::default(), |a, b| a + b));
                Rewrite::Replace(id)
            });
            if fired == 0 {
                break;
            }
            if sweep == MAX_SWEEPS {
                cx.skip("simplify", "the limit of sweeps was reached");
                break;
            }
            result = Some(match result {
                Some((_, before)) => (next, before.then(&map)),
                None => (next, map),
            });
        }
        Ok(match result {
            Some((graph, map)) => Outcome::Changed(graph, map),
            None => Outcome::Unchanged,
        })
    }
}
