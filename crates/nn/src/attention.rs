//! Attention with several heads.

use pleach_ops::Attention;
use pleach_ops::prelude::*;

use crate::{Linear, init};

/// What attention may look at. Nothing said: everything.
///
/// Booleans are `true` where a key takes part. (PyTorch's `nn.MultiheadAttention` has it the other
/// way round, its `scaled_dot_product_attention` as here.)
#[derive(Clone, Copy, Debug, Default)]
pub struct Masks<'g> {
    /// Which keys are there, `[.., S]`, booleans: `false` for padding.
    pub keys: Option<Var<'g>>,
    /// Which query sees which key, broadcasts with `[.., heads, L, S]`. Booleans, or floats that
    /// are added to the scores.
    pub scores: Option<Var<'g>>,
    /// Position `i` sees keys `0..=i` only.
    pub causal: bool,
}

impl<'g> Masks<'g> {
    /// Keys that are there, `[.., S]`.
    #[must_use]
    pub fn keys(self, keys: Var<'g>) -> Self {
        Masks { keys: Some(keys), ..self }
    }

    /// Which query sees which key, broadcasts with `[.., heads, L, S]`.
    #[must_use]
    pub fn scores(self, scores: Var<'g>) -> Self {
        Masks { scores: Some(scores), ..self }
    }

    /// Position `i` sees keys `0..=i` only.
    #[must_use]
    pub fn causal(self) -> Self {
        Masks { causal: true, ..self }
    }

    #[track_caller]
    fn attention(&self, dropout: f64) -> Attention<'g> {
        let keys = self.keys.map(|keys| keys.unsqueeze(-2).unsqueeze(-2));
        let mask = match (keys, self.scores) {
            (Some(keys), Some(scores)) if scores.dtype() == BOOL => Some(keys.and(scores)),
            (Some(keys), Some(scores)) => Some(keys.select(scores, f64::NEG_INFINITY)),
            (keys, scores) => keys.or(scores),
        };
        Attention { mask, causal: self.causal, dropout, ..Attention::default() }
    }
}

/// Where queries, keys and values come from.
#[derive(Clone, Debug)]
pub enum Projection {
    /// One map of width `E` to `3E`, queries, keys and values one after the other.
    Packed(Linear),
    /// Three maps, for keys and values of other widths.
    Separate(Box<[Linear; 3]>),
}

/// `y = concat(headᵢ) · w + b`, where each head attends with its own part of the projected
/// queries, keys and values; see [`Attention`].
///
/// | | shape |
/// |---|---|
/// | queries | `[.., L, E]` |
/// | keys | `[.., S, keys]`, width `E` if packed |
/// | values | `[.., S, values]`, width `E` if packed |
/// | `y` | `[.., L, E]` |
///
/// Parameters `in_proj` (or `q_proj`, `k_proj`, `v_proj`) and `out_proj`: `4E² + 4E` if packed.
/// Begins as PyTorch's `nn.MultiheadAttention`: projections at Xavier's uniform, biases 0, the
/// weight of the output uniform in `±1/√E`. `E` must be a multiple of the number of heads.
///
/// **Source** Vaswani et al., NeurIPS 2017, section 3.2.2.
///
/// ```
/// use pleach_nn::{Masks, MultiHeadAttention};
/// use pleach_ops::prelude::*;
/// let p = Params::seeded(1);
/// let attention = MultiHeadAttention::new(&p.scope("self_attn"), 32, 4);
/// let g = Graph::eval();
/// let x = g.input("x", F32, [2, 10, 32]);
/// let y = attention.attend(x, x, x, Masks::default().causal());
/// assert_eq!(y.ok()?.shape(), [2, 10, 32].into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultiHeadAttention {
    /// Path of the layer, for errors and profiles.
    pub path: String,
    /// Number of heads.
    pub heads: usize,
    /// The maps of queries, keys and values.
    pub project: Projection,
    /// The map of all heads to the output.
    pub out: Linear,
    /// Probability with which a weight of attention is zero in graphs for training.
    pub dropout: f64,
}

impl MultiHeadAttention {
    /// A layer of this width and number of heads in scope `p`, without dropout.
    pub fn new(p: &Params, width: usize, heads: usize) -> MultiHeadAttention {
        let project = Projection::Packed(projection(p, "in_proj", width, 3 * width));
        MultiHeadAttention::with(p, width, heads, project)
    }

    /// A layer for keys and values of other widths than the queries have.
    pub fn separate(
        p: &Params,
        width: usize,
        heads: usize,
        keys: usize,
        values: usize,
    ) -> MultiHeadAttention {
        let maps = [("q_proj", width), ("k_proj", keys), ("v_proj", values)];
        let maps = maps.map(|(name, inputs)| projection(p, name, inputs, width));
        MultiHeadAttention::with(p, width, heads, Projection::Separate(Box::new(maps)))
    }

