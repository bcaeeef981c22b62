//! The time of an optimizer, its rates, and the slots that hold them.

use std::cell::RefCell;

use pleach_ops::prelude::*;

/// One update of an optimizer, as its [`Rate`](crate::Rate) and schedules see it: how many came
/// before, and slots that live beside the parameters in the state.
#[derive(Debug)]
pub struct Time<'g> {
    /// The graph.
    pub graph: &'g Graph,
    /// Updates made before this one, an f64 scalar.
    pub t: Var<'g>,
    prefix: String,
    param: Param,
    kept: RefCell<Vec<String>>,
}

impl<'g> Time<'g> {
    /// The clock `NAME.steps` in the registry of `param`, which goes on by one. One graph has one
    /// clock of a name: a second one is an error of the graph.
    #[track_caller]
    pub fn new(g: &'g Graph, name: &str, param: &Param) -> Time<'g> {
        let counter = param.shared_slot(&format!("{name}.steps"), Type::scalar(I64), Init::zeros());
        let steps = g.raw_param(&counter);
        if g.roots().iter().any(|root| root.target == Some(steps.id())) {
            let why = "another optimizer has this name: give one another by `named`";
            g.refuse("update", &[], TypeError::Attribute(why.into()));
        } else {
            g.assign_param(&counter, steps + 1);
        }
        let (prefix, param) = (name.to_string(), param.clone());
        Time { graph: g, t: steps.cast(F64), prefix, param, kept: RefCell::default() }
    }

    /// The same time, whose slots have another prefix: that of a group.
    pub(crate) fn of_group(&self, pattern: &str) -> Time<'g> {
        let (graph, t, param) = (self.graph, self.t, self.param.clone());
        let prefix = format!("{}[{pattern}]", self.prefix);
        Time { graph, t, prefix, param, kept: RefCell::default() }
    }

    /// Another count of the same clock, whose slots are `NAME.part.…`: for a schedule inside of
    /// another.
    #[must_use]
    pub fn part(&self, name: &str, t: Var<'g>) -> Time<'g> {
        let (graph, param) = (self.graph, self.param.clone());
        Time {
            graph,
            t,
            prefix: format!("{}.{name}", self.prefix),
            param,
            kept: RefCell::default(),
        }
    }

    /// The update before. Slots that are kept there are not seen.
    #[must_use]
    pub fn earlier(&self) -> Time<'g> {
        self.part("earlier", self.t - 1.0)
    }

    fn variable(&self, name: &str, init: f64) -> Param {
        let name = format!("{}.{name}", self.prefix);
        self.param.shared_slot(&name, Type::scalar(F64), Init::full(init))
    }

    /// The value of the slot `NAME.name`, an f64 scalar that begins at `init`.
    #[track_caller]
    pub fn slot(&self, name: &str, init: f64) -> Var<'g> {
        self.graph.raw_param(&self.variable(name, init))
    }

    /// Gives the slot a new value, which the next update sees. Once an update: a second value of
    /// one slot is dropped.
    #[track_caller]
    pub fn keep(&self, name: &str, init: f64, value: Var<'g>) {
        if self.kept.borrow().iter().any(|kept| kept == name) {
            return;
        }
        self.kept.borrow_mut().push(name.into());
        self.graph.assign_param(&self.variable(name, init), value);
    }
}
