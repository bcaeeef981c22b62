//! Variable: a parameter, buffer or optimizer slot, whose value lives in a state.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::prelude::rules::*;
use crate::{Init, Kind};

/// The value of a parameter, a buffer, or a slot of an optimizer. Carries its registry and name:
/// variables of two models never collide in one graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variable(Arc<Info>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Info {
    #[serde(skip)]
    registry: u32,
    name: String,
    kind: Kind,
    ty: Type,
    init: Init,
    key: Key,
    /// The shape asked for, if no value can have it; the type is then that of a scalar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    too_large: Option<Shape>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

impl Variable {
    pub(crate) fn new(
        registry: u32,
        name: String,
        kind: Kind,
        ty: Type,
        init: Init,
        key: Key,
    ) -> Variable {
        let (too_large, tags) = (None, Vec::new());
        Variable(Arc::new(Info { registry, name, kind, ty, init, key, too_large, tags }))
    }

    /// What stands for a variable of a shape that no value can have.
    pub(crate) fn too_large(
        registry: u32,
        name: String,
        kind: Kind,
        dtype: DType,
        shape: Shape,
    ) -> Variable {
        let scalar = Type::scalar(dtype);
        let Variable(info) = Variable::new(registry, name, kind, scalar, Init::zeros(), Key(0));
        Variable(Arc::new(Info { too_large: Some(shape), ..(*info).clone() }))
    }

    /// This variable, with these tags and no others.
    pub(crate) fn tagged(self, tags: &[String]) -> Variable {
        if tags.is_empty() {
            return self;
        }
        Variable(Arc::new(Info { tags: tags.to_vec(), ..(*self.0).clone() }))
    }

    /// Can there be a variable of this type that begins so?
    pub(crate) fn check(&self) -> Result<(), TypeError> {
        if let Some(shape) = &self.0.too_large {
            Type::new(self.0.ty.dtype(), shape)?;
        }
        self.0.init.check(&self.0.ty)
    }

    /// A slot of an optimizer beside this variable: `adam.m` of `hidden.w` is named
    /// `adam.m/hidden.w`.
    pub fn slot(&self, slot: &str, ty: Type, init: Init) -> Variable {
        let name = format!("{slot}/{}", self.0.name);
        Variable::new(self.0.registry, name, Kind::Slot, ty, init, self.0.key)
    }

    /// A slot of an optimizer that belongs to no single parameter, such as its step counter, in
    /// the registry of this variable. Whichever variable is asked, it is the same slot.
    pub fn shared_slot(&self, name: &str, ty: Type, init: Init) -> Variable {
        Variable::new(self.0.registry, name.into(), Kind::Slot, ty, init, Key(0).fold_str(name))
    }

    /// Its full name: `encoder.0.w`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its tags, in the order in which they were given; a slot has none. See
    /// [`Params::tag`](crate::Params::tag).
    pub fn tags(&self) -> &[String] {
        &self.0.tags
    }

    /// Its type.
    pub fn ty(&self) -> &Type {
        &self.0.ty
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The registry it belongs to; 0 for the seed and the run counter.
    pub fn registry(&self) -> u32 {
        self.0.registry
    }

    /// Its first value.
    pub fn initial(&self) -> Tensor {
        self.0.init.draw(&self.0.ty, self.0.key)
    }

    pub(crate) fn retyped(&self, from: DType, to: DType) -> Variable {
        let ty = retype(&self.0.ty, from, to);
        // The values of the other type begin at the same numbers, rounded once.
        let init = match &self.0.init {
            Init::Full(value) => Init::Full(*value),
            _ if ty == self.0.ty => self.0.init.clone(),
            _ => Init::from(self.initial().cast(ty.dtype())),
        };
        Variable(Arc::new(Info { ty, init, ..(*self.0).clone() }))
    }
}

impl Hash for Variable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.registry, &self.0.name).hash(state);
    }
}

impl Primitive<0> for Variable {
    const NAME: &'static str = "variable";
    const TRAITS: Traits = Traits::SOURCE;

    fn infer(&self, []: [&Type; 0]) -> Result<Type, TypeError> {
        self.check()?;
        Ok(self.0.ty.clone())
    }

    fn eval(&self, []: [&Tensor; 0], _: &Type) -> Result<Tensor, EvalError> {
        Ok(self.initial())
    }

    fn vjp<'g>(&self, _: usize, []: [Var<'g>; 0], _: Var<'g>, _: Var<'g>) -> Grad<'g> {
        Grad::Cut
    }

    fn lower(&self, []: [&Type; 0], _: &Type) -> Lowering {
        Lowering::Source
    }

    fn cost(&self, []: [&Type; 0], _: &Type) -> Cost {
        Cost::FREE
    }

    fn retype(&self, from: DType, to: DType) -> Self {
        self.retyped(from, to)
    }

    /// An operator without operands has nothing to differentiate or to feed.
    fn samples(_: &Dims) -> Vec<Sample> {
        vec![]
    }
}
