"""Times PyTorch's optimizers, as `pleach-bench update` times pleach's: same tensors, same rule.

    python3 crates/bench/peers/update.py --optimizer adam --threads 2

Prints one line of JSON for each of the variants fused=True and foreach=True.
"""

import argparse
import json
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("torch is missing: python3 -m venv .venv && .venv/bin/pip install torch")

WIDTH = 512
SLOTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "adam": 2, "amsgrad": 3, "adamw": 2}


def shapes(params):
    """As crates/bench/src/model.rs."""
    block = [[WIDTH, 4 * WIDTH], [4 * WIDTH], [4 * WIDTH, WIDTH], [WIDTH]]
    size = 2 * 4 * WIDTH * WIDTH + 5 * WIDTH
    rest = params % size
    found = block * (params // size) + [[rest // WIDTH, WIDTH], [rest % WIDTH]]
    return [shape for shape in found if all(shape)]


def optimizer(name, tensors, **variant):
    if name in ("sgd", "momentum", "nesterov"):
        momentum = 0.0 if name == "sgd" else 0.9
        nesterov = name == "nesterov"
        return torch.optim.SGD(tensors, lr=1e-3, momentum=momentum, nesterov=nesterov, **variant)
    if name == "adamw":
        return torch.optim.AdamW(tensors, lr=1e-3, **variant)
    return torch.optim.Adam(tensors, lr=1e-3, amsgrad=name == "amsgrad", **variant)


def times(span, call):
    """Sorted times of single calls in µs, after some time to warm up."""
    call()
    start, calls = time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - start < span / 5:
        call()
        calls += 1
    found, start = [], time.perf_counter()
    while len(found) < 7 or time.perf_counter() - start < span:
        before = time.perf_counter()
        call()
        found.append((time.perf_counter() - before) * 1e6)
    return sorted(found)


def triad():
    """GB/s of a = b + s·c, two arrays read and one written, of 128 MiB each."""
    n = 32 << 20
    a, b, c = torch.zeros(n), torch.ones(n), torch.full((n,), 2.0)
    found = times(1.0, lambda: torch.add(b, c, alpha=3.0, out=a))
    return 3 * 4 * n / found[len(found) // 2] / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimizer", action="append", choices=list(SLOTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--params", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    triad_gb_s = triad()
    for name in args.optimizer or SLOTS:
        for variant in ("fused", "foreach"):
            torch.manual_seed(1)
            tensors = [(torch.randn(s) * 0.02).requires_grad_() for s in shapes(args.params)]
            for tensor in tensors:
                tensor.grad = torch.randn(tensor.shape) * 0.1
            rule = optimizer(name, tensors, **{variant: True})
            found = times(args.seconds, rule.step)
            median = found[len(found) // 2]
            least = (3 + 2 * SLOTS[name]) * 4 * args.params
            record = {
                "peer": f"torch {torch.__version__} {variant}",
                "optimizer": name,
                "threads": args.threads,
                "params": args.params,
                "tensors": len(tensors),
                "median_us": median,
                "min_us": found[0],
                "max_us": found[-1],
                "iters": len(found),
                "bytes": least,
                "gb_s": least / median / 1e3,
                "triad_gb_s": triad_gb_s,
            }
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
