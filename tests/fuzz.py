"""
Try foreign bytes on everything that reads them, for as long as you like: `make fuzz`.

    python -m tests.fuzz [--minutes 10] [--seed N]

It prints its seed, and ends with 1 and the bytes when something broke; the same seed tries the same again.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback
from collections import Counter
from itertools import cycle
from random import Random

from tests.support.foreign import mutant, readers, try_one

ROUND = 50
"""Mutants of a reader's samples before the next reader has its turn."""


def main() -> int:
    """Go on until the time is up, or something breaks."""
    wanted = argparse.ArgumentParser(description="Try foreign bytes on everything that reads them.")
    wanted.add_argument("--minutes", type=float, default=10.0)
    wanted.add_argument("--seed", type=int, default=secrets.randbits(32))
    asked = wanted.parse_args()
    sys.stdout.write(f"seed {asked.seed}\n")
    until, dice, tried = time.monotonic() + 60 * asked.minutes, Random(asked.seed), Counter[tuple[str, bool]]()
    for name, reader in cycle(readers().items()):
        if time.monotonic() > until:
            break
        for _ in range(ROUND):
            data = mutant(dice, reader.samples)
            try:
                tried[name, try_one(reader, data)] += 1
            except Exception:  # noqa: BLE001  (that there is one is what is looked for)
                sys.stdout.write(f"{name} broke, seed {asked.seed}: {data!r}\n{traceback.format_exc()}")
                return 1
    for name in readers():
        sys.stdout.write(f"{name:18} {tried[name, True]:9,} taken {tried[name, False]:9,} refused\n")
    sys.stdout.write(f"nothing broke in {sum(tried.values()):,} tries\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
