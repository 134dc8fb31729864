"""The house rules that a script can measure: sizes of files and functions, docstrings, annotations, no sleeping in tests."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, FUNCTION_LINES, FUNCTION_LINES_P95, DOCUMENTED = 500, 60, 40, 0.95
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(paths: list[Path]) -> Iterator[tuple[Path, Function]]:
    """Walk every function of every file."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield path, node


def length(node: Function) -> int:
    """Count a function's lines."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def is_annotated(node: Function) -> bool:
    """Tell whether every parameter and the answer has a type."""
    named = [a for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
    return node.returns is not None and all(a.annotation for a in named)


def complaints(sources: list[Path], tests: list[Path]) -> Iterator[str]:
    """List what breaks a rule."""
    found = list(functions(sources))
    for path in sources:
        if (lines := len(path.read_text().splitlines())) > FILE_LINES:
            yield f"{path}: {lines} lines, at most {FILE_LINES}"
    for path, node in found:
        if length(node) > FUNCTION_LINES:
            yield f"{path}:{node.lineno}: {node.name} has {length(node)} lines, at most {FUNCTION_LINES}"
        if not is_annotated(node):
            yield f"{path}:{node.lineno}: {node.name} is not fully annotated"
    p95 = sorted(length(node) for _, node in found)[int(0.95 * len(found))]
    if p95 > FUNCTION_LINES_P95:
        yield f"functions: the 95th percentile has {p95} lines, at most {FUNCTION_LINES_P95}"
    public = [(path, node) for path, node in found if not node.name.startswith("_")]
    bare = [f"{path}:{node.lineno}: {node.name}" for path, node in public if ast.get_docstring(node) is None]
    if len(bare) > (1 - DOCUMENTED) * len(public):
        yield f"{len(bare)} of {len(public)} public functions lack a docstring: {', '.join(bare[:5])} ..."
    for path in tests:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"sleep\(\s*(?!0\s*\))[0-9.]", line):
                yield f"{path}:{number}: sleeps; wait for a condition instead"


def main() -> int:
    """Print what breaks a rule; 1 when anything does."""
    broken = list(complaints(sorted(Path("src").rglob("*.py")), sorted(Path("tests").rglob("*.py"))))
    sys.stdout.write("".join(f"{line}\n" for line in broken) or "house rules hold\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
