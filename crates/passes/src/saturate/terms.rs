//! A region as an e-graph: terms over classes of equal values, and what rules add to them.

use egg::{Analysis, DidMerge, EGraph, Id, Language};
use pleach_graph::{NodeId, NodeMap, Operator, Traits};
use pleach_ops::{Full, Graph, Op};
use pleach_tensor::Type;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::{Class, Match, Pattern, Rule};

/// Matches of one rule at one class that are looked at.
const MATCHES: usize = 16;

/// Name of the step from an operator to what recording it gives: a number, or a value that is there.
pub(super) const RECORD: &str = "record";

/// A part of a graph: its nodes, what they read from outside, and what is asked of them.
#[derive(Debug)]
pub(super) struct Region {
    /// Operators and operands as they are.
    pub(super) parts: Vec<(NodeId, Op, Vec<NodeId>)>,
    /// Nodes that something outside uses, in order; at least one.
    pub(super) roots: Vec<NodeId>,
    /// The nodes and what they read, in the graph that rules ask for facts.
    pub(super) facts: FxHashMap<NodeId, NodeId>,
}

impl Region {
    pub(super) fn new(g: &Graph, nodes: &[NodeId], uses: &[u32], map: &NodeMap) -> Option<Region> {
        let mut inner: FxHashMap<NodeId, u32> = nodes.iter().map(|&id| (id, 0)).collect();
        let mut facts = FxHashMap::default();
        let mut parts = Vec::new();
        for &id in nodes {
            let node = g.node(id);
            for x in &node.inputs {
                inner.entry(*x).and_modify(|count| *count += 1);
                facts.insert(*x, map.get(*x)?);
            }
            facts.insert(id, map.get(id)?);
            parts.push((id, node.op.clone(), node.inputs.to_vec()));
        }
        let outside = |id: &&NodeId| inner[*id] < uses[id.index()];
        let roots: Vec<NodeId> = nodes.iter().filter(outside).copied().collect();
        (!roots.is_empty()).then_some(Region { parts, roots, facts })
    }
}

/// An operator of classes, or a value from outside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Term {
    pub(super) of: Of,
    pub(super) children: SmallVec<[Id; 3]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Of {
    /// A value from outside, by its place in the list of those.
    Outside(u32),
    /// An operator, by number.
    Op(u32),
    /// All roots of the region: what a proof is about.
    Roots,
}

impl Language for Term {
    type Discriminant = Of;

    fn discriminant(&self) -> Of {
        self.of
    }

    fn matches(&self, other: &Term) -> bool {
        self.of == other.of && self.children.len() == other.children.len()
    }

    fn children(&self) -> &[Id] {
        &self.children
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.children
    }
}

/// What a class stands for: a node that has its value, for types and facts.
#[derive(Debug)]
pub(super) struct Values<'g> {
    pub(super) graph: &'g Graph,
    /// Nodes of the graph that values from outside are.
    outside: Vec<NodeId>,
    ops: Vec<Op>,
    numbers: FxHashMap<Op, u32>,
    /// A class that has the value of a node.
    classes: FxHashMap<NodeId, Id>,
}

impl Values<'_> {
    fn number(&mut self, op: &Op) -> u32 {
        *self.numbers.entry(op.clone()).or_insert_with(|| {
            self.ops.push(op.clone());
            self.ops.len() as u32 - 1
        })
    }

    pub(super) fn op(&self, term: &Term) -> Option<&Op> {
        match term.of {
            Of::Op(number) => self.ops.get(number as usize),
            Of::Outside(_) | Of::Roots => None,
        }
    }

    /// The number that a node repeats.
    fn splat(&self, id: NodeId) -> Option<f64> {
        let value = |op: &Op| if let Op::Full(full) = op { Some(full.value()) } else { None };
        self.graph.peek(id, |node| value(&node.op)).flatten()
    }
}

impl Analysis<Term> for Values<'_> {
    type Data = NodeId;

    fn make(egraph: &mut EGraph<Term, Self>, term: &Term, _: Id) -> NodeId {
        let values = &egraph.analysis;
        match term.of {
            Of::Outside(at) => values.outside[at as usize],
            Of::Op(number) => {
                let inputs: SmallVec<[NodeId; 3]> =
                    term.children.iter().map(|&x| egraph[x].data).collect();
                values.graph.push(values.ops[number as usize].clone(), &inputs)
            }
            Of::Roots => egraph[term.children[0]].data,
        }
    }

    fn merge(&mut self, a: &mut NodeId, b: NodeId) -> DidMerge {
        // A number is worth more than an expression of it.
        if self.splat(b).is_some() && self.splat(*a).is_none() {
            *a = b;
            return DidMerge(true, false);
        }
        DidMerge(false, *a != b)
    }

    fn modify(egraph: &mut EGraph<Term, Self>, id: Id) {
        let data = egraph[id].data;
        if egraph.analysis.splat(data).is_some() {
            let op = egraph.analysis.graph.op(data);
            let of = Of::Op(egraph.analysis.number(&op));
            let number = egraph.add(Term { of, children: SmallVec::new() });
            egraph.union_trusted(id, number, RECORD);
        }
        // What recording made equal, x·1 and x.
        let other = *egraph.analysis.classes.entry(data).or_insert(id);
        egraph.union_trusted(id, other, RECORD);
    }
}

