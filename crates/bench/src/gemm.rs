//! Matrix products by pleach's kernels beside those of the library `gemm`.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use pleach::prelude::F32;
use pleach_kernels::{
    AlignedBuf, Bound, BufferId, BufferSpec, Kernel, Layout, Pool, Program, Slice, Strides,
    library_gemm, run as run_program,
};
use serde::Serialize;

use crate::times::Times;

/// How products are timed.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Threads of pleach; the library runs on one.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds to measure each product by each.
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
}

/// A product `c = a·b` in f32: `m`, `n`, `k`, and which operands are transposed in memory.
#[derive(Clone, Copy, Debug)]
struct Product(usize, usize, usize, [bool; 2]);

/// Tiny products, those of the workloads, and large ones.
const PRODUCTS: [Product; 17] = [
    Product(16, 16, 16, [false, false]),
    Product(32, 16, 16, [false, false]),
    Product(32, 10, 64, [false, false]),
    Product(64, 64, 64, [false, false]),
    Product(256, 256, 256, [false, false]),
    Product(1024, 1024, 1024, [false, false]),
    Product(64, 256, 784, [false, false]),
    Product(784, 256, 64, [true, false]),
    Product(64, 784, 256, [false, true]),
    Product(32, 2048, 512, [false, false]),
    Product(128, 512, 2048, [true, false]),
    Product(512, 128, 1024, [true, false]),
    Product(784, 256, 1024, [true, false]),
    Product(256, 1024, 27, [false, false]),
    Product(1024, 512, 128, [false, false]),
    Product(1, 1024, 1024, [false, false]),
    Product(1024, 4, 4, [false, false]),
];

/// A product, timed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Timed {
    m: usize,
    n: usize,
    k: usize,
    /// Is `a`, is `b` transposed in memory?
    transposed: [bool; 2],
    threads: usize,
    /// Medians in µs.
    pleach_us: f64,
    library_us: f64,
    pleach_gflop_s: f64,
    library_gflop_s: f64,
}

/// The operands of a product, in memory that begins with a line of the cache, as a plan's does.
struct Operands {
    product: Product,
    a: AlignedBuf,
    b: AlignedBuf,
}

impl Operands {
    fn new(product: Product) -> Operands {
        let Product(m, n, k, _) = product;
        let number = |i: usize| (i % 17) as f32 * 0.1 - 0.8;
        let filled =
            |len: usize| AlignedBuf::from_slice(&(0..len).map(number).collect::<Vec<f32>>());
        Operands { product, a: filled(m * k), b: filled(k * n) }
    }

    /// Times of pleach's kernel, and what it computed.
    fn pleach(&self, threads: usize, span: Duration) -> Result<(Times, Vec<f32>), Box<dyn Error>> {
        let Product(m, n, k, [at, bt]) = self.product;
        let slice = |b: u32, rows: usize, columns: usize, transposed: bool| {
            let slice = Slice::new(BufferId(b), F32, 0, &[rows, columns]);
            let strides = Strides::from_slice(&[1, rows as isize]);
            if transposed { Slice { strides, ..slice } } else { slice }
        };
        let kernel = Kernel::Gemm {
            a: slice(0, m, k, at).into(),
            b: slice(1, k, n, bt).into(),
            c: slice(2, m, n, false),
        };
        let spec = |len: usize, writable| BufferSpec { bytes: 4 * len, writable };
        let specs = vec![spec(m * k, false), spec(k * n, false), spec(m * n, true)];
        let program = Program::new(vec![kernel], specs)?;
        let (pool, mut c) = (Pool::new(threads), AlignedBuf::new(4 * m * n));
        let times = Times::of(span, || {
            let (a, b) = (self.a.bytes(), self.b.bytes());
            let bound = &mut [Bound::read_bytes(a), Bound::read_bytes(b), Bound::write(&mut c)];
            run_program(&program, bound, &pool)
        })?;
        Ok((times, c.as_slice().unwrap_or_default().to_vec()))
    }

    /// The same of the library.
    fn library(&self, span: Duration) -> (Times, Vec<f32>) {
        let Product(m, n, k, [at, bt]) = self.product;
        let layout = |rows: usize, columns: usize, transposed: bool| match transposed {
            true => Layout { offset: 0, rows: 1, columns: rows },
            false => Layout { offset: 0, rows: columns, columns: 1 },
        };
        let mut c = vec![0.0; m * n];
        let Ok(times) = Times::of(span, || {
            let [a, b] = [&self.a, &self.b].map(|x| x.as_slice().unwrap_or_default());
            let (a, b) = ((a, layout(m, k, at)), (b, layout(k, n, bt)));
            library_gemm([m, n, k], (&mut c, layout(m, n, false)), a, b);
            Ok::<(), Infallible>(())
        });
        (times, c)
    }

    fn time(&self, threads: usize, span: Duration) -> Result<Timed, Box<dyn Error>> {
        let Product(m, n, k, transposed) = self.product;
        let ((own, x), (library, y)) = (self.pleach(threads, span)?, self.library(span));
        let near = |(x, y): (&f32, &f32)| (x - y).abs() <= 1e-5 * k as f32;
        if !x.iter().zip(&y).all(near) {
            return Err(format!("{:?}: pleach and the library differ", self.product).into());
        }
        let flops = (2 * m * n * k) as f64;
        let [pleach_us, library_us] = [&own, &library].map(|times| times.spread()[1]);
        let [pleach_gflop_s, library_gflop_s] = [pleach_us, library_us].map(|us| flops / us / 1e3);
        Ok(Timed {
            m,
            n,
            k,
            transposed,
            threads,
            pleach_us,
            library_us,
            pleach_gflop_s,
            library_gflop_s,
        })
    }
}

/// Times all products.
///
/// # Errors
/// Products that differ.
pub(crate) fn run(options: &Options) -> Result<Vec<Timed>, Box<dyn Error>> {
    let span = Duration::from_secs_f64(options.seconds);
    PRODUCTS.iter().map(|&product| Operands::new(product).time(options.threads, span)).collect()
}

/// The products as a table.
pub(crate) fn table(products: &[Timed]) -> Table {
    let mut table = Table::new();
    table.set_header([
        "m×n×k",
        "transposed",
        "pleach µs",
        "GFLOP/s",
        "library µs",
        "GFLOP/s",
        "ratio",
    ]);
    for t in products {
        let names = ["a", "b"].into_iter().zip(t.transposed).filter(|(_, t)| *t);
        table.add_row([
            format!("{}×{}×{}", t.m, t.n, t.k),
            names.map(|(name, _)| name).collect(),
            format!("{:.2}", t.pleach_us),
            format!("{:.1}", t.pleach_gflop_s),
            format!("{:.2}", t.library_us),
            format!("{:.1}", t.library_gflop_s),
            format!("{:.2}", t.library_us / t.pleach_us),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_compute_the_same_product() {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            let product = Operands::new(Product(19, 33, 41, transposed));
            let timed = product.time(2, Duration::ZERO).expect("they agree");
            assert!(timed.pleach_gflop_s > 0.0 && timed.library_gflop_s > 0.0);
        }
    }
}
