"""
Compile the contracts into the artifacts that `voisin.chain.artifacts` loads: `python -m voisin.chain.compile`.

Needs the source tree and the Vyper compiler; an installed package has the artifacts and needs neither. The build hook loads
this file by its path, before any dependency is installed: it imports nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vyper.compiler.phases import CompilerData

COMPILER_VERSION = "0.4.3"
EVM_VERSION = "cancun"
SETTINGS = f"vyper {COMPILER_VERSION}, optimize gas, evm {EVM_VERSION}, format 1"
"""Part of every source hash: another setting makes all artifacts stale."""

ROOT = Path(__file__).resolve().parents[3] / "contracts"
OUTPUT = Path(__file__).resolve().parent / "artifacts"
FOLDERS = (".", "gates", "hub", "registries")
_IMPORT = re.compile(r"^import\s+(\w+)|^from\s+\S+\s+import\s+(\w+)", re.MULTILINE)


def deployable_sources(root: Path = ROOT) -> list[Path]:
    """
    List the contracts that can be deployed: files named in PascalCase; the others are modules.

    Args:
        root: The folder of the sources.

    Returns:
        Paths in a fixed order.
    """
    return sorted(path for folder in FOLDERS for path in (root / folder).glob("*.vy") if path.stem[0].isupper())


def source_hash(path: Path) -> str:
    """
    Digest a contract, all that it imports, and the settings of the compiler.

    Args:
        path: A `.vy` file.

    Returns:
        64 hex digits; they change when the compiled code could.
    """
    digest = hashlib.sha256(SETTINGS.encode())
    for source in sorted(set(_closure(path)), key=lambda found: found.name):
        digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def compile_contract(path: Path) -> dict[str, object]:
    """
    Compile one contract.

    Args:
        path: A `.vy` file; its imports are looked for in its folder, and in the folder `interfaces` beside that.

    Returns:
        The fields of `voisin.chain.artifacts.Artifact`, ready for JSON.
    """
    data = _compiler_data(path)
    from vyper.compiler import output

    entries: list[dict[str, object]] = output.build_abi_output(data)
    code: bytes = data.bytecode
    return {
        "name": path.stem,
        "abi": entries,
        "bytecode": "0x" + code.hex(),
        "deployed_size": len(data.bytecode_runtime),
        "layout": dict(_storage(output.build_layout_output(data).get("storage_layout", {}))),
        "return_sizes": _return_sizes(data),
        "source_hash": source_hash(path),
    }


def compile_all(root: Path = ROOT, output: Path = OUTPUT) -> list[str]:
    """
    Compile what has changed and drop artifacts whose source is gone.

    Args:
        root: The folder of the sources.
        output: Where the artifacts go.

    Returns:
        Names of the contracts that were compiled now.
    """
    output.mkdir(parents=True, exist_ok=True)
    sources = deployable_sources(root)
    done: list[str] = []
    for path in sources:
        target = output / f"{path.stem}.json"
        if _is_fresh(target, source_hash(path)):
            continue
        part = target.with_suffix(".part")
        part.write_text(json.dumps(compile_contract(path)))
        part.replace(target)
        done.append(path.stem)
    for stale in {entry.stem for entry in output.glob("*.json")} - {path.stem for path in sources}:
        (output / f"{stale}.json").unlink()
    return done


def _closure(path: Path) -> Iterator[Path]:
    yield path
    for match in _IMPORT.finditer(path.read_text()):
        for folder in _search_path(path):
            for ending in (".vy", ".vyi"):
                imported = folder / f"{match[1] or match[2]}{ending}"
                if imported.exists():
                    yield from _closure(imported)


def _search_path(path: Path) -> list[Path]:
    """Where the compiler looks for what a source imports; the last is the first that it looks at."""
    return [path.parent.with_name("interfaces"), path.parent]


def _is_fresh(target: Path, wanted: str) -> bool:
    if not target.exists():
        return False
    return bool(json.loads(target.read_text()).get("source_hash") == wanted)


def _compiler_data(path: Path) -> CompilerData:
    import vyper
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.phases import CompilerData
    from vyper.compiler.settings import OptimizationLevel, Settings

    if vyper.__version__.split("+")[0] != COMPILER_VERSION:
        raise SystemExit(f"the contracts need vyper {COMPILER_VERSION}, this is {vyper.__version__}")
    bundle = FilesystemInputBundle(_search_path(path))
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version=EVM_VERSION, experimental_codegen=False)
    return CompilerData(bundle.load_file(path), input_bundle=bundle, settings=settings)


def _storage(layout: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """Flatten the compiler's tree of modules and variables; the hub's state module needs no prefix."""
    for name, entry in layout.items():
        if not isinstance(entry, Mapping):
            continue
        if "slot" in entry:
            yield prefix + name, {"slot": entry["slot"], "type": entry["type"], "slots": entry["n_slots"]}
        else:
            yield from _storage(entry, prefix="" if name == "S" else f"{prefix}{name}.")


def _return_sizes(data: CompilerData) -> dict[str, int]:
    sizes = {}
    for kind in data.global_ctx.exposed_functions:
        for selector in kind.method_ids.values():
            answer = kind.return_type
            sizes[f"0x{selector:08x}"] = 0 if answer is None else _answer_size(answer)
    return dict(sorted(sizes.items()))


def _answer_size(answer: object) -> int:
    from vyper.semantics.types import TupleT
    from vyper.semantics.types.base import VyperType

    assert isinstance(answer, VyperType)
    abi = answer.abi_type if isinstance(answer, TupleT) else TupleT([answer]).abi_type
    return int(abi.size_bound())


def main() -> None:
    """Compile what has changed and say what that was."""
    if not ROOT.is_dir():
        raise SystemExit("there are no contract sources here; an installed package has its contracts compiled already")
    done = compile_all()
    sys.stdout.write(f"compiled {', '.join(done)}\n" if done else "contracts are up to date\n")


if __name__ == "__main__":
    main()
