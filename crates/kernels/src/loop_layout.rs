//! Where the registers of a loop are during a tile, and which functions run over it.

use pleach_tensor::DType;
use smallvec::SmallVec;

use crate::loop_plan::{Bits, Constant, Loc, Mode, TileOp, Tiles};
use crate::select::{Args, Selection, Step};
use crate::space::Space;
use crate::{Scalar, ScalarOp, ScalarProgram, Slice};

/// Places of registers. Slots are numbers until [`Layout::scale`] makes them bytes.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) slots: usize,
    free: Vec<u32>,
    pub(crate) modes: Vec<Mode>,
    pub(crate) numbers: Vec<Bits>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) ops: Vec<TileOp>,
    pub(crate) stores: Vec<(Loc, usize)>,
}

/// When registers are read for the last time.
struct Life {
    /// The last step that reads a register; the end if it leaves the program.
    last: Vec<Option<usize>>,
    /// Does something need a whole tile of the register?
    whole: Vec<bool>,
}

impl Life {
    fn new(program: &ScalarProgram, root: &[usize], steps: &[Step]) -> Life {
        let (mut last, mut whole) = (vec![None; root.len()], vec![false; root.len()]);
        for (at, step) in steps.iter().enumerate() {
            for (i, &arg) in step.args.iter().enumerate() {
                last[arg] = Some(at);
                whole[arg] |= step.scalars >> i & 1 == 0;
            }
        }
        for reg in &program.outputs {
            last[root[reg.at()]] = Some(usize::MAX);
            whole[root[reg.at()]] = true;
        }
        Life { last, whole }
    }
}

impl Layout {
    pub(crate) fn new(
        program: &ScalarProgram,
        types: &[DType],
        inputs: &[Slice],
        outputs: &[Slice],
        space: &Space,
        tiles: &Tiles,
    ) -> Layout {
        let n = inputs.len();
        // A copy is the register that it copies.
        let mut root: Vec<usize> = (0..types.len()).collect();
        for (i, instr) in program.instrs.iter().enumerate() {
            if instr.op == ScalarOp::Copy {
                root[n + i] = root[instr.args[0].at()];
            }
        }
        let constant = |r: usize| match program.instrs.get(r.checked_sub(n)?)?.op {
            ScalarOp::Const(value) => Some(value),
            _ => None,
        };
        let apart = |i: usize| outputs.iter().all(|y| y.is_apart(&inputs[i]));
        let splat: Vec<bool> = (0..types.len())
            .map(|r| match r < n {
                true => tiles.one(&space.strides[r]) && apart(r),
                false => constant(r).is_some(),
            })
            .collect();
        let steps = Selection::new(program, &root, &splat).steps();
        let life = Life::new(program, &root, &steps);
        let mut made: Vec<Option<usize>> = vec![None; types.len()];
        steps.iter().enumerate().for_each(|(at, step)| made[step.reg] = Some(at));

        // The output in whose memory a register may live: packed; an input that is there too is in
        // the same place, and read for the last time when the register is made.
        let mut home: Vec<Option<u16>> = vec![None; types.len()];
        for (o, reg) in program.outputs.iter().enumerate() {
            let r = root[reg.at()];
            let y = &outputs[o];
            // The step that makes it must be able to write where it reads.
            let able = |step: &Step| match step.places(inputs, y)[..] {
                [] => true,
                [i] => step.fns.in_place[i].is_some(),
                _ => false,
            };
            let gone = |i: usize| {
                let fits = |last| made[r].is_some_and(|made| last <= made && able(&steps[made]));
                inputs[i] == *y && life.last[i].is_none_or(fits)
            };
            let free = (0..n).all(|i| y.is_apart(&inputs[i]) || gone(i));
            if home[r].is_none()
                && constant(r).is_none()
                && free
                && tiles.packed(&space.strides[n + o])
            {
                home[r] = Some((n + o) as u16);
            }
        }

        let mut out = Layout::default();
        let mut locs = vec![Loc::Slot(0); types.len()];
        for (i, loc) in locs.iter_mut().enumerate().take(n) {
            let strides = &space.strides[i];
            // An input that is overwritten in place, and is itself an output, must be saved.
            let saved = life.last[i] == Some(usize::MAX) && !apart(i);
            let here = tiles.packed(strides) || splat[i] && !life.whole[i];
            let mode = if life.last[i].is_none() || here && !saved && home[i].is_none() {
                Mode::Direct
            } else if tiles.constant(strides) && home[i].is_none() {
                Mode::Once(out.fixed())
            } else {
                Mode::Load(home[i].map_or_else(|| out.take(), Loc::Stream))
            };
            *loc = match mode {
                Mode::Direct => Loc::Stream(i as u16),
                Mode::Once(at) | Mode::Load(at) => at,
            };
            out.modes.push(mode);
        }
        for r in (n..types.len()).filter(|&r| life.last[r].is_some()) {
            if let Some(value) = constant(r) {
                locs[r] = out.constant(value, life.whole[r]);
            }
        }
        let fixed = out.fixed_slots();
        for (at, step) in steps.iter().enumerate() {
            let dst = home[step.reg].map_or_else(|| out.take(), Loc::Stream);
            locs[step.reg] = dst;
            out.ops.push(operation(step, dst, &locs, inputs, outputs));
            let mut dead: SmallVec<[Loc; 4]> = SmallVec::new();
            for &r in step.args.iter().filter(|&&r| life.last[r] == Some(at)) {
                if !dead.contains(&locs[r]) && !fixed.contains(&locs[r]) {
                    dead.push(locs[r]);
                }
            }
            out.free.extend(dead.iter().filter_map(|loc| match loc {
                Loc::Slot(s) => Some(*s),
                _ => None,
            }));
        }
        for (o, reg) in program.outputs.iter().enumerate() {
            let r = root[reg.at()];
            if home[r] != Some((n + o) as u16) {
                out.stores.push((locs[r], n + o));
            }
        }
        out
    }

