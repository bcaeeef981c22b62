//! The laws of products, maxima and reductions once more on each instruction set that this machine has.

use std::process::Command;

use pleach_kernels::Isa;

#[test]
fn products_maxima_and_reductions_hold_on_every_instruction_set() {
    let tests = std::env::current_exe().expect("the path of these tests");
    let others = Isa::available().filter(|isa| *isa != Isa::used());
    for isa in others {
        let mut laws = Command::new(&tests);
        let run = laws
            .args(["matmul::", "max_pool::", "reductions::", "winograd::"])
            .env("PLEACH_ISA", isa.name())
            .output()
            .expect("tests run");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && !said.contains(" 0 passed"), "{}: {said}", isa.name());
    }
}