/// The terms of a region.
pub(super) struct Terms<'g> {
    pub(super) egraph: EGraph<Term, Values<'g>>,
    /// The class of every node of the region and of what it reads, as it was first.
    pub(super) first: FxHashMap<NodeId, Id>,
    /// The nodes that values from outside are.
    pub(super) outside: Vec<NodeId>,
}

/// What the words of a pattern stand for, and the operators that it is made of, root first.
#[derive(Clone, Default)]
struct Found {
    words: SmallVec<[(&'static str, Id); 4]>,
    ops: SmallVec<[u32; 4]>,
}

impl<'g> Terms<'g> {
    pub(super) fn new(graph: &'g Graph, region: &Region) -> Terms<'g> {
        let (outside, ops) = (Vec::new(), Vec::new());
        let (numbers, classes) = (FxHashMap::default(), FxHashMap::default());
        let values = Values { graph, outside, ops, numbers, classes };
        let egraph = EGraph::new(values)
            .with_explanations_enabled()
            .without_explanation_length_optimization();
        let mut terms = Terms { egraph, first: FxHashMap::default(), outside: Vec::new() };
        for (id, op, inputs) in &region.parts {
            let children = inputs.iter().map(|&x| match terms.first.get(&x) {
                Some(&class) => class,
                None => terms.enter(x, region.facts[&x]),
            });
            let children: SmallVec<[Id; 3]> = children.collect();
            let of = Of::Op(terms.egraph.analysis.number(op));
            let class = terms.egraph.add_uncanonical(Term { of, children });
            terms.first.insert(*id, class);
        }
        terms.egraph.rebuild();
        terms
    }

    /// A value from outside.
    fn enter(&mut self, node: NodeId, fact: NodeId) -> Id {
        let of = Of::Outside(self.outside.len() as u32);
        self.outside.push(node);
        self.egraph.analysis.outside.push(fact);
        let class = self.egraph.add_uncanonical(Term { of, children: SmallVec::new() });
        self.first.insert(node, class);
        class
    }

    /// Number of terms.
    pub(super) fn len(&self) -> usize {
        self.egraph.total_size()
    }

    /// Adds what every rule makes of every class, until there are `most` terms; did anything change?
    pub(super) fn round(&mut self, rules: &[&Rule], most: usize) -> bool {
        let mut having: FxHashMap<&str, Vec<Id>> = FxHashMap::default();
        let mut classes: Vec<Id> = self.egraph.classes().map(|class| class.id).collect();
        classes.sort_unstable();
        for &class in &classes {
            for op in self.egraph[class].nodes.iter().filter_map(|t| self.egraph.analysis.op(t)) {
                let of = having.entry(op.name()).or_default();
                if of.last() != Some(&class) {
                    of.push(class);
                }
            }
        }
        let mut matches: Vec<(Id, &Rule, Found)> = Vec::new();
        for &rule in rules {
            let Pattern::Apply(root, ..) = rule.left else { continue };
            for &class in having.get(root).into_iter().flatten() {
                let found = self.search(&rule.left, class, Found::default());
                let allowed = found.into_iter().take(MATCHES).filter(|f| self.allows(rule, f));
                matches.extend(allowed.map(|found| (class, rule, found)));
            }
        }
        let mut changed = false;
        for (class, rule, found) in matches {
            if self.len() >= most {
                break;
            }
            let ty = self.ty(class);
            if let Some(made) = self.make(&rule.right, &found, &ty, &ty)
                && self.ty(made) == ty
                && !self.differ(class, made)
            {
                changed |= self.egraph.union_trusted(class, made, rule.name);
            }
        }
        self.egraph.rebuild();
        changed
    }

    fn ty(&self, class: Id) -> Type {
        self.egraph.analysis.graph.ty(self.egraph[class].data)
    }

    fn splat(&self, class: Id) -> Option<f64> {
        self.egraph.analysis.splat(self.egraph[class].data)
    }

    /// Are they numbers of different bits? By rounding alone, 0.1 + 0.2 - 0.3 would be made zero.
    fn differ(&self, a: Id, b: Id) -> bool {
        let (a, b) = (self.splat(a), self.splat(b));
        a.zip(b).is_some_and(|(a, b)| a.to_bits() != b.to_bits())
    }

    fn allows(&self, rule: &Rule, found: &Found) -> bool {
        let words = found.words.iter().map(|&(word, class)| (word, self.egraph[class].data));
        let needs = rule.values == Class::NeedsFacts && rule.guards.is_empty();
        !needs && rule.guard(self.egraph.analysis.graph, &Match::of_words(words)).is_ok()
    }

    /// All ways in which a class has the form of a pattern.
    fn search(&self, pattern: &Pattern, class: Id, mut found: Found) -> Vec<Found> {
        let class = self.egraph.find(class);
        let fits = match pattern {
            Pattern::Apply(name, _, args) => return self.apply(name, args, class, &found),
            Pattern::Number(value) => {
                self.splat(class).is_some_and(|n| n.to_bits() == value.to_bits())
            }
            Pattern::Splat(word) => self.splat(class).is_some() && found.bind(word, class),
            Pattern::Any(word) => found.bind(word, class),
        };
        if fits { vec![found] } else { Vec::new() }
    }

    fn apply(&self, name: &str, args: &[Pattern], class: Id, found: &Found) -> Vec<Found> {
        let mut all = Vec::new();
        for term in &self.egraph[class].nodes {
            let (Of::Op(number), Some(op)) = (term.of, self.egraph.analysis.op(term)) else {
                continue;
            };
            if op.name() != name || term.children.len() != args.len() {
                continue;
            }
            let mut orders = vec![term.children.clone()];
            if args.len() == 2 && op.traits().has(Traits::COMMUTATIVE) {
                orders.push(term.children.iter().rev().copied().collect());
            }
            for order in orders {
                let mut partial = vec![found.clone()];
                partial[0].ops.push(number);
                for (arg, &child) in args.iter().zip(&order) {
                    let next = partial.into_iter().flat_map(|f| self.search(arg, child, f));
                    partial = next.take(MATCHES).collect();
                }
                all.extend(partial);
                if all.len() >= MATCHES {
                    return all;
                }
            }
        }
        all
    }

    /// Adds the right side of a rule that makes a value like `root`. Numbers and splats take the shape of
    /// `like`: that of the other operands of an elementwise operator.
    fn make(&mut self, pattern: &Pattern, found: &Found, root: &Type, like: &Type) -> Option<Id> {
        let (op, children) = match pattern {
            Pattern::Any(word) => return found.get(word),
            Pattern::Number(value) => {
                let ty = like.with_dtype(root.dtype());
                (Full::new(&ty, *value).into(), SmallVec::new())
            }
            Pattern::Splat(word) => {
                let class = found.get(word)?;
                let ty = like.with_dtype(self.ty(class).dtype());
                (Full::new(&ty, self.splat(class)?).into(), SmallVec::new())
            }
            Pattern::Apply(name, plain, args) => {
                let of = |number: &u32| self.egraph.analysis.ops[*number as usize].clone();
                let seen = || found.ops.iter().map(of).find(|op| op.name() == *name);
                let op: Op = plain.clone().or_else(seen)?;
                let number = |arg: &Pattern| matches!(arg, Pattern::Number(_) | Pattern::Splat(_));
                let mut children: SmallVec<[Option<Id>; 3]> = SmallVec::new();
                for arg in args {
                    let made = (!number(arg)).then(|| self.make(arg, found, root, like));
                    children.push(match made {
                        Some(id) => Some(id?),
                        None => None,
                    });
                }
                let known = children.iter().flatten().next().map(|&id| self.ty(id));
                let like = known.filter(|_| op.traits().has(Traits::ELEMENTWISE));
                let like = like.as_ref().unwrap_or(root);
                for (arg, child) in args.iter().zip(&mut children) {
                    if child.is_none() {
                        *child = Some(self.make(arg, found, root, like)?);
                    }
                }
                (op, children.into_iter().collect::<Option<SmallVec<[Id; 3]>>>()?)
            }
        };
        let types: SmallVec<[Type; 3]> = children.iter().map(|&x| self.ty(x)).collect();
        op.infer(&types.iter().collect::<SmallVec<[&Type; 3]>>()).ok()?;
        let of = Of::Op(self.egraph.analysis.number(&op));
        Some(self.egraph.add(Term { of, children }))
    }
}

impl Found {
    fn get(&self, word: &str) -> Option<Id> {
        self.words.iter().find(|(w, _)| *w == word).map(|(_, id)| *id)
    }

    fn bind(&mut self, word: &'static str, class: Id) -> bool {
        match self.get(word) {
            Some(bound) => bound == class,
            None => {
                self.words.push((word, class));
                true
            }
        }
    }
}
