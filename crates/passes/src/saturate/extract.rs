//! The cheapest way to compute all roots of a region, shared parts counted once, and why it is equal.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use egg::{Id, Language, TreeTerm};
use pleach_graph::NodeId;
use pleach_ops::{Graph, Op};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::terms::{Of, RECORD, Region, Term, Terms};
use crate::Price;

/// Sweeps over what is needed before the best choice so far is settled for.
const SWEEPS: usize = 8;

/// What a region becomes.
#[derive(Debug)]
pub(super) struct Extracted {
    /// Operators over earlier entries and values from outside, in order.
    parts: Vec<Part>,
    /// The entry of every root that is computed in another way.
    roots: BTreeMap<NodeId, usize>,
    /// The rules of the proof, one entry for each use.
    pub(super) steps: Vec<String>,
}

#[derive(Clone, Debug)]
enum Part {
    Outside(NodeId),
    Op(Op, SmallVec<[usize; 3]>),
}

/// A way to compute a class: the classes that it needs, and what it costs itself.
struct Way {
    term: Term,
    needs: SmallVec<[usize; 3]>,
    price: Price,
}

/// All ways to compute every class.
struct Ways {
    of: Vec<Vec<Way>>,
    /// The place of a class in the list.
    place: FxHashMap<Id, usize>,
    /// The classes of the roots.
    roots: Vec<usize>,
}

/// The way that is taken for every class, if there is one that ends.
type Choice = Vec<Option<usize>>;

/// The best way to compute the region, if it is cheaper than what is there.
pub(super) fn extract(terms: &mut Terms<'_>, region: &Region) -> Option<Extracted> {
    let graph = terms.egraph.analysis.graph;
    let ways = Ways::new(terms, region);
    let cheapest = ways.cheapest();
    let starts = [ways.as_it_was(terms, region, &cheapest), cheapest];
    let settled = starts.into_iter().filter_map(|start| ways.settle(start));
    let (price, choice) = settled.min_by_key(|(price, _)| *price)?;
    let nodes: BTreeSet<NodeId> = region.parts.iter().map(|part| region.facts[&part.0]).collect();
    let before = nodes.into_iter().map(|id| Price::of_node(graph, id));
    if price >= before.fold(Price::default(), |sum, price| sum + price) {
        return None;
    }
    let mut parts = Vec::new();
    let mut at: FxHashMap<usize, usize> = FxHashMap::default();
    let mut same: Vec<Id> = Vec::new();
    // The last value from outside that each part needs: it must be there before the root.
    let mut last: Vec<Option<NodeId>> = Vec::new();
    for class in ways.order(&choice)? {
        let way = &ways.of[class][choice[class]?];
        let needs: SmallVec<[usize; 3]> = way.needs.iter().map(|x| at[x]).collect();
        let mut children = needs.iter().map(|&x| same[x]);
        let term = way.term.clone().map_children(|old| children.next().unwrap_or(old));
        let (part, node) = match (way.term.of, terms.egraph.analysis.op(&way.term)) {
            (Of::Outside(leaf), _) => {
                let node = terms.outside[leaf as usize];
                (Part::Outside(node), Some(node))
            }
            (_, op) => (Part::Op(op?.clone(), needs.clone()), None),
        };
        last.push(needs.iter().filter_map(|&x| last[x]).chain(node).max());
        same.push(terms.egraph.add_uncanonical(term));
        at.insert(class, parts.len());
        parts.push(part);
    }
    let new: Vec<usize> = ways.roots.iter().map(|class| at[class]).collect();
    if region.roots.iter().zip(&new).any(|(&root, &at)| last[at].is_some_and(|x| x >= root)) {
        return None;
    }
    let old: Vec<Id> = region.roots.iter().map(|root| terms.first[root]).collect();
    let same: Vec<Id> = new.iter().map(|&at| same[at]).collect();
    let all = region.roots.iter().zip(new).zip(old.iter().zip(&same));
    let changed = all.filter(|(_, (old, new))| old != new).map(|(root, _)| (*root.0, root.1));
    Some(Extracted { parts, roots: changed.collect(), steps: proof(terms, old, same) })
}

impl Ways {
    fn new(terms: &Terms<'_>, region: &Region) -> Ways {
        let (egraph, graph) = (&terms.egraph, terms.egraph.analysis.graph);
        let mut classes: Vec<Id> = egraph.classes().map(|class| class.id).collect();
        classes.sort_unstable();
        let place: FxHashMap<Id, usize> =
            classes.iter().enumerate().map(|(place, &id)| (id, place)).collect();
        let find = |x: &Id| place[&egraph.find(*x)];
        let way = |id: Id, term: &Term| Way {
            term: term.clone(),
            needs: term.children.iter().map(find).collect(),
            price: price(graph, terms, term, id),
        };
        let of = classes.iter().map(|&id| egraph[id].nodes.iter().map(|t| way(id, t)).collect());
        let of = of.collect();
        let roots = region.roots.iter().map(|root| find(&terms.first[root])).collect();
        Ways { of, place, roots }
    }

    /// The cheapest way for each class, as if nothing were shared. A way is only taken for one that costs
    /// more than all that it needs, so none leads back to itself.
    fn cheapest(&self) -> Choice {
        let mut choice: Choice = vec![None; self.of.len()];
        // Numbers of floats: without sharing, sums may be as large as 2ⁿ.
        let mut sums = vec![[f64::INFINITY; 3]; self.of.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for (class, ways) in self.of.iter().enumerate() {
                for (number, way) in ways.iter().enumerate() {
                    let Price { work, operators, weight } = way.price;
                    let own = [work as f64, operators as f64, weight as f64];
                    let add = |sum: [f64; 3], x: &usize| [0, 1, 2].map(|i| sum[i] + sums[*x][i]);
                    let sum = way.needs.iter().fold(own, add);
                    if sum[0] < f64::INFINITY && sum < sums[class] {
                        (sums[class], choice[class]) = (sum, Some(number));
                        changed = true;
                    }
                }
            }
        }
        choice
    }

