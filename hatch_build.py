"""Build hook: compile the contracts before a wheel, an editable install or a source archive is made."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILER = Path("src") / "voisin" / "chain" / "compile.py"


class ContractsBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Leaves `src/voisin/chain/artifacts/*.json` up to date; compiles only what has changed."""

    PLUGIN_NAME = "contracts"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """
        Compile the contracts.

        Args:
            version: Kind of build, for example `standard` or `editable`.
            build_data: What goes into the package; the artifacts are named in `pyproject.toml`.
        """
        del version, build_data
        if self.target_name == "sdist":
            return
        _load_compiler(Path(self.root) / COMPILER).compile_all()


def _load_compiler(path: Path) -> ModuleType:
    """Load the compiling module without its package, whose dependencies a build environment does not have."""
    spec = spec_from_file_location("contract_compiler", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
