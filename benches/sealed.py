"""
Protecting a file and reading it back: speed beside the cipher library's own, and memory.

    python benches/sealed.py [--bytes 1000000000] [--folder FOLDER]

The yardstick is the library's AES-256-GCM alone on the same pieces, read from the same file and written to one of the same size: no
hash, no framing. The promise is at least half of its speed, hashing included, in less than 200 MB of memory. A busy or small machine
shows in both; the best of a few rounds counts. Exit code 0 if the promise is kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voisin.client.data.protecting import encrypt
from voisin.client.data.sources import look_at
from voisin.protocol.datasets import decrypt_dataset, new_dataset_key
from voisin.protocol.digests import BackgroundSha256
from voisin.protocol.sealed_stream import PIECE, TAG

ROUNDS = 5
LEAST_SHARE = 0.5
MOST_BYTES = 200_000_000
NONCE = bytes(12)


def main() -> int:
    """Measure, print, and fail where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1] if __doc__ else "")
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the files go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        return _measure(Path(folder), given.bytes)


def _measure(folder: Path, size: int) -> int:
    clear, sealed, opened, bare = (folder / name for name in ("clear", "sealed", "opened", "bare"))
    _write(clear, size)
    key = new_dataset_key(secrets.token_bytes)
    steps: dict[str, Callable[[], object]] = {
        "cipher library, in memory": lambda: _in_memory(size),
        "cipher library, encrypting": lambda: _pieces(clear, bare, PIECE, lambda data: AESGCM(bytes(32)).encrypt(NONCE, data, None)),
        "protect": lambda: encrypt(look_at(clear), sealed, key, "voisin"),
        "cipher library, decrypting": lambda: _pieces(bare, opened, PIECE + TAG, lambda data: AESGCM(bytes(32)).decrypt(NONCE, data, None)),
        "read back": lambda: _read_back(sealed, opened, key),
    }
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(ROUNDS):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - began)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{size:,} bytes; cryptography {version('cryptography')}, {platform.machine()}, {os.cpu_count()} processors\n")
    print("| step | MB/s | of the library's |")
    print("| --- | ---: | ---: |")
    shares = {"protect": "cipher library, encrypting", "read back": "cipher library, decrypting"}  # in memory: for comparison only
    kept = used <= MOST_BYTES
    for name, took in best.items():
        share = best[shares[name]] / took if name in shares else 1.0
        kept &= share >= LEAST_SHARE
        print(f"| {name} | {size / took / 1e6:,.0f} | {f'{share:.0%}' if name in shares else ''} |")
    print(f"\nMemory: {used / 1e6:.0f} MB at most; promised {MOST_BYTES / 1e6:.0f} MB, and {LEAST_SHARE:.0%} of the speed.")
    print("PASS" if kept else "FAIL")
    return 0 if kept else 1


def _write(path: Path, size: int) -> None:
    piece = secrets.token_bytes(PIECE)
    with path.open("wb") as file:
        for start in range(0, size, PIECE):
            file.write(piece[: min(PIECE, size - start)])


def _pieces(source: Path, target: Path, size: int, work: Callable[[bytes], bytes]) -> None:
    with source.open("rb", buffering=0) as read, target.open("wb") as written:
        while piece := read.read(size):
            written.write(work(piece))


def _in_memory(size: int) -> None:
    cipher, piece = AESGCM(bytes(32)), secrets.token_bytes(PIECE)
    for _ in range(0, size, PIECE):
        cipher.encrypt(NONCE, piece, None)


def _read_back(source: Path, target: Path, key: str) -> None:
    with source.open("rb", buffering=0) as sealed, target.open("wb") as clear, BackgroundSha256() as digest:
        decrypt_dataset(sealed, clear, key, digest=digest)


if __name__ == "__main__":
    sys.exit(main())
