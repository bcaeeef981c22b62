//! What users of operators import, and (in [`rules`]) what files of operators import.

pub use pleach_graph::{Grad as GraphGrad, NodeId, Operator, Traits, TypeError};
pub use pleach_tensor::{BF16, BOOL, DType, F16, F32, F64, I32, I64, Key, Shape, Tensor, Type, U8};

pub use crate::compose::indexing::{ELLIPSIS, NEW_AXIS, step};
pub use crate::compose::padding::PadMode;
pub use crate::loss::Reduction;
pub use crate::reduce::{All, Keep};
pub use crate::{
    EvalError, Graph, GraphExt, Init, MatMul, Op, Operand, Param, Params, Primitive, Transforms,
    Var,
};

/// What every operator's file imports.
pub mod rules {
    pub use pleach_graph::{Simpler, Traits, TypeError};
    pub use pleach_kernels::{
        CumulativeOp, LinalgOp, Lowering, RandomOp, ReduceOp, ScalarOp, View, WinogradOp,
    };
    pub use pleach_tensor::compare::unravel;
    pub use pleach_tensor::{DType, Key, Shape, Tensor, Type};
    pub use smallvec::SmallVec;

    pub use crate::check_types::{Require, require_axes, require_axis, require_shape};
    pub use crate::reference::{
        binary, compare, map, movement, movement_or, reduce, scatter, unary,
    };
    pub use crate::{
        Axis, AxisRelations, Cost, CumProd, Dims, EvalError, Full, Gather, Grad, Graph, LinearScan,
        Op, Operand, Primitive, Real, Sample, ScatterAdd, Sum, Take, TakeAdd, Tangent, Var,
        Variadic,
    };

    use pleach_graph::Node;
    use std::sync::Arc;

    /// The number, if the value is a splat.
    pub fn splat(x: Var<'_>) -> Option<f64> {
        let full =
            |node: &Node<Op>| if let Op::Full(full) = &node.op { Some(full.value()) } else { None };
        x.graph().peek(x.id(), full)?
    }

    /// The node of a value, if its operator is as asked.
    pub fn node_if(x: Var<'_>, is: impl FnOnce(&Op) -> bool) -> Option<Arc<Node<Op>>> {
        let node = x.graph().get(x.id())?;
        is(&node.op).then_some(node)
    }

    /// `ty` with element type `from` replaced by `to`.
    pub fn retype(ty: &Type, from: DType, to: DType) -> Type {
        if ty.dtype() == from { ty.with_dtype(to) } else { ty.clone() }
    }
}
