"""
Build the sample apps and the tests' guests from their C sources to WebAssembly.

    python apps/build.py            build every app in its folder
    python apps/build.py --check    build elsewhere and compare with the committed files, byte by byte

It needs the compiler of the dependency group `apps` (the package ziglang, whose version decides the bytes).
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "apps"
GUESTS = ROOT / "tests" / "guests"
# No debug information and no name of a folder may reach the output; the small stack keeps the memory that a module starts with small.
FLAGS = (
    *("-target", "wasm32-wasi", "-std=gnu11", "-O2", "-ffp-contract=off", "-g0", "-s"),
    *("-Wall", "-Wextra", "-Werror", "-Wl,-z,stack-size=262144"),
)


@dataclass(frozen=True)
class Build:
    """
    One module.

    Attributes:
        sources: Its C files, in the order they are compiled.
        module: Where the committed `.wasm` file is.
    """

    sources: tuple[Path, ...]
    module: Path


def builds() -> Iterator[Build]:
    """
    List what there is to build.

    Yields:
        One for each app folder, and one for each guest.
    """
    for folder in sorted(path for path in APPS.iterdir() if path.is_dir()):
        sources = tuple(sorted(folder.glob("*.c")))
        if sources:
            yield Build(sources, folder / f"{folder.name}.wasm")
    for source in sorted(GUESTS.glob("*.c")):
        yield Build((source,), source.with_suffix(".wasm"))


def compile_to(build: Build, target: Path) -> None:
    """
    Compile one module.

    Args:
        build: What to compile.
        target: Where the module goes.

    Raises:
        subprocess.CalledProcessError: The compiler found a fault; it has printed it.
    """
    folder = build.sources[0].parent
    prefix = f"-ffile-prefix-map={folder}=."
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, prefix, "-o", str(target), *(path.name for path in build.sources), "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    target.chmod(0o644)


def differing() -> list[str]:
    """
    Build everything in another folder and compare.

    Returns:
        The modules that are missing or whose bytes differ, as paths from the root of the project.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for build in builds():
            target = Path(folder, build.module.name)
            compile_to(build, target)
            if not build.module.is_file() or build.module.read_bytes() != target.read_bytes():
                found.append(build.module.relative_to(ROOT).as_posix())
    return found


def main() -> int:
    """
    Do what the command line asks for.

    Returns:
        The exit code: 0, or 1 when a module differs or cannot be built.
    """
    parser = argparse.ArgumentParser(description="Build the sample apps to WebAssembly.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files instead of replacing them")
    options = parser.parse_args()
    if importlib.util.find_spec("ziglang") is None:
        sys.stderr.write("apps/build.py needs the package ziglang; install the dependency group apps\n")
        return 1
    try:
        if options.check:
            different = differing()
            sys.stdout.write("".join(f"{path} differs from its source; run apps/build.py\n" for path in different) or "all modules match\n")
            return 1 if different else 0
        for build in builds():
            compile_to(build, build.module)
            sys.stdout.write(f"{build.module.relative_to(ROOT)}  {build.module.stat().st_size} bytes\n")
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"the compiler ended with code {error.returncode}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