    /// The ways of the graph as it is; for other classes those given.
    fn as_it_was(&self, terms: &Terms<'_>, region: &Region, others: &Choice) -> Choice {
        let mut choice = others.clone();
        let mut met: FxHashSet<usize> = FxHashSet::default();
        let nodes = terms.outside.iter().chain(region.parts.iter().map(|part| &part.0));
        for node in nodes {
            let id = terms.first[node];
            let class = self.place[&terms.egraph.find(id)];
            let mut term = terms.egraph.id_to_node(id).clone();
            term.update_children(|x| terms.egraph.find(x));
            if let (true, Some(way)) =
                (met.insert(class), self.of[class].iter().position(|way| way.term == term))
            {
                choice[class] = Some(way);
            }
        }
        choice
    }

    /// The classes that the roots need, operands first; `None` if one would need itself.
    fn order(&self, choice: &Choice) -> Option<Vec<usize>> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut state = vec![State::New; self.of.len()];
        let mut order = Vec::new();
        let mut work: Vec<(usize, usize)> = self.roots.iter().map(|&root| (root, 0)).collect();
        while let Some((class, next)) = work.pop() {
            if next == 0 {
                match state[class] {
                    State::New => state[class] = State::Open,
                    State::Open => return None,
                    State::Done => continue,
                }
            }
            match self.of[class][choice[class]?].needs.get(next) {
                Some(&need) => work.extend([(class, next + 1), (need, 0)]),
                None => {
                    state[class] = State::Done;
                    order.push(class);
                }
            }
        }
        Some(order)
    }

    fn price(&self, choice: &Choice) -> Option<Price> {
        let order = self.order(choice)?;
        order.into_iter().try_fold(Price::default(), |sum, class| {
            Some(sum + self.of[class][choice[class]?].price)
        })
    }

    /// Takes other ways, class by class, as long as all becomes cheaper.
    fn settle(&self, mut choice: Choice) -> Option<(Price, Choice)> {
        let mut best = self.price(&choice)?;
        for _ in 0..SWEEPS {
            let before = best;
            for class in self.order(&choice)?.into_iter().rev() {
                for way in 0..self.of[class].len() {
                    let old = choice[class].replace(way);
                    match self.price(&choice) {
                        Some(price) if price < best => best = price,
                        _ => choice[class] = old,
                    }
                }
            }
            if best == before {
                break;
            }
        }
        Some((best, choice))
    }
}

fn price(graph: &Graph, terms: &Terms<'_>, term: &Term, class: Id) -> Price {
    match terms.egraph.analysis.op(term) {
        None | Some(Op::Full(_)) => Price::default(),
        Some(op) => {
            let inputs: SmallVec<[NodeId; 3]> =
                term.children.iter().map(|&x| terms.egraph[x].data).collect();
            Price::of_inputs(graph, op, &inputs, &graph.ty(terms.egraph[class].data))
        }
    }
}

/// The rules by which the old terms became the new ones.
fn proof(terms: &mut Terms<'_>, old: Vec<Id>, new: Vec<Id>) -> Vec<String> {
    let [left, right] = [old, new].map(|roots| {
        let children = roots.into_iter().collect();
        terms.egraph.add_uncanonical(Term { of: Of::Roots, children })
    });
    terms.egraph.rebuild();
    if left == right {
        return Vec::new();
    }
    let explanation = terms.egraph.explain_id_equivalence(left, right);
    // A tree whose equal branches are one in memory: each is looked at once.
    let mut seen: FxHashSet<*const TreeTerm<Term>> = FxHashSet::default();
    let mut steps = Vec::new();
    let mut work: Vec<Rc<TreeTerm<Term>>> = explanation.explanation_trees;
    while let Some(term) = work.pop() {
        if seen.insert(Rc::as_ptr(&term)) {
            let rules = [term.forward_rule, term.backward_rule].into_iter().flatten();
            steps.extend(rules.map(|rule| rule.to_string()).filter(|rule| rule != RECORD));
            work.extend(term.child_proofs.iter().flatten().cloned());
        }
    }
    steps.sort_unstable();
    steps
}

impl Extracted {
    /// The roots that it rewrites.
    pub(super) fn roots(&self) -> impl Iterator<Item = NodeId> {
        self.roots.keys().copied()
    }

    /// Records a root; `None` if it is none, or if a value that it reads is not there yet.
    pub(super) fn build(
        &self,
        new: &Graph,
        root: NodeId,
        places: &[Option<NodeId>],
    ) -> Option<NodeId> {
        let at = *self.roots.get(&root)?;
        let mut needed = vec![false; at + 1];
        needed[at] = true;
        for i in (0..=at).rev() {
            if let (true, Part::Op(_, inputs)) = (needed[i], &self.parts[i]) {
                inputs.iter().for_each(|&x| needed[x] = true);
            }
        }
        let mut built: Vec<Option<NodeId>> = vec![None; at + 1];
        for i in (0..=at).filter(|&i| needed[i]) {
            built[i] = Some(match &self.parts[i] {
                Part::Outside(old) => places[old.index()]?,
                Part::Op(op, inputs) => {
                    let inputs: Option<SmallVec<[NodeId; 3]>> =
                        inputs.iter().map(|&x| built[x]).collect();
                    new.push(op.clone(), &inputs?)
                }
            });
        }
        built[at]
    }
}
