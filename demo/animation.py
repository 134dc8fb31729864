"""
The demo: a market that did not exist a minute ago renders an animation on three machines, with the commands a person would type.

It starts a box in `demo/box` (made anew each time), runs the path tracer on it, and leaves `demo/animation.gif`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
HOME, ANIMATION, FRAMES = HERE / "box", HERE / "animation.gif", HERE / "frames"
VOISIN = Path(sys.executable).parent / "voisin"
READY, STOP_S = "ready", 20


def spell(path: Path) -> str:
    """Write a path as a person in the project's folder would."""
    return str(path.relative_to(ROOT))


@contextmanager
def box() -> Iterator[None]:
    """Run `voisin up` until the context ends."""
    command = ["up", "--home", spell(HOME), "--workers", "3", "--port", "0"]
    print(f"$ voisin {' '.join(command)} &", flush=True)
    with subprocess.Popen([VOISIN, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(f"  {line}", end="", flush=True)
                if line.startswith(READY):
                    break
            else:
                sys.exit("the box did not start")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def voisin(*command: str) -> None:
    """Run one command to its end, showing what it shows."""
    print(f"\n$ voisin {' '.join(command)}", flush=True)
    if code := subprocess.run([VOISIN, *command], cwd=ROOT, check=False).returncode:
        sys.exit(code)


def main() -> None:
    """Make the market, buy the frames, show what came of it."""
    began = time.monotonic()
    for leftover in (HOME, FRAMES):
        shutil.rmtree(leftover, ignore_errors=True)
    ANIMATION.unlink(missing_ok=True)
    with box():
        voisin("status", "--home", spell(HOME))
        options = ["--replicas", "2", "--out", spell(FRAMES), "--animation", spell(ANIMATION), "--yes", "--home", spell(HOME)]
        voisin("run", "apps/pathtracer", "--frames", "0..23", *options)
    size = ANIMATION.stat().st_size
    print(f"\n{spell(ANIMATION)}: {size:,} bytes, {time.monotonic() - began:.0f} s from an empty folder")


if __name__ == "__main__":
    main()
