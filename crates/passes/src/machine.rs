//! What arithmetic and traffic are estimated to take: time and energy of a change.

use crate::Totals;

/// A machine, as four numbers. Time and energy of totals are linear in operations and bytes, so those of
/// the lines of a ledger add up as its counts do. Both are estimates, for comparison: every byte is
/// charged as if it came from memory, and nothing overlaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Arithmetic, 10⁹ operations a second.
    pub gflops: f64,
    /// Memory, 10⁹ bytes a second.
    pub gbs: f64,
    /// Energy of an operation, in pJ.
    pub pj_per_flop: f64,
    /// Energy of a byte from memory, in pJ.
    pub pj_per_byte: f64,
    /// Were time's two numbers measured on the machine at hand?
    pub measured: bool,
}

impl Default for Machine {
    /// One core of a server of 2023: 100 GFLOP/s and 20 GB/s. Energy of `f32` in 45 nm: 3.7 pJ a product
    /// and 0.9 a sum, 640 pJ for 32 bits from DRAM (Horowitz, *Computing's energy problem*, ISSCC 2014; the
    /// table of Han et al., *Deep Compression*, 2016). Newer processes take less, in about these proportions.
    fn default() -> Machine {
        Machine { gflops: 100.0, gbs: 20.0, pj_per_flop: 2.3, pj_per_byte: 160.0, measured: false }
    }
}

impl Machine {
    /// Estimated time, in µs.
    pub fn micros(&self, of: Totals) -> f64 {
        (of.flops as f64 / self.gflops + of.bytes as f64 / self.gbs) / 1e3
    }

    /// Estimated energy, in µJ.
    pub fn microjoules(&self, of: Totals) -> f64 {
        (of.flops as f64 * self.pj_per_flop + of.bytes as f64 * self.pj_per_byte) / 1e6
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Machine { gflops, gbs, pj_per_flop, pj_per_byte, measured } = self;
        let how = if *measured { "measured" } else { "assumed" };
        write!(
            f,
            "{gflops:.1} GFLOP/s and {gbs:.1} GB/s ({how}), \
             {pj_per_flop} pJ/FLOP and {pj_per_byte} pJ/byte (assumed)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_linear() {
        let machine = Machine::default();
        let of = |flops, bytes| Totals { flops, bytes, ..Totals::default() };
        assert_eq!(machine.micros(of(100_000, 20_000)), 2.0);
        assert_eq!(machine.micros(of(-100_000, 20_000)), 0.0);
        assert_eq!(machine.microjoules(of(1_000_000, 0)), 2.3);
        assert_eq!(machine.microjoules(of(0, -1_000_000)), -160.0);
    }
}