    /// A slot that keeps its contents for the whole task: never one that was free before.
    fn fixed(&mut self) -> Loc {
        self.slots += 1;
        Loc::Slot(self.slots as u32 - 1)
    }

    /// A slot.
    fn take(&mut self) -> Loc {
        match self.free.pop() {
            Some(slot) => Loc::Slot(slot),
            None => self.fixed(),
        }
    }

    /// The place of a constant: a slot full of it, if something reads a whole tile.
    fn constant(&mut self, value: Scalar, whole: bool) -> Loc {
        let value = Bits::new(value);
        if whole {
            let at = self.fixed();
            self.constants.push(Constant { value, at });
            return at;
        }
        self.numbers.push(value);
        Loc::Constant(self.numbers.len() as u16 - 1)
    }

    /// The slots that must not be freed: constants and inputs loaded once.
    fn fixed_slots(&self) -> Vec<Loc> {
        let once = self.modes.iter().filter_map(|m| match m {
            Mode::Once(at) => Some(*at),
            _ => None,
        });
        once.chain(self.constants.iter().map(|c| c.at)).collect()
    }

    /// Turns slot numbers into bytes.
    pub(crate) fn scale(&mut self, bytes: usize) {
        let scale = |loc: &mut Loc| {
            if let Loc::Slot(slot) = loc {
                *slot *= bytes as u32;
            }
        };
        for mode in &mut self.modes {
            if let Mode::Once(at) | Mode::Load(at) = mode {
                scale(at);
            }
        }
        self.constants.iter_mut().for_each(|c| scale(&mut c.at));
        self.stores.iter_mut().for_each(|(at, _)| scale(at));
        for op in &mut self.ops {
            scale(&mut op.dst);
            op.args.iter_mut().for_each(scale);
        }
    }
}

/// The function of a step, from where its operands are to `dst`.
fn operation(step: &Step, dst: Loc, locs: &[Loc], inputs: &[Slice], outputs: &[Slice]) -> TileOp {
    let n = inputs.len();
    let places = match dst {
        Loc::Stream(y) => step.places(inputs, &outputs[usize::from(y) - n]),
        _ => Args::new(),
    };
    let f = places.first().and_then(|&i| step.fns.in_place[i]);
    TileOp {
        f: f.unwrap_or(step.fns.apart),
        dst,
        args: step.args.iter().map(|&r| locs[r]).collect(),
    }
}
