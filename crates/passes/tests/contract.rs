//! Sums of products over the batch become one product, with the same values and gradients.
#![allow(clippy::unwrap_used, reason = "a test stops at what is wrong")]

use pleach_ops::Op;
use pleach_ops::prelude::*;
use pleach_passes::testing::{agree, draw, interpreted, run, scale_of};
use pleach_passes::{Class, Contract, Ledger, Level, PassCx};
use pleach_tensor::Key;
use proptest::prelude::*;

fn contracted(g: &Graph) -> (Option<Graph>, Ledger) {
    run(&Contract, g, &mut PassCx::reference(Level::Default))
}

/// Live sums, and live products.
fn count(g: &Graph) -> (usize, usize) {
    let live = g.live();
    let of = |f: fn(&Op) -> bool| g.ids().filter(|id| live[id.index()] && f(&g.op(*id))).count();
    (of(|op| matches!(op, Op::Sum(_))), of(|op| matches!(op, Op::MatMul(_))))
}

/// The output, and the gradients of its square by all inputs.
fn values(g: &Graph, feeds: &[Tensor]) -> (Vec<Tensor>, f64) {
    let y = Var::new(g, g.roots()[0].value);
    let inputs: Vec<Var<'_>> = ["a", "b"]
        .iter()
        .map(|name| {
            let is = |id: &NodeId| matches!(g.op(*id), Op::Input(i) if g.inputs()[i.position()].name() == *name);
            Var::new(g, g.ids().find(is).unwrap())
        })
        .collect();
    let grads = g.grad((y * y).sum(All), &inputs);
    let wanted: Vec<NodeId> = std::iter::once(y).chain(grads).map(|v| v.id()).collect();
    (interpreted(g, &wanted, feeds).unwrap(), scale_of(g, feeds).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_are_the_same(
        batch in prop::collection::vec(1usize..4, 1..4),
        m in 1usize..4, k in 1usize..4, n in 1usize..4,
        chosen in any::<u8>(), turned in any::<bool>(), key in any::<u64>(),
    ) {
        let axes: Vec<i64> = (0..batch.len() as i64).filter(|axis| chosen >> axis & 1 == 1).collect();
        prop_assume!(!axes.is_empty());
        let g = Graph::new();
        let shape = |last: [usize; 2]| [&batch[..], &last].concat();
        let a = g.input("a", F64, shape(if turned { [k, m] } else { [m, k] }));
        let b = g.input("b", F64, shape([k, n]));
        let a = if turned { a.transpose(-2, -1) } else { a };
        let y = a.matmul(b).sum(&axes[..]);
        g.output("y", y.id());
        let (new, _) = contracted(&g);
        let new = new.expect("it fires");
        prop_assert_eq!(count(&new), (0, 1), "{}", new);
        let feeds: Vec<Tensor> =
            g.inputs().iter().zip(0..).map(|(i, at)| draw(i.ty(), Key(key ^ at))).collect();
        let ((want, scale), (got, _)) = (values(&g, &feeds), values(&new, &feeds));
        for (want, got) in want.iter().zip(&got) {
            let same = agree(Class::Rounding, got, want, scale);
            prop_assert!(same.is_ok(), "{:?}\n{}", same, new);
        }
    }
}

/// The gradient of a weight that meets a batch of sequences is one product.
#[test]
fn gradients_of_weights_are_one_product() {
    let g = Graph::new();
    let (x, w) = (g.input("x", F32, [8, 16, 4]), g.input("w", F32, [4, 3]));
    let y = x.matmul(w);
    let dw = g.grad((y * y).sum(All), &[w])[0];
    g.output("dw", dw.id());
    let before = count(&g);
    let (new, ledger) = contracted(&g);
    let new = new.expect("it fires");
    assert_eq!((before.0, count(&new)), (1, (0, before.1)), "{new}");
    let fired = ledger.entries.iter().find(|e| e.rule == "sum_of_products");
    assert_eq!(fired.map(|e| e.applications), Some(1), "{ledger}");
}

#[test]
fn other_sums_stay() {
    let refused = |why: &str, f: fn(Var<'_>, Var<'_>) -> Vec<NodeId>| {
        let g = Graph::new();
        let (a, b) = (g.input("a", F32, [2, 3, 4]), g.input("b", F32, [2, 4, 5]));
        f(a, b).into_iter().zip(["y", "z"]).for_each(|(y, name)| g.output(name, y));
        let (new, ledger) = contracted(&g);
        assert!(new.is_none(), "{why}: {}", new.unwrap());
        assert!(ledger.to_string().contains(why), "{why}: {ledger}");
    };
    refused("it sums over rows or columns", |a, b| vec![a.matmul(b).sum([0, 1]).id()]);
    refused("the product is used elsewhere", |a, b| {
        let y = a.matmul(b);
        vec![y.sum([0]).id(), y.id()]
    });
    refused("the same along an axis", |a, b| {
        vec![a.slice(0, 0..1).broadcast_to([2, 3, 4]).matmul(b).sum([0]).id()]
    });
    refused("there is nothing to gain", |a, b| vec![a.cast(I64).matmul(b.cast(I64)).sum([0]).id()]);
}
