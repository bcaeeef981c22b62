//! Chains of products are multiplied in the cheapest order, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_ops::Op;
use pleach_ops::prelude::*;
use pleach_passes::testing::{agree, draw, interpreted, run, scale_of};
use pleach_passes::{Associate, Class, Ledger, Level, PassCx, Price};
use pleach_tensor::Key;
use proptest::prelude::*;

fn associated(g: &Graph) -> (Option<Graph>, Ledger) {
    run(&Associate, g, &mut PassCx::reference(Level::Default))
}

/// Shapes of the products that outputs need, in order of the nodes.
fn products(g: &Graph) -> Vec<Vec<usize>> {
    let live = g.live();
    let of = |id: &NodeId| live[id.index()] && matches!(g.op(*id), Op::MatMul(_));
    g.ids().filter(of).map(|id| g.ty(id).shape().to_vec()).collect()
}

/// The output, and the gradients of its square by all inputs.
fn values(g: &Graph, feeds: &[Tensor]) -> Vec<Tensor> {
    let y = Var::new(g, g.roots()[0].value);
    let mut inputs: Vec<(usize, Var<'_>)> = g
        .ids()
        .filter_map(|id| match g.op(id) {
            Op::Input(i) => Some((i.position(), Var::new(g, id))),
            _ => None,
        })
        .collect();
    inputs.sort_by_key(|(position, _)| *position);
    let inputs: Vec<Var<'_>> = inputs.into_iter().map(|(_, x)| x).collect();
    let grads = g.grad((y * y).sum(All), &inputs);
    let wanted: Vec<NodeId> = std::iter::once(y).chain(grads).map(|v| v.id()).collect();
    interpreted(g, &wanted, feeds).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random trees of products, some parts transposed, over a batch or not.
    #[test]
    fn values_and_gradients_are_the_same(
        sizes in prop::collection::vec(1usize..20, 4..8),
        batch in prop::option::of(1usize..3),
        splits in prop::collection::vec(any::<(usize, bool)>(), 8),
        key in any::<u64>(),
    ) {
        let g = Graph::new();
        let shape = |r, c| batch.into_iter().chain([r, c]).collect::<Vec<usize>>();
        // Halves of the chain, joined again from the last one on.
        let mut chain: Vec<Var<'_>> = sizes
            .windows(2)
            .enumerate()
            .map(|(i, s)| g.input(&format!("x{i}"), F64, shape(s[0], s[1])))
            .collect();
        for (at, turned) in splits.iter().cycle() {
            if chain.len() == 1 {
                break;
            }
            let at = at % (chain.len() - 1);
            let (a, b) = (chain[at], chain.remove(at + 1));
            chain[at] = match turned {
                false => a.matmul(b),
                true => b.transpose(-2, -1).matmul(a.transpose(-2, -1)).transpose(-2, -1),
            };
        }
        g.output("y", chain[0].id());
        let (new, _) = associated(&g);
        let feeds: Vec<Tensor> =
            g.inputs().iter().zip(0..).map(|(i, at)| draw(i.ty(), Key(key ^ at))).collect();
        if let Some(new) = new {
            prop_assert!(Price::of_live(&new).work < Price::of_live(&g).work, "{}\n{}", g, new);
            let scale = scale_of(&g, &feeds).unwrap();
            for (want, got) in values(&g, &feeds).iter().zip(&values(&new, &feeds)) {
                let same = agree(Class::Rounding, got, want, scale);
                prop_assert!(same.is_ok(), "{:?}\n{}", same, new);
            }
            prop_assert!(associated(&new).0.is_none(), "it fires twice:\n{}", new);
        }
    }
}

#[test]
fn the_cheapest_order_is_taken() {
    let fires = |want: &[[usize; 2]], f: fn(&Graph) -> Var<'_>| {
        let g = Graph::new();
        g.output("y", f(&g).id());
        let (new, ledger) = associated(&g);
        let new = new.unwrap_or_else(|| panic!("it does not fire on\n{g}"));
        assert_eq!(products(&new), want, "{new}");
        assert_eq!(ledger.applications("matrix_chain"), 1, "{ledger}");
    };
    // A row through a matrix of rank 2: never the matrix.
    fires(&[[1, 2], [1, 300]], |g| {
        let (u, v) = (g.input("u", F32, [300, 2]), g.input("v", F32, [2, 300]));
        g.input("x", F32, [1, 300]).matmul(u.matmul(v))
    });
    // (u·vᵀ)·x is two products with vectors.
    fires(&[[1, 1], [90, 1]], |g| {
        let (u, v) = (g.input("u", F32, [90, 1]), g.input("v", F32, [90, 1]));
        u.matmul(v.transpose(0, 1)).matmul(g.input("x", F32, [90, 1]))
    });
    // Through a transpose: (A·B)ᵀ·x = Bᵀ·(Aᵀ·x).
    fires(&[[40, 1], [60, 1]], |g| {
        let (a, b) = (g.input("a", F32, [50, 40]), g.input("b", F32, [40, 60]));
        a.matmul(b).transpose(0, 1).matmul(g.input("x", F32, [50, 1]))
    });
    // The chain of the textbook.
    fires(&[[5, 20], [35, 5], [5, 25], [30, 5], [30, 25]], |g| {
        let sizes = [30, 35, 15, 5, 10, 20, 25];
        let xs: Vec<Var<'_>> = sizes
            .windows(2)
            .enumerate()
            .map(|(i, s)| g.input(&format!("x{i}"), F32, [s[0], s[1]]))
            .collect();
        xs[1..].iter().fold(xs[0], |y, &x| y.matmul(x))
    });
}

#[test]
fn other_products_stay() {
    let stays = |f: fn(&Graph) -> Vec<Var<'_>>, level| {
        let g = Graph::new();
        f(&g).into_iter().zip(["y", "z"]).for_each(|(y, name)| g.output(name, y.id()));
        let (new, _) = run(&Associate, &g, &mut PassCx::reference(level));
        assert!(new.is_none(), "{}", new.unwrap());
    };
    // The product is an output too.
    stays(
        |g| {
            let w = g.input("u", F32, [90, 2]).matmul(g.input("v", F32, [2, 90]));
            vec![g.input("x", F32, [1, 90]).matmul(w), w]
        },
        Level::Default,
    );
    // The order is the best already.
    stays(
        |g| {
            let x = g.input("x", F32, [1, 90]).matmul(g.input("u", F32, [90, 2]));
            vec![x.matmul(g.input("v", F32, [2, 90]))]
        },
        Level::Default,
    );
    // It rounds otherwise, and integers wrap.
    stays(
        |g| {
            let w = g.input("u", F32, [90, 2]).matmul(g.input("v", F32, [2, 90]));
            vec![g.input("x", F32, [1, 90]).matmul(w)]
        },
        Level::Exact,
    );
    stays(
        |g| {
            let w = g.input("u", I64, [90, 2]).matmul(g.input("v", I64, [2, 90]));
            vec![g.input("x", I64, [1, 90]).matmul(w)]
        },
        Level::Default,
    );
}