    fn with(p: &Params, width: usize, heads: usize, project: Projection) -> MultiHeadAttention {
        let scope = p.scope("out_proj");
        let out = Linear {
            path: scope.path().into(),
            w: scope.param("w", [width, width], init::default_uniform(width)),
            b: Some(scope.param("b", [width], Init::zeros())),
        };
        MultiHeadAttention { path: p.path().into(), heads, project, out, dropout: 0.0 }
    }

    /// With this dropout.
    #[must_use]
    pub fn dropout(self, dropout: f64) -> MultiHeadAttention {
        MultiHeadAttention { dropout, ..self }
    }

    /// Self-attention of `x`, everything to everything.
    #[track_caller]
    pub fn call<'g>(&self, x: Var<'g>) -> Var<'g> {
        self.attend(x, x, x, Masks::default())
    }

    /// Attention of queries to keys and values. Errors name the layer and the caller's line.
    #[track_caller]
    pub fn attend<'g>(
        &self,
        queries: Var<'g>,
        keys: Var<'g>,
        values: Var<'g>,
        masks: Masks<'g>,
    ) -> Var<'g> {
        self.attend_with_weights(queries, keys, values, masks).0
    }

    /// As [`MultiHeadAttention::attend`], and the weights of every head, `[.., heads, L, S]`,
    /// without dropout: their `mean_over(-3)` is what PyTorch gives by default.
    #[track_caller]
    pub fn attend_with_weights<'g>(
        &self,
        queries: Var<'g>,
        keys: Var<'g>,
        values: Var<'g>,
        masks: Masks<'g>,
    ) -> (Var<'g>, Var<'g>) {
        let _at = queries.graph().at_layer(&self.path);
        if let Err(refused) = self.check(&[queries, keys, values]) {
            return (refused, refused);
        }
        let [q, k, v] = self.projected([queries, keys, values]).map(|x| self.split(x));
        let attention = masks.attention(self.dropout);
        let weights = attention.weights(q, k);
        let heads = attention.mix(weights.dropout(self.dropout), v).transpose(-3, -2);
        let shape = heads.shape();
        let lead = &shape[..shape.rank().saturating_sub(2)];
        let joined: Shape = lead.iter().copied().chain([self.width()]).collect();
        (self.out.call(heads.reshape(joined)), weights)
    }

    fn width(&self) -> usize {
        self.out.w.ty().shape().first().copied().unwrap_or(0)
    }

    #[track_caller]
    fn check<'g>(&self, x: &[Var<'g>]) -> Result<(), Var<'g>> {
        let g = x[0].graph();
        let width = self.width();
        let ids: Vec<NodeId> = x.iter().map(|v| v.id()).collect();
        let refuse = |reason| Err(Var::new(g, g.refuse("multi_head_attention", &ids, reason)));
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            let why = format!("width {width} is no multiple of {} heads", self.heads);
            return refuse(TypeError::Attribute(why));
        }
        for (operand, v) in x.iter().enumerate() {
            if let Some(got) = v.ty().map(|ty| ty.shape().clone()).filter(|s| s.rank() < 2) {
                return refuse(TypeError::Rank { operand, expected: "at least 2", got });
            }
        }
        Ok(())
    }

    /// Queries, keys and values of full width.
    #[track_caller]
    fn projected<'g>(&self, x: [Var<'g>; 3]) -> [Var<'g>; 3] {
        let map = match &self.project {
            Projection::Separate(maps) => return [0, 1, 2].map(|i| maps[i].call(x[i])),
            Projection::Packed(map) => map,
        };
        let width = self.width();
        let part = |i: usize| i * width..(i + 1) * width;
        if x.iter().all(|v| v.id() == x[0].id()) {
            let all = map.call(x[0]);
            return [0, 1, 2].map(|i| all.slice(-1, part(i)));
        }
        let g = x[0].graph();
        [0, 1, 2].map(|i| {
            let y = x[i].matmul(g.param(&map.w).slice(1, part(i)));
            map.b.as_ref().map_or(y, |b| y + g.param(b).slice(0, part(i)))
        })
    }

    /// `[.., L, E]` becomes `[.., heads, L, E / heads]`.
    #[track_caller]
    fn split<'g>(&self, x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let lead = &shape[..shape.rank().saturating_sub(1)];
        let parts = [self.heads, self.width() / self.heads];
        x.reshape(lead.iter().copied().chain(parts).collect::<Shape>()).transpose(-3, -2)
    }
}

fn projection(p: &Params, name: &str, inputs: usize, outputs: usize) -> Linear {
    let scope = p.scope(name);
    Linear {
        path: scope.path().into(),
        w: scope.param("w", [inputs, outputs], init::xavier_uniform(inputs, outputs, 1.0)),
        b: Some(scope.param("b", [outputs], Init::zeros())),
    }
}
