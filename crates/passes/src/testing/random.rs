//! Random graphs, well typed by construction.

use proptest::collection::vec;
use proptest::prelude::*;

use pleach_ops::prelude::*;

use super::Sample;
use super::kitchen::Kitchen;
use crate::Rule;
use crate::rules::RULES;

/// One operator of a recipe: which, of which earlier values, with which choices. All numbers are
/// taken modulo what there is, so every step is good.
pub type Step = (u8, [u16; 3], u16);

/// How to build a random graph.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its operators.
    pub steps: Vec<Step>,
    /// Is its float type `f64`, or else `f32`?
    pub double: bool,
    /// Is it recorded as written, or else simplified and shared?
    pub raw: bool,
    /// Are its functions smooth and its values bounded, so that rounding stays rounding? Then it
    /// may be differentiated, and compared within a tolerance.
    pub tame: bool,
}

/// What grows in random graphs besides the library's operators.
#[derive(Clone, Debug)]
pub struct Plants {
    /// Operators of other crates, of one, two or three operands of one type.
    pub operators: Vec<Op>,
    /// Rules whose left sides stand in the graphs.
    pub rules: Vec<Rule>,
}

impl Default for Plants {
    fn default() -> Plants {
        Plants { operators: Vec::new(), rules: RULES.clone() }
    }
}

/// Most steps of a recipe.
const MAX_STEPS: usize = 40;

/// Recipes of at most 40 steps (graphs of some 60 nodes): elementwise operators, reductions,
/// views, products, gathers, random numbers, loops, left sides of rules; shared parameters, several
/// outputs, an assignment.
pub fn recipes(tame: bool) -> impl Strategy<Value = Recipe> {
    let step = (any::<u8>(), any::<[u16; 3]>(), any::<u16>());
    (vec(step, 1..MAX_STEPS), any::<bool>(), any::<bool>())
        .prop_map(move |(steps, double, raw)| Recipe { steps, double: double || tame, raw, tame })
}

impl Recipe {
    /// The recipe that belongs to a key, as good as one of [`recipes`], and the same at every run.
    pub fn drawn(key: Key, tame: bool) -> Recipe {
        let at = |stream: u64, i: u64, n: u64| key.fold(stream).below(i, n);
        let length = 1 + at(0, 0, MAX_STEPS as u64 - 1);
        let step = |i: u64| {
            let of = [0, 1, 2].map(|j| at(2, 3 * i + j, 1 << 16) as u16);
            (at(1, i, 256) as u8, of, at(3, i, 1 << 16) as u16)
        };
        let steps = (0..length).map(step).collect();
        Recipe { steps, double: at(0, 1, 2) == 0 || tame, raw: at(0, 2, 2) == 0, tame }
    }

    /// The graph. With `gradients`, those of the sum of its last values by its float inputs and
    /// its parameter are outputs too, and the parameter is updated by its own.
    pub fn build(&self, gradients: bool) -> Sample {
        self.build_with(gradients, &Plants::default())
    }

    /// As [`Recipe::build`], of other plants.
    pub fn build_with(&self, gradients: bool, plants: &Plants) -> Sample {
        let g = if self.raw { Graph::raw() } else { Graph::new() };
        let float = if self.double { F64 } else { F32 };
        let params = Params::seeded(7).dtype(float);
        let w = params.param("w", [3, 2], Init::normal(0.0, 0.5));
        let memory = params.buffer("memory", float, [2, 3], Init::ones());
        let x = g.input("x", float, [2, 3]);
        let v = g.input("v", float, [3]);
        let mut kitchen = Kitchen {
            g: &g,
            values: vec![x, v, g.param(&w), g.key(), g.param(&memory), g.input("y", float, [2, 3])],
            tame: self.tame,
            plants,
        };
        self.steps.iter().for_each(|&step| kitchen.step(step));
        let values = kitchen.values;
        let floats: Vec<Var<'_>> =
            values.iter().rev().copied().filter(|v| v.dtype().is_float()).take(3).collect();
        for (i, value) in floats.iter().enumerate() {
            g.output(&format!("out{i}"), value.id());
        }
        if let Some(value) = values.iter().rev().find(|v| v.ty().as_ref() == Some(memory.ty())) {
            g.assign_param(&memory, *value);
        }
        if gradients {
            let loss = floats.iter().map(|v| v.sum_all()).reduce(|a, b| a + b);
            let xs = [x, v, g.raw_param(&w)];
            let grads = loss.map_or(vec![], |loss| g.grad(loss, &xs));
            grads.iter().enumerate().for_each(|(i, d)| g.output(&format!("grad{i}"), d.id()));
            if let Some(dw) = grads.last() {
                g.assign_param(&w, xs[2] - *dw * 0.1);
            }
        }
        debug_assert!(g.check().is_ok(), "{:?}", g.errors());
        let inputs = g.inputs();
        Sample { graph: g, inputs }
    }
}
